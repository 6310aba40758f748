"""`manage.py up`: everything Gator needs, from one command, until Ctrl-C."""

import os
import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.running import starting
from apps.core.running.supervising import STOP_SIGNALS


class Command(BaseCommand):
    help = "Run the studio: Valkey (unless REDIS_URL names one), web, workers and beat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only",
            default="",
            help=f"Some of {','.join(starting.KINDS)}, for several machines.",
        )
        parser.add_argument(
            "--logs", action="store_true", help="Write every part's log lines to stderr too."
        )

    def handle(self, *args: Any, only: str, logs: bool, **options: Any) -> None:
        kinds = [kind for kind in only.split(",") if kind]
        if unknown := set(kinds) - set(starting.KINDS):
            raise CommandError(
                f"--only takes {','.join(starting.KINDS)}; not {','.join(sorted(unknown))}.",
                returncode=2,
            )
        try:
            plan = starting.prepare(only=kinds, echo_logs=logs)
        except starting.CannotStart as error:
            self.stderr.write(f"gator: {error}")
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)
        # Become the supervisor: the same process, without Django's memory.
        environment = os.environ | {"PYTHONPATH": starting.python_path()}
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        sys.stdout.flush()
        sys.stderr.flush()
        command = [sys.executable, "-m", "apps.core.running.supervising", str(plan)]
        os.execve(sys.executable, command, environment)
