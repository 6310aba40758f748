"""Webhooks out: who is told of which events, each message, and every try to deliver it."""

from typing import ClassVar, Self
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.core.fields import EncryptedField
from apps.core.ids import uuid7
from apps.personas.models import Persona


class WebhookEndpoint(models.Model):
    """An address that is told what becomes of deliveries, by signed POST (Standard Webhooks)."""

    class Event(models.TextChoices):
        PUBLISHED = "delivery.published", "Published"
        FAILED = "delivery.failed", "Failed"
        NEEDS_REVIEW = "delivery.needs_review", "Needs a decision"
        MISSED = "delivery.missed", "Missed"
        REMOVED = "delivery.removed", "Removed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    url = models.URLField(max_length=500, help_text="https, or a private host that is allowed.")
    persona = models.ForeignKey(
        Persona, models.CASCADE, null=True, blank=True, help_text="Empty: of every persona."
    )
    events = models.JSONField(default=list, help_text="Empty: all.", blank=True)
    # {"secret": "whsec_..."}; shown once, when it is made.
    secret = EncryptedField()
    is_active = models.BooleanField(default=True)
    # Since when nothing came through; a success clears it.
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_why = models.CharField(max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "id")
        verbose_name = "webhook"

    def __str__(self) -> str:
        return self.name


class WebhookMessageQuerySet(models.QuerySet["WebhookMessage"]):
    def due(self) -> Self:
        """What may be tried now: its time has come and nobody has it in hand."""
        now = timezone.now()
        return self.filter(
            Q(lease_until=None) | Q(lease_until__lte=now),
            state=WebhookMessage.State.WAITING,
            due_at__lte=now,
            endpoint__is_active=True,
        )


class WebhookMessage(models.Model):
    """One event for one endpoint: written with the event, sent afterwards, kept as a log."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="messages")
    event = models.CharField(max_length=30, choices=WebhookEndpoint.Event)
    # No foreign key: the log outlives a post that is deleted.
    delivery = models.UUIDField(db_index=True)
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveIntegerField(default=0)
    claim = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookMessageQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "webhook message"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], name="messages_waiting", condition=Q(state="waiting")),
            models.Index(fields=["endpoint", "-created_at"], name="messages_by_endpoint"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint}"
