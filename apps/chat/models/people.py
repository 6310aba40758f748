"""People as chat knows them: who may not send, and what they told a persona."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7
from apps.core.models import User
from apps.personas.models import Persona


class Ban(models.Model):
    """A user who may read their conversations but send nothing, anywhere, until it is lifted."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_ban")
    reason = models.CharField(max_length=300)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    placed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-placed_at",)

    def __str__(self) -> str:
        return f"{self.user}: {self.reason}"


class FanMemory(models.Model):
    """Something a fan told a persona about themselves; the fan sees, corrects and erases it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="memories")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memories")
    about = models.CharField(max_length=40, help_text="What it concerns: name, home, likes...")
    text = models.CharField(max_length=300)
    corrected_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("persona", "about", "created_at")
        verbose_name_plural = "fan memories"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["persona", "user", "about", "text"], name="remembered_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


class Talker(User):
    """A user as chat knows them."""

    class Meta:
        proxy = True
        app_label = "chat"
        verbose_name = "person in chat"
        verbose_name_plural = "people in chat"
        # Rows of the same table: the permissions that count are those of messages.
        default_permissions = ()
