"""Media, posts, deliveries and attempts: the rows that decide what is published."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.functional import cached_property

from apps.core.ids import uuid7
from apps.personas.models import Hold, Persona
from apps.scheduling.models.accounts import SocialAccount

DAY = timedelta(days=1)


class Media(models.Model):
    """An uploaded picture or video: checked by its content, never overwritten in place."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file = models.FileField(upload_to="media/%Y/%m/")
    mime = models.CharField(max_length=40, editable=False)
    size = models.PositiveBigIntegerField(editable=False, help_text="Bytes.")
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)
    duration_ms = models.PositiveIntegerField(
        default=0, editable=False, help_text="Milliseconds; 0 for a picture."
    )
    sha256 = models.CharField(max_length=64, editable=False)
    # The copy that says inside that it was made with AI; written when a post first needs it.
    marked = models.FileField(upload_to="media/%Y/%m/", blank=True, editable=False)
    marked_size = models.PositiveBigIntegerField(default=0, editable=False)
    marked_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    alt = models.TextField(
        max_length=2_000, blank=True, help_text="What it shows, for people who cannot see it."
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "media"

    def __str__(self) -> str:
        return str(self.file.name).rsplit("/", 1)[-1]

    @property
    def is_video(self) -> bool:
        return str(self.mime).startswith("video/")


class Post(models.Model):
    """What a persona says, and when; each account it goes to is a Delivery."""

    class Approval(models.TextChoices):
        DRAFT = "draft", "Draft"
        IN_REVIEW = "in_review", "In review"
        APPROVED = "approved", "Approved"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    persona = models.ForeignKey(Persona, models.PROTECT, related_name="posts")
    text = models.TextField(blank=True)
    link = models.URLField(max_length=1_000, blank=True)
    hashtags = models.JSONField(default=list, blank=True, help_text='As in ["lisbon", "fog"].')
    media = models.ManyToManyField(Media, through="PostMedia", related_name="posts")
    # What follows the text as replies, part by part: [{"text": "..."}].
    parts = models.JSONField(default=list, blank=True)
    campaign = models.CharField(
        max_length=80, blank=True, help_text="Its link then carries utm_campaign and its like."
    )
    text_by_ai = models.BooleanField("text made with AI", default=True)
    media_by_ai = models.BooleanField("pictures made with AI", default=True)
    scheduled_at = models.DateTimeField(db_index=True)
    too_late_after = models.DurationField(
        null=True,
        blank=True,
        default=DAY,
        help_text="Later than this after its time, the post is missed instead of sent; "
        "empty means never too late.",
    )
    # Until it is approved its deliveries are `awaiting`, which no claim takes.
    approval = models.CharField(
        max_length=10, choices=Approval, default=Approval.APPROVED, editable=False
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Counts the changes, so that nobody approves what they have not read.
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-scheduled_at",)
        permissions = (("approve_post", "Can approve posts"),)
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["scheduled_at"], name="posts_in_review", condition=Q(approval="in_review")
            ),
            # One persona's month is read without its other years.
            models.Index(fields=["persona", "scheduled_at"], name="posts_of_a_persona"),
        ]

    def __str__(self) -> str:
        return self.text[:60] or self.link or "(media only)"

    @cached_property
    def attached(self) -> "list[PostMedia]":
        """Its media in their order; for many posts, `Prefetch(..., to_attr="attached")`."""
        return list(self.postmedia_set.select_related("media"))

    @property
    def too_late_at(self) -> datetime | None:
        return None if self.too_late_after is None else self.scheduled_at + self.too_late_after


class PostMedia(models.Model):
    """A media file's place in a post."""

    post = models.ForeignKey(Post, models.CASCADE)
    media = models.ForeignKey(Media, models.PROTECT)
    # Counted over the whole post, whichever part it goes with.
    position = models.PositiveSmallIntegerField()
    part = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("position",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["post", "position"], name="one_media_per_position")
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.media}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> Self:
        """What ought to be on its way by `now`, whether or not something holds it."""
        return self.filter(state=Delivery.State.SCHEDULED, due_at__lte=now)

    def in_turn(self) -> Self:
        """Those whose part before, if there is one, is out."""
        before = Delivery.objects.filter(pk=OuterRef("after"))
        return self.filter(~Exists(before.exclude(state=Delivery.State.PUBLISHED)))

    def claimable(self, now: datetime) -> Self:
        """What may go out now: due, in time, its account healthy, its persona free to speak."""
        held = Hold.objects.filter(Q(persona=None) | Q(persona=OuterRef("account__persona")))
        return (
            self.due(now)
            .in_turn()
            .filter(
                ~Exists(held),
                Q(too_late_at=None) | Q(too_late_at__gt=now),
                Q(account__wait_until=None) | Q(account__wait_until__lte=now),
                account__status__in=[SocialAccount.Status.UNTESTED, SocialAccount.Status.WORKING],
                account__persona__is_active=True,
            )
        )

    def with_content(self) -> Self:
        """With all that composing needs; most rows share a persona and an account, so those are
        one object each."""
        places = PostMedia.objects.select_related("media")
        return self.select_related("post").prefetch_related(
            "account",
            "after",
            "post__persona",
            models.Prefetch("post__postmedia_set", places, to_attr="attached"),
        )

    def too_late(self, now: datetime) -> Self:
        """What waited past its limit."""
        return self.filter(state=Delivery.State.SCHEDULED, too_late_at__lte=now)

    def unfinished(self) -> Self:
        """Whatever is neither published nor given up."""
        return self.filter(state__in=Delivery.UNFINISHED)


class Delivery(models.Model):
    """One post on one account: the unit of work. docs/architecture.md draws its states."""

    class State(models.TextChoices):
        AWAITING = "awaiting", "Waits for approval"
        SCHEDULED = "scheduled", "Scheduled"
        CLAIMED = "claimed", "Preparing"
        SENDING = "sending", "Sending"
        PUBLISHED = "published", "Published"
        FAILED = "failed", "Failed"
        UNCONFIRMED = "unconfirmed", "Unconfirmed"
        NEEDS_REVIEW = "needs_review", "Needs a decision"
        CANCELLED = "cancelled", "Cancelled"
        HELD = "held", "Held"
        MISSED = "missed", "Missed"
        REMOVING = "removing", "Being removed"
        REMOVED = "removed", "Removed"

    # No network has seen it, unless `maybe_sent` says otherwise.
    CHANGEABLE: ClassVar[tuple[str, ...]] = (
        State.AWAITING,
        State.SCHEDULED,
        State.HELD,
        State.FAILED,
        State.MISSED,
    )
    UNFINISHED: ClassVar[tuple[str, ...]] = (
        State.SCHEDULED,
        State.CLAIMED,
        State.SENDING,
        State.UNCONFIRMED,
        State.NEEDS_REVIEW,
        State.HELD,
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    post = models.ForeignKey(Post, models.CASCADE, related_name="deliveries")
    account = models.ForeignKey(SocialAccount, models.PROTECT, related_name="deliveries")
    # 0 is the post itself; each later part replies to the one before it, once that is out.
    part = models.PositiveSmallIntegerField(default=0, editable=False)
    after = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, editable=False, related_name="followed_by"
    )
    state = models.CharField(max_length=12, choices=State, default=State.SCHEDULED)
    # When the next try is due: the post's time at first, later for a retry.
    due_at = models.DateTimeField()
    too_late_at = models.DateTimeField(null=True, blank=True)
    # The slot of the account's queue that this one fills.
    slot_at = models.DateTimeField(null=True, blank=True, editable=False)
    override = models.JSONField(
        default=dict, blank=True, help_text="This account's own text, link or hashtags."
    )

    # The network's key for this post, random: a restored database must not reuse another post's.
    key = models.CharField(max_length=64, unique=True, editable=False)
    # The post as first handed to the network; every retry sends exactly this.
    frozen = models.JSONField(default=dict, blank=True, editable=False)
    # SHA-256 of what readers see, by which a repetition is noticed (duplicates.py).
    fingerprint = models.CharField(max_length=64, blank=True, editable=False)
    # Upload and container ids gathered before the call.
    progress = models.JSONField(default=dict, blank=True, editable=False)

    # Who works on it now: a new random claim each time, so that a late worker's writes miss.
    claim = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    # Temporary failures in a row; they space the retries.
    retries = models.PositiveIntegerField(default=0, editable=False)
    # An attempt ended without an answer and nobody has found out yet: never assume it is absent.
    maybe_sent = models.BooleanField(default=False, editable=False)

    remote_id = models.CharField(max_length=500, blank=True, editable=False)
    remote_url = models.URLField(max_length=1_000, blank=True, editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The delivery that this one corrects: held until that one is off its network.
    replaces = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="corrections"
    )
    # When likes and replies were last asked for.
    followed_at = models.DateTimeField(null=True, blank=True, editable=False)
    error_code = models.CharField(max_length=60, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ("due_at", "id")
        verbose_name_plural = "deliveries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["post", "account", "part"], name="one_delivery_per_account_and_part"
            ),
            # Whoever asks at the same moment: a slot has one post. Cancelling frees it.
            models.UniqueConstraint(
                fields=["account", "slot_at"],
                name="a_slot_has_one_post",
                condition=Q(slot_at__isnull=False) & ~Q(state="cancelled"),
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # Partial: the sweep's cost follows what waits, not what was ever published. The state
            # comes first all the same: a planner without statistics (SQLite's, in its first days)
            # prefers an index that begins with an equality, and would read all that waits.
            models.Index(
                fields=["state", "due_at"],
                name="deliveries_waiting",
                condition=Q(state="scheduled"),
            ),
            models.Index(
                fields=["state", "too_late_at"],
                name="deliveries_expiring",
                condition=Q(state="scheduled"),
            ),
            models.Index(
                fields=["state", "published_at"],
                name="deliveries_out",
                condition=Q(state="published"),
            ),
            # In hand, leaving, to decide: few at any time.
            models.Index(fields=["state", "-changed_at"], name="deliveries_by_state"),
            models.Index(fields=["account", "fingerprint"], name="deliveries_by_fingerprint"),
            models.Index(fields=["claim"], name="deliveries_by_claim", condition=~Q(claim=None)),
        ]

    def __str__(self) -> str:
        part = f" (part {self.part + 1})" if self.part else ""
        return f"{self.post}{part} -> {self.account}"

    @property
    def waits_for(self) -> "Delivery | None":
        """The part before, while this one waits for it."""
        before = self.after if self.state == self.State.SCHEDULED else None
        return before if before is not None and before.state != self.State.PUBLISHED else None

    @property
    def disclosed(self) -> dict[str, Any]:
        """What of it readers were told was made with AI, and how; empty before it is sent."""
        told: dict[str, Any] = self.frozen.get("disclosed", {})
        return told


class Attempt(models.Model):
    """One try, written before the network is touched, and what came of it."""

    class Outcome(models.TextChoices):
        OPEN = "open", "Under way"
        PUBLISHED = "published", "Published"
        TEMPORARY = "temporary", "Failed, will be tried again"
        PERMANENT = "permanent", "Refused"
        RECONNECT = "reconnect", "Credentials refused"
        UNCONFIRMED = "unconfirmed", "No answer"
        FOUND = "found", "Found on the network"
        ABSENT = "absent", "Not on the network"
        REMOVED = "removed", "Removed from the network"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    claim = models.UUIDField()
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.OPEN)
    detail = models.TextField(blank=True, help_text="The network's words.")

    class Meta:
        ordering = ("started_at", "id")

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} at {self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at else None
