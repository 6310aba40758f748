"""The restore's journal: a file outside the database that says what is being done, before it is
done, so that a restore cut short can be finished or undone."""

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.conf import settings


class Step(StrEnum):
    """How far a restore is.

    staging -> staged -> switching -> switched -> done, and from each of them -> rolled_back.
    Up to `staged` nothing that is live has been touched.
    """

    STAGING = "staging"
    STAGED = "staged"
    SWITCHING = "switching"
    SWITCHED = "switched"
    DONE = "done"
    ROLLED_BACK = "rolled_back"


FINAL = frozenset({Step.DONE, Step.ROLLED_BACK})


@dataclass(frozen=True, kw_only=True)
class Journal:
    """One restore."""

    id: str
    backup: str
    source: str
    step: Step
    what: str
    cross_engine: bool
    started_at: str
    # A rehearsal never switches; killed, it only leaves something to remove.
    rehearsal: bool = False
    # The safety backup that was made of the present, if any.
    safety: str = ""

    @property
    def is_unfinished(self) -> bool:
        return self.step not in FINAL

    @property
    def began(self) -> datetime:
        return datetime.fromisoformat(self.started_at)

    def at(self, step: Step, **changes: Any) -> "Journal":
        """Write down the next step; returns only when the disk has it."""
        changed = replace(self, step=step, **changes)
        changed.write()
        return changed

    def write(self) -> None:
        folder().mkdir(mode=0o700, exist_ok=True)
        path = folder() / f"{self.id}.json"
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def forget(self) -> None:
        """Remove the journal once nothing can be undone any more."""
        (folder() / f"{self.id}.json").unlink(missing_ok=True)


def folder() -> Path:
    """Where journals lie."""
    return Path(settings.GATOR_VAR) / "restores"


def number_now() -> str:
    """A number for a new stage: the moment, in UTC."""
    return f"{datetime.now(UTC):%Y%m%d_%H%M%S}"


def new(*, backup: str, source: str, what: str, cross_engine: bool, rehearsal: bool) -> Journal:
    """The journal of a restore that begins."""
    now = datetime.now(UTC)
    for left in folder().glob("*.draft"):
        # By a restore that was killed while it wrote; only one runs at a time.
        left.unlink()
    number = number_now()
    while (folder() / f"{number}.json").exists():
        # Two within a second, or a clock that went back.
        number += "x"
    made = Journal(
        id=number,
        backup=backup,
        source=source,
        step=Step.STAGING,
        what=what,
        cross_engine=cross_engine,
        started_at=now.isoformat(),
        rehearsal=rehearsal,
    )
    made.write()
    return made


def all_journals() -> list[Journal]:
    """Every restore that is remembered, oldest first."""
    found = []
    for path in sorted(folder().glob("*.json")):
        content = json.loads(path.read_text())
        found.append(Journal(**{**content, "step": Step(content["step"])}))
    return found


def unfinished() -> Journal | None:
    """The restore that was cut short, if there is one."""
    return next((each for each in reversed(all_journals()) if each.is_unfinished), None)
