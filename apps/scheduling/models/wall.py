"""The posts of the Wall, the network that Gator itself runs."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7


class WallPost(models.Model):
    """A post on the Wall, the network that Gator itself runs at /wall/<handle>/."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=64, unique=True)
    # The first post of the thread that this one continues.
    thread = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="continued_by"
    )
    handle = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    link = models.URLField(max_length=1_000, blank=True)
    # What the page shows: [{"url", "alt", "size", "mime"}].
    images = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at", "-id")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["handle", "-created_at"], name="wall_by_handle")
        ]

    def __str__(self) -> str:
        return self.text[:60]
