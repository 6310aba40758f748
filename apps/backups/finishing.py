"""What a staged or restored studio needs before people meet it again."""

from typing import Any

import redis
import structlog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from apps.backups import index
from apps.backups.dumpers.base import Place
from apps.backups.errors import BackupError
from apps.backups.journal import Journal
from apps.backups.models import BackupRun
from apps.backups.using import as_default
from apps.backups.verifying import Backup
from apps.core import audit, events
from apps.core.models import Alert, Lease

log = structlog.get_logger(__name__)


def _plan() -> list[Any]:
    executor = MigrationExecutor(connection)
    return list(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate(place: Place) -> bool:
    """Bring a staged database of an older release to this one's tables; tells if it had to."""
    with as_default(place):
        if not _plan():
            return False
        call_command("migrate", interactive=False, verbosity=0)
        return True


class _Undo(Exception):
    """Ends the test's transaction."""


def try_writing(place: Place) -> None:
    """Insert a row and take it back: a database that reads well may still refuse to write."""
    with as_default(place):
        try:
            with transaction.atomic():
                Alert.objects.create(key="backups.trial", title="A trial, taken back")
                raise _Undo
        except _Undo:
            pass


def settle(backup: Backup, note: Journal) -> None:
    """Make the past fit the present: hold what might go out twice, end sessions, drop leases.

    Runs on the staged database and may run again on it.
    """
    Session.objects.all().delete()
    Lease.objects.all().delete()
    # The row of that time says that this very backup is still under way; its manifest, which
    # the index reads now, knows better.
    BackupRun.objects.under_way().delete()
    try:
        index.sync()
    except (BackupError, OSError) as error:
        # The hourly check does it again.
        log.warning("the list of backups was not rebuilt", error=str(error))
    try:
        events.emit(
            "database_restored", backup=backup.manifest.id, made_at=backup.manifest.started_at
        )
    except events.EventFailed as error:
        raise BackupError(f"The restored posts could not be held: {error}") from error
    audit.record(
        actor=None,
        action="restore",
        backup=backup.manifest.id,
        made_at=backup.manifest.started_at,
        restore=note.id,
    )


def smoke_test(*, has_database: bool) -> None:
    """Ask the studio that is live now the simplest questions; raise when it cannot answer."""
    if not has_database:
        return
    if plan := _plan():
        raise BackupError(f"The restored database lacks migrations: {plan[0][0]}.")
    with transaction.atomic():
        BackupRun.objects.count()
        Alert.objects.create(key="backups.trial", title="A trial, taken back").delete()


def purge_queues() -> None:
    """Empty the task queues: they hold hints about rows of another time."""
    from celery import current_app

    try:
        # Asked first: Celery would try a dead broker again and again.
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1) as probe:
            probe.ping()
        with current_app.connection_for_write(connect_timeout=2) as broker:
            channel: Any = broker.default_channel
            queues = {settings.CELERY_TASK_DEFAULT_QUEUE}
            queues |= {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
            for queue in queues:
                channel.queue_purge(queue)
    except Exception as error:
        # A stale hint finds a row that says otherwise: the row decides.
        log.info("queues were not purged", error=type(error).__name__)
