"""The table of runs, brought in line with what really lies on the shelf."""

import structlog
from django.db import IntegrityError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.backups import locks
from apps.backups.errors import BackupError, Busy
from apps.backups.manifest import Manifest
from apps.backups.models import BackupRun, What
from apps.backups.shelves import read_manifest, shelf_of

log = structlog.get_logger(__name__)


def what_of(found: Manifest) -> What:
    """What a backup holds."""
    if found.content is None:
        return What.DATABASE
    return What.ALL if found.database else What.CONTENT


def fields_of(found: Manifest) -> dict[str, object]:
    """A run's columns as a manifest tells them."""
    return {
        "what": what_of(found),
        "kind": found.kind,
        "state": BackupRun.State.DONE,
        "started_at": parse_datetime(found.started_at),
        "finished_at": parse_datetime(found.finished_at),
        "size": found.stored_bytes,
        "plain_size": found.unpacked_bytes,
        "is_encrypted": found.is_encrypted,
        "warnings": found.warnings,
        "stage": "",
    }


def sync(storage: str = "backups") -> int:
    """Add backups that the table does not know, mark those that are gone; gives the changes."""
    shelf = shelf_of(storage)
    listed = shelf.names()
    runs = BackupRun.objects.filter(storage=storage)
    known = dict(runs.exclude(name="").values_list("name", "state"))
    changes = 0
    for name in listed:
        if known.get(name) == BackupRun.State.DONE:
            continue
        try:
            fields = fields_of(read_manifest(shelf, name))
        except BackupError as error:
            fields = {"state": BackupRun.State.DONE, "problem": str(error)}
        try:
            BackupRun.objects.update_or_create(storage=storage, name=name, defaults=fields)
        except IntegrityError:
            # Two of us at once: the other one has added it.
            continue
        changes += 1
    gone = runs.finished().exclude(name__in=listed)
    return changes + gone.update(state=BackupRun.State.DELETED)


def bury_the_dead() -> int:
    """Mark runs as failed whose process was killed: the lock is free, so none can be alive."""
    # Of a reading or drill that was killed; a living one writes it again in a moment.
    BackupRun.objects.finished().exclude(stage="").update(stage="")
    try:
        with locks.exclusive():
            return BackupRun.objects.filter(state=BackupRun.State.RUNNING).update(
                state=BackupRun.State.FAILED,
                finished_at=timezone.now(),
                error="Its process ended in the middle.",
            )
    except Busy:
        return 0
