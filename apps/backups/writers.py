"""Who writes to the database while a restore wants to replace it: stop them, or refuse.

`manage.py up` is asked over its control socket, one line of JSON each way:
`{"do": "stop-writers"}` ends web, workers and beat and answers `{"ok": true, ...}` once they are
gone; `{"do": "start-writers"}` brings them back. Valkey keeps running. Whoever was started in
another way is seen by the lease it holds.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError

from apps.backups import journal
from apps.backups.errors import BackupError, Busy
from apps.backups.journal import Step
from apps.core.models import Lease
from gator import valkey

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 30
# So long may a worker that was just stopped take to give its lease back.
PATIENCE = 3.0


def ask_up(verb: str) -> dict[str, Any] | None:
    """One request to `up`; None when none runs here."""
    path = valkey.run_dir(settings.GATOR_VAR) / "control.sock"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        try:
            connection.sendall(json.dumps({"do": verb}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline() or b"{}")
        except (OSError, ValueError) as error:
            raise BackupError(f"`up` did not answer {verb}: {error}") from error
    if not answer.get("ok"):
        raise BackupError(f"`up` refused {verb}: {answer.get('error', 'no reason given')}")
    return answer


@contextmanager
def stopped() -> Iterator[None]:
    """Nobody writes inside; what `up` runs comes back at the end, if the studio is whole then."""
    if ask_up("stop-writers") is None:
        refuse_living()
        yield
        return
    try:
        refuse_living()
        yield
    finally:
        # A switch that is stuck halfway, or a restore killed here, leaves them stopped: nobody may
        # write to half a studio, and --resume or --rollback starts them.
        left = journal.unfinished()
        if left is None or left.step not in (Step.SWITCHING, Step.SWITCHED):
            ask_up("start-writers")


def refuse_living() -> None:
    """Raise Busy while a worker or beat that `up` does not run here shows signs of life."""
    deadline = time.monotonic() + PATIENCE
    while names := [_named(lease) for lease in _living()]:
        if time.monotonic() > deadline:
            raise Busy(f"Stop these first: {', '.join(names)}.")
        time.sleep(0.2)


def _living() -> list[Lease]:
    try:
        leases = list(Lease.objects.live())
    except DatabaseError:
        # No database, or one that is beyond reading: nobody can be writing to it.
        return []
    return [lease for lease in leases if not _is_dead(lease.holder)]


def _named(lease: Lease) -> str:
    # A worker's lease says already who holds it.
    return lease.name if lease.name.endswith(lease.holder) else f"{lease.name} ({lease.holder})"


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that is gone."""
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def are_running() -> bool:
    """Whether `up` runs here."""
    return ask_up("status") is not None
