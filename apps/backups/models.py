"""Backup jobs, which staff edit, and runs: what is known of every backup made, good or bad."""

from datetime import UTC, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from apps.core.ids import uuid7


class What(models.TextChoices):
    ALL = "all", "Database and content"
    DATABASE = "db", "Database only"
    CONTENT = "content", "Content only"


class BackupJob(models.Model):
    """A backup that recurs: what, where to, when, and how long it is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    is_enabled = models.BooleanField(default=True)
    schedule = models.ForeignKey(
        CrontabSchedule, models.PROTECT, help_text="When, in the schedule's own time zone."
    )
    what = models.CharField(max_length=10, choices=What, default=What.ALL)
    storage = models.CharField(
        max_length=60, default="backups", help_text="An entry of STORAGES in the settings."
    )
    is_encrypted = models.BooleanField(
        default=False,
        verbose_name="encrypted",
        help_text="To BACKUP_AGE_RECIPIENTS; also without this tick when any are set.",
    )
    keep_days = models.PositiveIntegerField(
        default=30, validators=[MinValueValidator(1)], help_text="Every backup is kept this long."
    )
    keep_daily = models.PositiveIntegerField(
        default=7, help_text="And the last one of as many days,"
    )
    keep_weekly = models.PositiveIntegerField(default=4, help_text="of as many weeks,")
    keep_monthly = models.PositiveIntegerField(default=6, help_text="and of as many months.")
    # What beat ticks; kept in step by services.save_job.
    task = models.OneToOneField(PeriodicTask, models.SET_NULL, null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RunQuerySet(models.QuerySet["BackupRun"]):
    def finished(self) -> Self:
        """Those that became a backup."""
        return self.filter(state=BackupRun.State.DONE)

    def verified(self) -> Self:
        """Backups whose every byte has been read back, and nothing bad is known of."""
        return self.finished().filter(verified_at__isnull=False, problem="")

    def proven(self) -> Self:
        """Backups that a drill has restored, the last proven first."""
        return self.verified().filter(proven_at__isnull=False).order_by("-proven_at")

    def under_way(self) -> Self:
        return self.filter(state__in=[BackupRun.State.QUEUED, BackupRun.State.RUNNING])

    def busy(self) -> Self:
        """Those that are being made, read or drilled."""
        return self.under_way() | self.exclude(stage="")


class BackupRun(models.Model):
    """One backup: asked for, under way, made or failed, and what later readings found."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Under way"
        DONE = "done", "Made"
        FAILED = "failed", "Failed"
        DELETED = "deleted", "Deleted"

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"
        MANUAL = "manual", "By hand"
        BEFORE_MIGRATION = "before_migration", "Before a migration"
        BEFORE_RESTORE = "before_restore", "Before a restore"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=30, blank=True, db_index=True)
    storage = models.CharField(max_length=60, default="backups")
    job = models.ForeignKey(BackupJob, models.SET_NULL, null=True, blank=True, related_name="runs")
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.MANUAL)
    what = models.CharField(max_length=10, choices=What, default=What.ALL)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Where it is now: shown in the admin while it runs.
    stage = models.CharField(max_length=60, blank=True)
    done_bytes = models.PositiveBigIntegerField(default=0)
    expected_bytes = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes, as stored.")
    plain_size = models.PositiveBigIntegerField(default=0, help_text="Bytes, before packing.")
    is_encrypted = models.BooleanField(default=False)
    verified_at = models.DateTimeField(null=True, blank=True)
    # What a later reading found wrong with it; such a backup is never counted on.
    problem = models.TextField(blank=True)
    proven_at = models.DateTimeField(
        null=True, blank=True, help_text="When a drill last restored it and found all there."
    )
    warnings = models.JSONField(default=list, blank=True)
    error = models.TextField(blank=True)
    log = models.TextField(blank=True, help_text="What was done with it, step by step, in UTC.")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["storage", "name"],
                condition=~models.Q(name=""),
                name="one_run_per_backup",
            )
        ]

    def __str__(self) -> str:
        return self.name or f"Backup of {self.started_at:%Y-%m-%d %H:%M}"

    def note(self, text: str) -> None:
        """Add a line to the log; whoever saves the row next stores it."""
        self.log += f"{timezone.now().astimezone(UTC):%Y-%m-%d %H:%M:%S}  {text}\n"

    @property
    def is_busy(self) -> bool:
        """Whether something is being done with it now."""
        return self.state in (self.State.QUEUED, self.State.RUNNING) or bool(self.stage)

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at else None

    @property
    def bytes_per_second(self) -> int | None:
        """How fast it was, measured on what there was to save."""
        took = self.took
        return int(self.plain_size / took.total_seconds()) if took else None

    @property
    def percent(self) -> int | None:
        if not self.expected_bytes:
            return None
        return min(100, self.done_bytes * 100 // self.expected_bytes)
