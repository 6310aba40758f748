"""What every database offers: a consistent dump as plain SQL, and loading one into a new place."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from apps.backups.errors import BadRequest
from apps.backups.streams import Chunks

# Settings of one database, as in settings.DATABASES.
Place = dict[str, Any]

# The end of every dump is kept and looked at: a dump without its mark is no dump.
TAIL = 4_096


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is compared after a restore."""

    rows: dict[str, int]
    sequences: dict[str, int]


class Snapshot(Protocol):
    """One moment of a database, held still while it is read."""

    facts: Facts
    migrations: dict[str, list[str]]
    server_version: str
    tool_version: str
    # About how much SQL will come, for the progress bar.
    size: int

    def sql(self) -> Iterator[bytes]:
        """The dump; raises when the database or its tool fails, however late."""


class Dumper(Protocol):
    """One kind of database."""

    engine: str

    def preflight(self) -> None:
        """Raise when a backup could not succeed: no tool, one too old, no connection."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Hold one moment still."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep out backups and restores of this database by other machines; Busy at once."""

    def is_complete(self, tail: bytes) -> bool:
        """Whether a dump with this end was written to its end."""

    def load(self, chunks: Chunks) -> None:
        """Load a dump into this empty place; commits only after the last chunk has come."""

    def check(self) -> None:
        """The database's own word on what was loaded."""

    def facts(self) -> Facts:
        """Rows and sequences as they are now."""

    def is_empty(self) -> bool:
        """Whether nothing of Gator is here yet."""


_DUMPERS = {
    "django.db.backends.sqlite3": "apps.backups.dumpers.sqlite:SqliteDumper",
    "django.db.backends.postgresql": "apps.backups.dumpers.postgresql:PostgresDumper",
}


def dumper_of(place: Place) -> Dumper:
    """The dumper for a database's settings."""
    name = _DUMPERS.get(place["ENGINE"])
    if name is None:
        raise BadRequest(f"{place['ENGINE']} cannot be backed up.")
    module, _, attribute = name.partition(":")
    dumper: Dumper = getattr(import_module(module), attribute)(place)
    return dumper
