"""A stage: the place beside the live one where a restore is built, and the switch between them.

Every stage can tell from the names alone how far its switch is; the journal need not know more
than that a switch was begun.
"""

from enum import StrEnum
from importlib import import_module
from typing import Protocol

from apps.backups.dumpers.base import Place


class Position(StrEnum):
    """Where a stage stands."""

    NOTHING = "nothing"
    STAGED = "staged"
    SWITCHED = "switched"


class Stage(Protocol):
    """Something that a restore replaces as a whole."""

    def preflight(self) -> None:
        """Raise when staging or switching could not work here."""

    def prepare(self) -> None:
        """Make the empty place beside the live one."""

    def discard(self) -> None:
        """Remove the place beside the live one."""

    def position(self) -> Position:
        """How far it is, seen from what there is."""

    def switch(self) -> None:
        """Put the staged in place and keep the present beside it; may be repeated."""

    def unswitch(self) -> None:
        """The way back; may be repeated."""

    def drop_previous(self) -> None:
        """Let go of what was live before."""


class DatabaseStage(Stage, Protocol):
    """A stage that is a database."""

    live: Place
    place: Place


_STAGES = {
    "django.db.backends.sqlite3": "apps.backups.stages.sqlite:SqliteStage",
    "django.db.backends.postgresql": "apps.backups.stages.postgresql:PostgresStage",
}


def database_stage(live: Place, number: str) -> DatabaseStage:
    """The stage of the restore `number` beside a live database."""
    module, _, attribute = _STAGES[live["ENGINE"]].partition(":")
    stage: DatabaseStage = getattr(import_module(module), attribute)(live, number)
    return stage
