"""What may be asked of backups: make one, verify, drill, list, prune, keep a job's schedule.

Restoring is not among these for the web: `restoring` is called by the management command only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from django.db import DatabaseError, connections, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from apps.backups import archiving, index, retention, running, tasks
from apps.backups.dumpers.base import dumper_of
from apps.backups.errors import BackupError, Busy, Damaged, NotFound
from apps.backups.manifest import Manifest
from apps.backups.models import BackupJob, BackupRun, What
from apps.backups.progress import Progress
from apps.backups.shelves import found, read_manifest, shelf_of
from apps.backups.streams import identities_of
from apps.backups.verifying import Backup, verify
from apps.core import audit
from apps.core.models import User

log = structlog.get_logger(__name__)

QUEUE = "work"


# -- Making -------------------------------------------------------------------------------------


def start_backup(
    *,
    by: User | None,
    what: str = What.ALL,
    storage: str = "backups",
    job: BackupJob | None = None,
) -> BackupRun:
    """Ask for a backup; a worker makes it. Raises Busy while one is asked for or under way."""
    index.bury_the_dead()
    with transaction.atomic():
        if BackupRun.objects.under_way().exists():
            raise Busy("A backup is under way already.")
        run = BackupRun.objects.create(
            job=job, what=what, storage=storage, requested_by=by, kind=BackupRun.Kind.MANUAL
        )
        audit.record(actor=by, action="start backup", about=run)
        _after_commit(tasks.carry_out_backup, run)
    return run


def start_verification(run: BackupRun, *, by: User | None) -> None:
    """Have a worker read a backup again."""
    _must_exist(run)
    audit.record(actor=by, action="verify backup", about=run)
    _after_commit(tasks.verify_backup, run)


def start_drill(run: BackupRun, *, by: User | None) -> None:
    """Have a worker restore a backup into a scratch place."""
    _must_exist(run)
    audit.record(actor=by, action="drill backup", about=run)
    _after_commit(tasks.drill_backup, run)


def _must_exist(run: BackupRun) -> None:
    if run.state != BackupRun.State.DONE:
        raise NotFound(f"{run} is no finished backup.")


def _after_commit(task: Any, run: BackupRun) -> None:
    transaction.on_commit(partial(_enqueue, task, run), robust=True)


def _enqueue(task: Any, run: BackupRun) -> None:
    try:
        task.apply_async(args=[str(run.pk)], queue=QUEUE, retry=False)
    except Exception as error:
        log.warning("no worker could be told", run=str(run.pk), error=type(error).__name__)
        BackupRun.objects.filter(pk=run.pk, state=BackupRun.State.QUEUED).update(
            state=BackupRun.State.FAILED,
            finished_at=timezone.now(),
            error="The task queue does not answer: is Gator running?",
        )


def make_backup(
    *, what: str, storage: str, encrypt: bool, progress: Progress
) -> tuple[Manifest, list[str]]:
    """Make a backup here and now; gives its manifest, and what was not quite as it should be.

    Without a usable table of runs (content of a broken studio) it is made all the same.
    """
    try:
        run = BackupRun.objects.create(what=what, storage=storage)
    except DatabaseError:
        if what != What.CONTENT:
            raise
        order = archiving.Order(
            kind=BackupRun.Kind.MANUAL,
            what=what,
            storage=storage,
            encrypt=encrypt,
            progress=progress,
        )
        made = archiving.make_backup(order)
        return made, list(made.warnings)
    made = running.carry_out(run, encrypt=encrypt, also=progress)
    run.refresh_from_db()
    return made, list(run.warnings)


@contextmanager
def saved_first() -> Iterator[str]:
    """Around a migration: a verified backup of a database that holds data, listed afterwards.

    Gives its name, or "" when there is nothing to lose. Before the migration it touches no row of
    ours: the tables are still those of the older release.
    """
    name = ""
    if not dumper_of(connections["default"].settings_dict).is_empty():
        name = archiving.make_backup(archiving.Order(kind=BackupRun.Kind.BEFORE_MIGRATION)).id
    yield name
    if name:
        try:
            index.sync()
        except (BackupError, OSError, DatabaseError) as error:
            # It is made and whole; the hourly look lists it.
            log.warning("the backup could not be listed", backup=name, error=str(error))


# -- Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of `backup --list`."""

    name: str
    made_at: str
    kind: str
    holds: str
    engine: str
    bytes: int
    encrypted: bool
    verified_at: str | None
    proven_at: str | None
    problem: str


def entries(storage: str = "backups") -> list[Entry]:
    """Every finished backup of a storage, oldest first, with what the table knows of it."""
    shelf = shelf_of(storage)
    known = _known(storage)
    listed = []
    for name in shelf.names():
        run = known.get(name)
        verified = run.verified_at.isoformat() if run and run.verified_at else None
        proven = run.proven_at.isoformat() if run and run.proven_at else None
        problem = run.problem if run else ""
        try:
            made = read_manifest(shelf, name)
        except BackupError as error:
            listed.append(
                Entry(
                    name=name,
                    made_at="",
                    kind="",
                    holds="",
                    engine="",
                    bytes=0,
                    encrypted=False,
                    verified_at=None,
                    proven_at=None,
                    problem=str(error),
                )
            )
            continue
        listed.append(
            Entry(
                name=name,
                made_at=made.started_at,
                kind=made.kind,
                holds=index.what_of(made),
                engine=made.database.engine if made.database else "",
                bytes=made.stored_bytes,
                encrypted=made.is_encrypted,
                verified_at=verified,
                proven_at=proven,
                problem=problem,
            )
        )
    return listed


def _known(storage: str) -> dict[str, BackupRun]:
    try:
        return {run.name: run for run in BackupRun.objects.filter(storage=storage) if run.name}
    except DatabaseError:
        # Backups can be listed on a machine that has no studio yet.
        return {}


def verify_backups(
    names: list[str], *, storage: str, identities: list[object], progress: Progress
) -> dict[str, str]:
    """Read backups again (all of them for no names); gives each name's problem, or ""."""
    results = {}
    for name in names or shelf_of(storage).names():
        shelf, real = found(name, storage)
        run = _known(storage).get(real) if "/" not in name else None
        try:
            if run is None:
                verify(Backup.at(shelf, real, identities), progress)
            else:
                running.check(run, identities=identities, also=progress)
        except Damaged as error:
            results[real] = str(error)
        else:
            results[real] = ""
    return results


def drill_backup(name: str, *, storage: str, identities: list[object], progress: Progress) -> str:
    """Prove that a backup restores; gives its name."""
    _, real = found(name, storage)
    index.sync(storage)
    run = BackupRun.objects.get(storage=storage, name=real)
    running.prove(run, identities=identities, also=progress)
    return real


def prune(storage: str, *, dry_run: bool) -> list[str]:
    """Delete what retention no longer keeps, or only say what that would be."""
    index.sync(storage)
    job = BackupJob.objects.filter(storage=storage, is_enabled=True).first()
    return retention.prune(storage, rules=retention.Rules.of(job), dry_run=dry_run)


def read_identities(path: str) -> list[object]:
    """The secret keys in a file; it is read here and kept nowhere."""
    try:
        return identities_of(Path(path).expanduser().read_text())
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}.") from None


# -- Jobs ---------------------------------------------------------------------------------------


def save_job(job: BackupJob, *, by: User | None) -> None:
    """Store a job and the beat schedule that ticks it."""
    with transaction.atomic():
        job.save()
        fields = {
            "name": f"Backup: {job.name}",
            "task": "create_automated_backup",
            "queue": QUEUE,
            "crontab": job.schedule,
            "args": f'["{job.pk}"]',
            "enabled": job.is_enabled,
            "description": "Made by the backup job of this name; change it there.",
        }
        if job.task is None:
            job.task = PeriodicTask.objects.create(**fields)
            job.save(update_fields=["task"])
        else:
            for name, value in fields.items():
                setattr(job.task, name, value)
            # save(), not update(): beat notices changes by the model's own signal.
            job.task.save()
        audit.record(actor=by, action="save backup job", about=job)


def delete_job(job: BackupJob, *, by: User | None) -> None:
    """Delete a job and its schedule; its backups stay."""
    with transaction.atomic():
        audit.record(actor=by, action="delete backup job", about=job)
        task = job.task
        job.delete()
        if task is not None:
            task.delete()
