"""Celery's entry points for backups; each carries ids only."""

from uuid import UUID

import structlog
from celery import shared_task

from apps.backups import index, restoring, retention, running
from apps.backups.errors import BackupError, WrongKey
from apps.backups.models import BackupJob, BackupRun, What

log = structlog.get_logger(__name__)


class RestoreRefused(Exception):
    """A restore is never started from a queue."""


@shared_task(name="create_automated_backup", ignore_result=False)
def create_automated_backup(job_id: str | None = None) -> dict[str, str]:
    """Carry out a job, or without one every job that is enabled; gives each job's backup."""
    jobs = BackupJob.objects.filter(is_enabled=True)
    if job_id is not None:
        jobs = jobs.filter(pk=UUID(job_id))
    made: dict[str, str] = {}
    for job in jobs:
        run = BackupRun.objects.create(
            job=job, kind=BackupRun.Kind.SCHEDULED, what=job.what, storage=job.storage
        )
        made[job.name] = running.carry_out(run, encrypt=job.is_encrypted).id
    return made


@shared_task(name="carry_out_backup")
def carry_out_backup(run_id: str) -> str:
    """Carry out a run that somebody asked for."""
    run = BackupRun.objects.get(pk=UUID(run_id))
    if run.state != BackupRun.State.QUEUED:
        # The hint came twice.
        return run.name
    encrypt = run.job.is_encrypted if run.job else False
    return running.carry_out(run, encrypt=encrypt).id


@shared_task(name="verify_backup")
def verify_backup(run_id: str) -> str:
    """Read one backup again."""
    run = BackupRun.objects.get(pk=UUID(run_id))
    running.check(run)
    return run.name


@shared_task(name="drill_backup")
def drill_backup(run_id: str | None = None) -> str:
    """Restore a backup, by default the newest with a database, into a scratch place."""
    runs = BackupRun.objects.verified()
    # A studio may save its files more often than its rows; what has to be proven is the rows.
    newest = runs.exclude(what=What.CONTENT).first() or runs.first()
    run = runs.get(pk=UUID(run_id)) if run_id else newest
    if run is None:
        return ""
    try:
        running.prove(run)
    except WrongKey:
        if run_id:
            raise
        log.info("an encrypted backup cannot be drilled without its key", backup=run.name)
        return ""
    return run.name


@shared_task(name="cleanup_old_backups", ignore_result=False)
def cleanup_old_backups() -> dict[str, list[str]]:
    """Delete what retention no longer keeps, and what restores older than a week replaced."""
    deleted = {"previous": restoring.drop_previous()}
    for job in BackupJob.objects.filter(is_enabled=True):
        rules = retention.Rules.of(job)
        deleted[job.name] = retention.prune(job.storage, rules=rules)
    return deleted


@shared_task(name="check_backups")
def check_backups() -> None:
    """Hourly: align the table with the storage, read one unread backup, look for absence."""
    try:
        _look_after_shelves()
    finally:
        # Whatever went wrong above is the very reason to look.
        running.alarm_if_absent()
    running.alarm_about_pitr()


def _look_after_shelves() -> None:
    index.bury_the_dead()
    for storage in sorted({"backups", *BackupJob.objects.values_list("storage", flat=True)}):
        try:
            index.sync(storage)
        except (BackupError, OSError) as error:
            log.warning("the storage could not be listed", storage=storage, error=str(error))
    unread = BackupRun.objects.finished().filter(verified_at=None, problem="").first()
    if unread is not None:
        try:
            running.check(unread)
        except BackupError as error:
            log.warning("an unread backup did not verify", backup=unread.name, error=str(error))


@shared_task(name="restore_backup", ignore_result=False)
def restore_backup(path: str) -> None:
    """Refuse: restoring replaces the studio, so a superuser does it at a shell."""
    raise RestoreRefused(
        f"Restoring is done at a shell: python manage.py restore {path!s:.200} (docs/backups.md)."
    )
