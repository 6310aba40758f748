"""Whether pgBackRest or Barman, which keep PostgreSQL's write-ahead log, are well: they are asked,
never run. BACKUP_PITR names which: `pgbackrest:STANZA` or `barman:SERVER`.
"""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection

from apps.backups.errors import BackupError

# A base backup is made weekly at least; a day more may pass before anybody is woken.
OLDEST = timedelta(days=8)
SECONDS = 60
KEPT_SECONDS = 3 * 3_600
CACHED = "backups.pitr"


def ask() -> str:
    """Why a recovery to a point in time could not be relied on; "" when it could, or is not set.

    The answer is kept for `advice`: a web process should run no programs.
    """
    if not settings.BACKUP_PITR:
        return ""
    tool, _, name = settings.BACKUP_PITR.partition(":")
    try:
        problem = _ASKED[tool](name) or _archiver()
    except BackupError as error:
        problem = str(error)
    cache.set(CACHED, problem, KEPT_SECONDS)
    return problem


def advice() -> str:
    """For /readyz, which anybody may read: that the last answer was bad, not what it said."""
    bad = settings.BACKUP_PITR and cache.get(CACHED, "")
    return "the write-ahead log's archive needs a look (Alerts)" if bad else ""


def _said(command: list[str]) -> Any:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise BackupError(f"{command[0]} does not run: {error}") from error
    try:
        # Barman ends with 1 when a check failed, and says in its answer which.
        return json.loads(done.stdout)
    except ValueError:
        words = (done.stderr or done.stdout).strip()[-300:]
        raise BackupError(f"{command[0]} ended with {done.returncode}: {words}") from None


def _pgbackrest(stanza: str) -> str:
    found = _said(["pgbackrest", f"--stanza={stanza}", "--output=json", "info"])
    status = next((each for each in found if each.get("name") == stanza), None)
    if status is None:
        return f"pgBackRest knows no stanza {stanza}."
    if code := status["status"]["code"]:
        return f"pgBackRest: {status['status'].get('message', code)} (stanza {stanza})."
    stops = [each["timestamp"]["stop"] for each in status["backup"]]
    return _too_old(datetime.fromtimestamp(max(stops), UTC)) if stops else "It has no base backup."


def _barman(server: str) -> str:
    found = _said(["barman", "--format", "json", "check", server])
    checks = found.get(server, {})
    failed = [
        f"{name} ({check['hint']})" if check.get("hint") else name
        for name, check in checks.items()
        if isinstance(check, dict) and check.get("status") != "OK"
    ]
    if not checks:
        return f"Barman knows no server {server}."
    return f"Barman: {', '.join(failed)}." if failed else ""


def _too_old(newest: datetime) -> str:
    age = datetime.now(UTC) - newest
    return f"The newest base backup is {age.days} days old." if age > OLDEST else ""


def _archiver() -> str:
    """PostgreSQL's own word on its archive_command, where it uses one."""
    if connection.vendor != "postgresql":
        return "BACKUP_PITR is set, but this studio runs on SQLite."
    query = (
        "SELECT last_failed_wal FROM pg_stat_archiver "
        "WHERE last_failed_time > coalesce(last_archived_time, '-infinity')"
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
    except DatabaseError as error:
        raise BackupError(f"The archiver's state cannot be read: {error}") from error
    return f"PostgreSQL could not archive {row[0]}." if row else ""


def is_valid(text: str) -> bool:
    """Whether a setting names a tool we know and something it may know."""
    tool, _, name = text.partition(":")
    return tool in _ASKED and re.fullmatch(r"\w[\w.-]*", name) is not None


_ASKED: dict[str, Callable[[str], str]] = {"pgbackrest": _pgbackrest, "barman": _barman}
