"""What both commands share: exit codes, signals, progress."""

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apps.backups.errors import FAILED, INTERRUPTED, BackupError
from apps.backups.progress import JsonLines, Progress, Terminal


def progress_for(*, as_json: bool, quiet: bool) -> Progress:
    """Progress goes to standard error; standard output is for results."""
    if as_json and not quiet:
        return JsonLines()
    return Terminal(quiet=quiet)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@contextmanager
def _hushed(*, quiet: bool) -> Iterator[None]:
    """Without the log's lines of what the command says itself, which would tear its progress."""
    root = logging.getLogger()
    level = root.level
    if level > logging.DEBUG:
        root.setLevel(max(level, logging.CRITICAL if quiet else logging.WARNING))
    try:
        yield
    finally:
        root.setLevel(level)


@contextmanager
def ending_well(*, as_json: bool, quiet: bool) -> Iterator[None]:
    """End the process with the exit code of what happened, and one line that says it."""
    # SIGTERM, as systemd sends it, cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _hushed(quiet=quiet):
            yield
    except KeyboardInterrupt:
        _say("Interrupted; nothing half-made was left.", INTERRUPTED, as_json)
        sys.exit(INTERRUPTED)
    except BackupError as error:
        _say(str(error), error.exit_code, as_json)
        sys.exit(error.exit_code)
    except Exception as error:
        _say(f"{type(error).__name__}: {error}", FAILED, as_json)
        sys.exit(FAILED)


def _say(message: str, code: int, as_json: bool) -> None:
    if as_json:
        line = json.dumps({"event": "failed", "exit": code, "error": message})
    else:
        line = f"\r\x1b[K{message}" if sys.stderr.isatty() else message
    sys.stderr.write(line + "\n")
