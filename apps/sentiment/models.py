"""Comments, what engines read in them, corrections by people, rivals, batches and spikes."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.core.ids import uuid7
from apps.personas.models import Persona
from apps.sentiment.engines.base import INTENTS, LABELS

LABEL_CHOICES = [(name, name.replace("_", " ").capitalize()) for name in LABELS]
INTENT_CHOICES = [(name, name.capitalize()) for name in INTENTS]
LONGEST_TEXT = 10_000


def _about_one(name: str) -> models.CheckConstraint:
    """A row speaks of a persona or of a competitor, never of both or neither."""
    return models.CheckConstraint(
        name=name,
        condition=Q(persona=None, competitor__isnull=False)
        | Q(competitor=None, persona__isnull=False),
        violation_error_message="Name a persona or a competitor.",
    )


class CompetitorQuerySet(models.QuerySet["Competitor"]):
    def due(self, now: datetime) -> Self:
        """Those whose turn it is to be fetched, the longest waiting first."""
        turn = Q(fetch_at=None) | Q(fetch_at__lte=now)
        return self.filter(turn, is_active=True).order_by(F("fetch_at").asc(nulls_first=True))


class Competitor(models.Model):
    """A public account whose posts and replies are compared with ours."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    network = models.CharField(max_length=30)
    handle = models.CharField(max_length=200, help_text="As the network writes it.")
    server = models.URLField(
        max_length=300, blank=True, help_text="Where the network has many servers: its address."
    )
    followers = models.PositiveBigIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # When it is asked next, where a listing that was cut short goes on, and what is wrong with it.
    fetch_at = models.DateTimeField(null=True, editable=False)
    fetched_at = models.DateTimeField(null=True, editable=False)
    cursor = models.CharField(max_length=500, blank=True, editable=False)
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    fault = models.CharField(max_length=500, blank=True, editable=False)

    objects = CompetitorQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["network", "server", "handle"],
                name="a_competitor_is_tracked_once",
                violation_error_message="This account is tracked already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class BatchQuerySet(models.QuerySet["Batch"]):
    def unfinished(self) -> Self:
        return self.filter(finished_at=None)


class Batch(models.Model):
    """Comments that came in together; how many of them are read is its progress."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, null=True, blank=True, related_name="+")
    competitor = models.ForeignKey(
        Competitor, models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=200, blank=True, help_text="Where they came from.")
    total = models.PositiveIntegerField(default=0, editable=False)
    done = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "batches"
        constraints: ClassVar[list[models.BaseConstraint]] = [_about_one("a_batch_has_one_subject")]

    def __str__(self) -> str:
        return self.name or f"{self.total} comments"


class CommentQuerySet(models.QuerySet["Comment"]):
    def unread(self) -> Self:
        """Those that no engine has read."""
        return self.filter(read_at=None)


class Comment(models.Model):
    """What somebody wrote under a post, as the network has it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, null=True, blank=True, related_name="+")
    competitor = models.ForeignKey(
        Competitor, models.CASCADE, null=True, blank=True, related_name="+"
    )
    network = models.CharField(max_length=30)
    remote_id = models.CharField(max_length=500)
    # The post's id by value: posts live in an app above this one.
    post = models.UUIDField(null=True, blank=True)
    author = models.CharField(max_length=200, blank=True)
    text = models.TextField(max_length=LONGEST_TEXT)
    written_at = models.DateTimeField(default=timezone.now)
    batch = models.ForeignKey(
        Batch, models.SET_NULL, null=True, blank=True, editable=False, related_name="comments"
    )
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True, editable=False)

    objects = CommentQuerySet.as_manager()

    class Meta:
        ordering = ("-written_at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["network", "remote_id"], name="a_comment_is_recorded_once"
            ),
            _about_one("a_comment_has_one_subject"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["post"], name="comments_by_post", condition=~Q(post=None)),
            # Partial: finding what waits costs nothing once all is read.
            models.Index(fields=["id"], name="comments_unread", condition=Q(read_at=None)),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class ReadingQuerySet(models.QuerySet["Reading"]):
    def between(self, start: datetime, end: datetime) -> Self:
        return self.filter(at__gte=start, at__lt=end)


class Reading(models.Model):
    """What an engine, corrected by people, reads in one comment or post."""

    class Source(models.TextChoices):
        COMMENT = "comment", "Comment"
        POST = "post", "Post"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, null=True, blank=True, related_name="+")
    competitor = models.ForeignKey(
        Competitor, models.CASCADE, null=True, blank=True, related_name="+"
    )
    comment = models.OneToOneField(
        Comment, models.CASCADE, null=True, blank=True, related_name="reading"
    )
    source = models.CharField(max_length=8, choices=Source, default=Source.COMMENT)
    post = models.UUIDField(null=True, blank=True)
    author = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    score = models.FloatField(help_text="From -1 to 1.")
    label = models.CharField(max_length=13, choices=LABEL_CHOICES)
    confidence = models.FloatField()
    abstained = models.BooleanField(default=False, help_text="The engine could not tell.")
    # Copies and floods of one author count less.
    weight = models.FloatField(default=1.0)
    fingerprint = models.BigIntegerField(default=0, editable=False)
    intent = models.CharField(max_length=14, choices=INTENT_CHOICES)
    language = models.CharField(max_length=12)
    emotions = models.JSONField(default=dict)
    topics = models.JSONField(default=list, help_text='As in [{"name": "camera", "mood": 0.4}].')
    engine = models.CharField(max_length=30)
    version = models.CharField(max_length=30)
    # What the engine alone said, where a correction changed it.
    engine_score = models.FloatField()
    corrected = models.BooleanField(default=False)
    read_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReadingQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            _about_one("a_reading_has_one_subject")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["persona", "-at"], name="readings_by_persona"),
            models.Index(
                fields=["competitor", "-at"],
                name="readings_by_competitor",
                condition=~Q(competitor=None),
            ),
            models.Index(fields=["post"], name="readings_by_post", condition=~Q(post=None)),
            models.Index(fields=["fingerprint", "at"], name="readings_by_fingerprint"),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.score:+.2f})"


class Day(models.Model):
    """The readings of comments of one UTC day, summed: trends read these, never a million rows."""

    persona = models.ForeignKey(Persona, models.CASCADE, null=True, related_name="+")
    competitor = models.ForeignKey(Competitor, models.CASCADE, null=True, related_name="+")
    date = models.DateField()
    count = models.PositiveIntegerField()
    # Sums over weights w and scores s: of w, of w squared, of w s and of w s squared.
    weight = models.FloatField()
    weight_squared = models.FloatField()
    score = models.FloatField()
    score_squared = models.FloatField()
    labels = models.JSONField(default=dict, help_text="Label: weight.")
    emotions = models.JSONField(default=dict, help_text="Emotion: weight times strength.")
    intents = models.JSONField(default=dict, help_text="Intent: weight.")
    topics = models.JSONField(default=dict, help_text="Topic: [mentions, sum of moods].")
    abstained = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("date",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["persona", "date"], name="one_day_per_persona", condition=~Q(persona=None)
            ),
            models.UniqueConstraint(
                fields=["competitor", "date"],
                name="one_day_per_competitor",
                condition=~Q(competitor=None),
            ),
            _about_one("a_day_has_one_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.date}: {self.count}"


class Engagement(models.Model):
    """How a post did: reactions, answers and shares at the last look."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, null=True, blank=True, related_name="+")
    competitor = models.ForeignKey(
        Competitor, models.CASCADE, null=True, blank=True, related_name="+"
    )
    network = models.CharField(max_length=30)
    remote_id = models.CharField(max_length=500)
    post = models.UUIDField(null=True, blank=True)
    text = models.TextField(blank=True)
    posted_at = models.DateTimeField(default=timezone.now)
    likes = models.PositiveBigIntegerField(default=0)
    comments = models.PositiveBigIntegerField(default=0)
    shares = models.PositiveBigIntegerField(default=0)
    saves = models.PositiveBigIntegerField(default=0)
    audience = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Followers at that time; empty when unknown."
    )
    measured_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-posted_at",)
        verbose_name_plural = "engagement"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["network", "remote_id"], name="one_engagement_per_post"
            ),
            _about_one("engagement_has_one_subject"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["persona", "-posted_at"], name="engagement_by_persona")
        ]

    def __str__(self) -> str:
        return f"{self.interactions} on {self.network}"

    @property
    def interactions(self) -> int:
        return self.likes + self.comments + self.shares + self.saves


class Correction(models.Model):
    """A person's word on a text: it outranks every engine, and teaches about texts like it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    comment = models.OneToOneField(
        Comment, models.SET_NULL, null=True, blank=True, related_name="correction"
    )
    text = models.TextField(max_length=LONGEST_TEXT)
    # SHA-256 of the text as people see it: two who correct the same words correct one thing.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    label = models.CharField(max_length=13, choices=LABEL_CHOICES)
    score = models.FloatField(editable=False)
    intent = models.CharField(max_length=14, choices=INTENT_CHOICES, blank=True)
    note = models.CharField(max_length=300, blank=True)
    # What the engine said when it was corrected; the drift report counts these.
    engine = models.CharField(max_length=30, editable=False)
    version = models.CharField(max_length=30, editable=False)
    engine_label = models.CharField(max_length=13, choices=LABEL_CHOICES, editable=False)
    engine_score = models.FloatField(editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-made_at",)

    def __str__(self) -> str:
        return f"{self.label}: {self.text[:60]}"


class Watch(models.Model):
    """A rule that looks for spikes of negative comments, and may hold the persona."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.OneToOneField(
        Persona,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: every persona without a rule of its own.",
    )
    hours = models.PositiveSmallIntegerField(default=6, help_text="How far back it looks.")
    at_least = models.PositiveSmallIntegerField(
        default=10, help_text="Fewer comments than this are no spike."
    )
    share = models.FloatField(
        default=0.5, help_text="The least part of them that must be negative, 0 to 1."
    )
    holds = models.BooleanField(
        default=False, help_text="Hold the persona until a person has looked."
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ("persona",)
        verbose_name_plural = "watches"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                models.Value(1), condition=Q(persona=None), name="one_watch_over_the_rest"
            ),
            models.CheckConstraint(
                name="a_share_is_a_share", condition=Q(share__gt=0, share__lte=1)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.persona or 'Everyone else'}: {self.share:.0%} in {self.hours} h"


class Spike(models.Model):
    """More negative comments than usual, found by a watch."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="+")
    found_at = models.DateTimeField(default=timezone.now, editable=False)
    since = models.DateTimeField()
    count = models.PositiveIntegerField()
    negative = models.PositiveIntegerField()
    usual_share = models.FloatField(help_text="The negative part in the four weeks before.")
    p = models.FloatField(help_text="The chance of as many if nothing had changed.")
    comments = models.JSONField(default=list, help_text="Ids of the worst comments.")
    held = models.BooleanField(default=False, help_text="The persona was held because of it.")
    seen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    seen_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-found_at",)
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["persona", "-found_at"], name="spikes_by_persona")
        ]

    def __str__(self) -> str:
        return f"{self.negative} of {self.count} negative ({self.persona})"
