"""SQLite's stage: a file beside the live one, put in its place by os.replace."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from apps.backups.dumpers.base import Place
from apps.backups.errors import BackupError, Busy
from apps.backups.stages.base import Position
from apps.backups.stages.files import fsync_folder
from apps.backups.using import place_like

log = structlog.get_logger(__name__)

_SIDES = ("-wal", "-shm", "-journal")
LOCK_SECONDS = 5


class SqliteStage:
    """A database file."""

    def __init__(self, live: Place, number: str) -> None:
        self.live = live
        self._live = Path(str(live["NAME"]))
        self._staged = self._live.with_name(f".{self._live.name}.restore-{number}")
        self._previous = self._live.with_name(f"{self._live.name}.before-{number}")
        self.place = place_like(live, str(self._staged))

    def preflight(self) -> None:
        if not os.access(self._live.parent, os.W_OK):
            raise BackupError(f"{self._live.parent} is not writable: the database lies there.")

    def prepare(self) -> None:
        self.discard()

    def discard(self) -> None:
        for suffix in ("", *_SIDES):
            Path(f"{self._staged}{suffix}").unlink(missing_ok=True)

    def position(self) -> Position:
        if self._staged.exists():
            return Position.STAGED
        return Position.SWITCHED if self._previous.exists() else Position.NOTHING

    def switch(self) -> None:
        if self.position() != Position.STAGED:
            return
        _settle(self._staged)
        _replace(self._live, self._staged, self._previous)

    def unswitch(self) -> None:
        if not self._previous.exists():
            return
        if self._staged.exists():
            # Cut short between link and replace: the live file is still the old one.
            if self._live.exists() and self._live.samefile(self._previous):
                self._previous.unlink()
                return
            self._staged.unlink()
        _replace(self._live, self._previous, self._staged)

    def drop_previous(self) -> None:
        for suffix in ("", *_SIDES):
            Path(f"{self._previous}{suffix}").unlink(missing_ok=True)


def _settle(path: Path) -> None:
    """One file, synced, with no log beside it."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=LOCK_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(live: Path, coming: Path, going: Path) -> None:
    """Put `coming` in the place of `live`, which stays as `going`; a reader sees one or the other.

    A write-ahead log belongs to a name, not to a file: one left by the old file would be replayed
    into the new one. So the old file leaves WAL mode first, stays locked until the new one has
    its name, and whoever had it open by then makes us put it back.
    """
    if not live.exists():
        coming.rename(live)
        fsync_folder(live.parent)
        return
    with _locked(live) as was_readable:
        if not was_readable:
            # Malformed already: keep it with its log, as it is.
            for suffix in _SIDES:
                side = Path(f"{live}{suffix}")
                if side.exists():
                    side.replace(f"{going}{suffix}")
        going.unlink(missing_ok=True)
        # A second name first: at no moment is there no database.
        os.link(live, going)
        inode = live.stat().st_ino
        os.replace(coming, live)
        fsync_folder(live.parent)
        if readers := _who_has_open(inode):
            os.link(live, coming)
            os.replace(going, live)
            fsync_folder(live.parent)
            raise Busy(f"The database is still open in process {', '.join(map(str, readers))}.")


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the file exclusively; yields False when it is no database any more."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=LOCK_SECONDS)) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
            if mode != "delete":
                raise Busy("Somebody still uses the database: stop web, workers and beat.")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise Busy(
                    "Somebody still uses the database: stop web, workers and beat."
                ) from error
            log.warning("the live database is malformed", error=str(error))
            yield False
            return
        except sqlite3.DatabaseError as error:
            log.warning("the live database is malformed", error=str(error))
            yield False
            return
        yield True
        connection.execute("ROLLBACK")


def _who_has_open(inode: int) -> list[int]:
    """Other processes that hold the file open (Linux; elsewhere the lock has to do)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            for descriptor in (folder / "fd").iterdir():
                if descriptor.stat().st_ino == inode:
                    found.append(int(folder.name))
                    break
        except OSError:
            continue
    return found
