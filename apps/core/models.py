"""The shared floor's rows: users, audit trail, leases, alerts, event journal, API replays."""

from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7


class User(AbstractUser):
    """A person who signs in: a fan, or staff (`is_staff`); personas are not users."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Every token carries this number; raising it revokes them all.
    token_version = models.PositiveIntegerField(default=0, editable=False)

    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"

    @property
    def shown_name(self) -> str:
        """The name others see."""
        return self.get_full_name() or self.username


class AppendOnlyError(Exception):
    """Somebody tried to change or delete a row of the audit trail."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError("The audit trail is append-only.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("The audit trail is append-only.")


class AuditEntry(models.Model):
    """Who did what to which thing, and when; append-only."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    # Kept as text too: the trail must outlive the account.
    actor = models.ForeignKey(User, models.DO_NOTHING, null=True, db_constraint=False)
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=64, db_index=True)
    object_label = models.CharField(max_length=200)
    details = models.JSONField(default=dict, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.object_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("The audit trail is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("The audit trail is append-only.")


class LeaseQuerySet(models.QuerySet["Lease"]):
    def live(self) -> Self:
        return self.filter(expires_at__gt=timezone.now())


class Lease(models.Model):
    """A name one process holds until it expires: beat's right to tick, a worker's sign of life."""

    name = models.CharField(max_length=120, primary_key=True)
    holder = models.CharField(max_length=120)
    expires_at = models.DateTimeField()

    objects = LeaseQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} by {self.holder}"


class Alert(models.Model):
    """Something a person should look at, with a link to where it is dealt with."""

    class Level(models.TextChoices):
        INFO = "info", "For information"
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=200, db_index=True, help_text="What repeats count under.")
    level = models.CharField(max_length=10, choices=Level, default=Level.WARNING)
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    path = models.CharField(max_length=500, blank=True, help_text="The page that deals with it.")
    raised_at = models.DateTimeField(default=timezone.now, db_index=True)
    repeats = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    failures = models.JSONField(default=dict, blank=True, help_text="Channel: why it failed.")

    class Meta:
        ordering = ("-raised_at",)

    def __str__(self) -> str:
        return self.title


class EventHandling(models.Model):
    """One handler's run for one named event: the journal by which a run cut short is seen."""

    event = models.CharField(max_length=60)
    handler = models.CharField(max_length=200)
    payload = models.JSONField(default=dict)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"{self.event} -> {self.handler}"


class ReplayableResponse(models.Model):
    """The answer to an unsafe API call that carried an Idempotency-Key, kept for a day."""

    user = models.ForeignKey(User, models.CASCADE)
    key = models.CharField(max_length=200)
    # SHA-256 of method, path and body: the same key with another request is a mistake.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "key"], name="one_response_per_key")
        ]

    def __str__(self) -> str:
        return self.key
