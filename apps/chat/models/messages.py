"""Messages, and what hangs on one: edits, reactions, files, its place in the search index."""

from typing import ClassVar, Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.chat.models.conversations import Conversation
from apps.core.ids import uuid7
from apps.personas.models import Persona


class MessageQuerySet(models.QuerySet["Message"]):
    def after(self, conversation_id: UUID, seq: int) -> Self:
        """What came after `seq`, oldest first."""
        return self.filter(conversation=conversation_id, seq__gt=seq).order_by("seq")

    def before(self, conversation_id: UUID, seq: int) -> Self:
        """What came before `seq`, newest first."""
        return self.filter(conversation=conversation_id, seq__lt=seq).order_by("-seq")

    def changed_after(self, conversation_id: UUID, change: int) -> Self:
        """What was edited, deleted, hidden or reacted to after `change`, in that order."""
        return self.filter(conversation=conversation_id, change__gt=change).order_by("change")


class Message(models.Model):
    """One line of the log. A deleted one keeps its place (`seq`) and loses its words."""

    class Kind(models.TextChoices):
        TEXT = "text", "Message"
        # Said by nobody: disclosure, takeover, help.
        NOTICE = "notice", "Notice"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The unique (conversation, seq) is index enough; every other one is paid for by each send.
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="messages", db_index=False
    )
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.TEXT)
    # Both empty: a notice, or the words of somebody whose account was erased.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="messages",
        # "resending_never_doubles" begins with it.
        db_index=False,
    )
    persona = models.ForeignKey(
        Persona, models.PROTECT, null=True, blank=True, related_name="messages", db_index=False
    )
    content = models.TextField(blank=True)
    # Chosen by the sender; NULL (never equal) where there is none.
    client_id = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001
    is_ai = models.BooleanField(default=False)
    # How many answers of personas to personas led here; caps the loop.
    depth = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Hidden by a moderator: shown to nobody but staff, kept as evidence.
    hidden_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The conversation's last_change when this was last changed; 0 while it is as it was sent.
    change = models.PositiveBigIntegerField(default=0, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("conversation", "seq")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                name="a_sender_is_a_user_or_a_persona_never_both",
                condition=Q(user=None) | Q(persona=None),
            ),
            models.CheckConstraint(
                name="what_a_persona_sends_is_marked_as_ai",
                condition=Q(persona=None) | Q(is_ai=True),
            ),
            models.UniqueConstraint(fields=["conversation", "seq"], name="one_message_per_seq"),
            # Of every message, with a client_id or without: one's own are found by it too.
            models.UniqueConstraint(
                fields=["user", "conversation", "client_id"], name="resending_never_doubles"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["conversation", "change"],
                name="changed_messages",
                condition=Q(change__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq}: {self.content[:60]}"

    @property
    def is_readable(self) -> bool:
        return self.deleted_at is None and self.hidden_at is None


class SearchRow(models.Model):
    """A message's place in SQLite's full-text index, whose row ids must survive a VACUUM."""

    message = models.OneToOneField(Message, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.pk)


class Edit(models.Model):
    """What a message said before it was edited, for moderators."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="edits")
    content = models.TextField()
    replaced_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("replaced_at",)

    def __str__(self) -> str:
        return self.content[:60]


class Reaction(models.Model):
    """One person's emoji on one message."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="reactions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    emoji = models.CharField(max_length=16)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("created_at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["message", "user", "emoji"], name="a_reaction_once")
        ]

    def __str__(self) -> str:
        return f"{self.emoji} by {self.user}"


class Attachment(models.Model):
    """An uploaded file, typed by its content; it belongs to a message once that is sent."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="attachments")
    message = models.ForeignKey(
        Message, models.CASCADE, null=True, blank=True, related_name="attachments"
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    file = models.FileField(upload_to="chat/%Y/%m/")
    name = models.CharField(max_length=120, help_text="As its sender called it.")
    mime = models.CharField(max_length=60)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.name
