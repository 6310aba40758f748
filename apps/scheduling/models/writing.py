"""What people write with and about posts: templates, hashtag sets, comments among staff."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7
from apps.personas.models import Persona


class PostComment(models.Model):
    """What one of the staff says about a post, for the others; it never goes out."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    post = models.ForeignKey("scheduling.Post", models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    text = models.TextField(max_length=2_000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.text[:60]


class Template(models.Model):
    """A post to begin with: its text, link and hashtags are copied, and then changed freely."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    persona = models.ForeignKey(
        Persona, models.CASCADE, null=True, blank=True, help_text="Empty: for every persona."
    )
    text = models.TextField(max_length=10_000, blank=True)
    link = models.URLField(max_length=1_000, blank=True)
    hashtags = models.JSONField(default=list, blank=True, help_text='As in ["lisbon", "fog"].')
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name


class HashtagSet(models.Model):
    """Hashtags that go together, added to a post by the set's name."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    persona = models.ForeignKey(
        Persona, models.CASCADE, null=True, blank=True, help_text="Empty: for every persona."
    )
    hashtags = models.JSONField(default=list, help_text='As in ["lisbon", "fog"].')
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name
