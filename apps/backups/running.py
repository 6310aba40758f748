"""Carrying out a run: the backup itself, its row, then retention, the ping and the alarms."""

from contextlib import closing
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from apps.backups import drilling, index, pitr, retention
from apps.backups.archiving import Order, make_backup
from apps.backups.errors import BackupError, Busy, Damaged, WrongKey
from apps.backups.manifest import Manifest
from apps.backups.models import BackupJob, BackupRun
from apps.backups.progress import OnRow, Progress, human_bytes
from apps.backups.shelves import shelf_of
from apps.backups.verifying import Backup, verify
from apps.core import http
from apps.core.alerts import alert

log = structlog.get_logger(__name__)

State = BackupRun.State

# A daily backup may be two hours late before anybody is woken.
LATEST = timedelta(hours=26)
PAGE = "/admin/backups/backuprun/"


def carry_out(run: BackupRun, *, encrypt: bool = False, also: Progress | None = None) -> Manifest:
    """Make the backup that this row asks for; the row tells how it went, whatever happens."""
    index.bury_the_dead()
    run.state, run.started_at = State.RUNNING, timezone.now()
    run.note(f"Begun: {run.get_what_display().lower()}, to {run.storage}")
    run.save(update_fields=["state", "started_at", "log"])
    try:
        with closing(OnRow(run, also)) as progress:
            made = make_backup(
                Order(
                    kind=run.kind,
                    what=run.what,
                    storage=run.storage,
                    encrypt=encrypt,
                    progress=progress,
                )
            )
    except BaseException as error:
        _failed(run, error)
        raise
    for name, value in index.fields_of(made).items():
        setattr(run, name, value)
    run.name = made.id
    run.verified_at = run.finished_at = timezone.now()
    run.note(f"Made: {human_bytes(made.stored_bytes)}, read back")
    run.save()
    log.info("backup made", backup=made.id, bytes=made.stored_bytes)
    _afterwards(run)
    return made


def _failed(run: BackupRun, error: BaseException) -> None:
    words = str(error) or type(error).__name__
    run.note(f"Failed: {words}")
    BackupRun.objects.filter(pk=run.pk).update(
        state=State.FAILED, finished_at=timezone.now(), error=words, stage="", log=run.log
    )
    log.error("backup failed", run=str(run.pk), error=words)
    if isinstance(error, Busy):
        return
    alert(
        key="backups.failed",
        title="A backup failed",
        body=words,
        path=f"{PAGE}{run.pk}/change/",
        level="critical",
    )
    ping(failed=True)


def _afterwards(run: BackupRun) -> None:
    """What may fail without making the backup any worse."""
    try:
        if gone := retention.prune(run.storage, rules=retention.Rules.of(run.job)):
            _note(run, f"Deleted by retention: {', '.join(gone)}")
    except Exception as error:
        log.exception("retention failed")
        _warn(run, f"Old backups could not be deleted: {error}")
    if run.warnings:
        alert(
            key="backups.warnings",
            title="A backup was made with warnings",
            body="\n".join(run.warnings),
            path=f"{PAGE}{run.pk}/change/",
        )
    ping()


def _warn(run: BackupRun, message: str) -> None:
    run.warnings = [*run.warnings, message]
    run.save(update_fields=["warnings"])


def _note(run: BackupRun, text: str, **fields: object) -> None:
    """A line for the log, and with it what else the row learns."""
    run.note(text)
    BackupRun.objects.filter(pk=run.pk).update(log=run.log, **fields)


def ping(*, failed: bool = False) -> None:
    """Tell the dead man's switch that we live: its silence is an alarm that needs nobody here."""
    if not settings.BACKUP_PING_URL:
        return
    try:
        with http.client() as client:
            client.get(settings.BACKUP_PING_URL.rstrip("/") + ("/fail" if failed else ""))
    except Exception as error:
        # The address is a secret of sorts: only the kind of failure is logged.
        log.warning("the ping did not get through", error=type(error).__name__)


def check(
    run: BackupRun, *, identities: list[object] | None = None, also: Progress | None = None
) -> None:
    """Read a backup again and write down what was found; raises Damaged when it is."""
    try:
        with closing(OnRow(run, also)) as progress:
            verify(Backup.at(shelf_of(run.storage), run.name, identities), progress)
    except Damaged as error:
        _is_bad(run, str(error))
        raise
    _note(run, "Read again, every byte: whole", verified_at=timezone.now(), problem="")


def prove(
    run: BackupRun, *, identities: list[object] | None = None, also: Progress | None = None
) -> None:
    """Restore a backup into a scratch database, compare, and write down what came of it."""
    try:
        with closing(OnRow(run, also)) as progress:
            backup = Backup.at(shelf_of(run.storage), run.name, identities)
            verify(backup, progress)
            drilling.drill(backup, progress)
    except Damaged as error:
        _is_bad(run, str(error))
        raise
    except (Busy, WrongKey):
        # Not tried, which says nothing of the backup.
        raise
    except BackupError as error:
        _note(run, f"The drill failed: {error}")
        alert(
            key="backups.drill",
            title=f"The drill of {run.name} failed",
            body=str(error),
            path=f"{PAGE}{run.pk}/change/",
            level="critical",
        )
        raise
    now = timezone.now()
    _note(run, "Drilled: restores completely", verified_at=now, proven_at=now, problem="")


def _is_bad(run: BackupRun, problem: str) -> None:
    _note(run, f"Damaged: {problem}", problem=problem)
    alert(
        key=f"backups.damaged.{run.name}",
        title=f"{run.name} is damaged",
        body=problem,
        path=f"{PAGE}{run.pk}/change/",
        level="critical",
    )


def absence() -> str:
    """For /readyz: the alarm in words that anybody may read, and the alarm itself."""
    return "no verified backup in time" if alarm_if_absent() else ""


def alarm_about_pitr() -> None:
    """Raise the alarm when pgBackRest or Barman is not well."""
    if problem := pitr.ask():
        alert(
            key="backups.pitr",
            title="The write-ahead log is not kept as it should be",
            body=problem,
            path=PAGE,
            level="critical",
        )


def alarm_if_absent() -> bool:
    """Raise the alarm when a job that should have run has no verified backup in 26 hours.

    On absence, not on failure: a beat that died fails nothing. So beat's hourly check asks this,
    and the web side too, whenever it is asked how the studio is.
    """
    since = timezone.now() - LATEST
    late = []
    for job in BackupJob.objects.filter(is_enabled=True, created_at__lt=since):
        limit = max(LATEST, _rhythm(job) + timedelta(hours=2))
        recent = BackupRun.objects.verified().filter(
            storage=job.storage, what=job.what, started_at__gt=timezone.now() - limit
        )
        if not recent.exists():
            late.append(job.name)
    if late:
        alert(
            key="backups.absent",
            title="No verified backup in time",
            body=f"These jobs have none: {', '.join(late)}.",
            path=PAGE,
            level="critical",
        )
    return bool(late)


def _rhythm(job: BackupJob) -> timedelta:
    """How far apart the job's runs are meant to be: a day, a week or a month."""
    schedule = job.schedule
    if schedule.day_of_month != "*" or schedule.month_of_year != "*":
        return timedelta(days=31)
    if schedule.day_of_week != "*":
        return timedelta(days=7)
    return timedelta(days=1)
