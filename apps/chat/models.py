"""Conversations, their members and messages: the log that every socket is only a view of."""

from typing import ClassVar, Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.core.ids import uuid7
from apps.core.models import User
from apps.personas.models import Persona

# Somebody of the team should look; the condition of an index, so that few rows are read.
WAITS = ~Q(stopped_for="") | Q(human_asked_at__isnull=False)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, user: User) -> Self:
        """Those this user is a member of."""
        return self.filter(memberships__user=user)

    def needing_a_person(self) -> Self:
        """Where a fan asked for one or the persona fell silent by itself, and nobody took over."""
        return self.filter(holder=Conversation.Holder.AI).filter(WAITS)


class Conversation(models.Model):
    """People and personas who talk; its counters number every message and every change."""

    class Kind(models.TextChoices):
        DIRECT = "direct", "Two people"
        GROUP = "group", "Group"
        PERSONA = "persona", "A fan and a persona"

    class Holder(models.TextChoices):
        AI = "ai", "The persona answers"
        HUMAN = "human", "A person answers"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=8, choices=Kind)
    title = models.CharField(max_length=120, blank=True)
    # "direct:<user>:<user>" or "persona:<persona>:<user>": two requests open one conversation.
    pair = models.CharField(max_length=120, unique=True, null=True, blank=True, editable=False)  # noqa: DJ001
    persona = models.ForeignKey(
        Persona, models.PROTECT, null=True, blank=True, related_name="conversations"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Without an index, which each send would pay for: lists are of one person's conversations.
    last_message_at = models.DateTimeField(default=timezone.now, editable=False)

    # Raised in the transaction that stores a message, or changes one: both without gaps.
    last_seq = models.PositiveBigIntegerField(default=0, editable=False)
    last_change = models.PositiveBigIntegerField(default=0, editable=False)
    # How far SQLite's full-text index has come; it is filled behind the sending.
    indexed_seq = models.PositiveBigIntegerField(default=0, editable=False)
    indexed_change = models.PositiveBigIntegerField(default=0, editable=False)
    # Raised whenever somebody joins, leaves or changes role; processes compare it with theirs.
    members_version = models.PositiveIntegerField(default=0, editable=False)
    member_count = models.PositiveIntegerField(default=0, editable=False)

    # Who answers for the persona. The generation rises with every change of hands: output that
    # was begun under an older one is late and is discarded.
    holder = models.CharField(max_length=8, choices=Holder, default=Holder.AI)
    held_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    generation = models.PositiveIntegerField(default=0, editable=False)
    # Why the persona fell silent here by itself (distress, mood); a person decides when it goes on.
    stopped_for = models.CharField(max_length=40, blank=True, editable=False)
    # When a fan last asked for a person; null again as soon as one takes over, or hands back.
    human_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    # How its people sounded lately, -1 to 1, up to which message; null: nothing was read yet.
    mood = models.FloatField(null=True, editable=False)
    mood_seq = models.PositiveBigIntegerField(default=0, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ("-last_message_at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                name="a_persona_conversation_has_one",
                condition=~Q(kind="persona", persona=None),
            )
        ]
        # Few of them, and none of its columns changes with a message.
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["id"], name="chat_waits_for_a_person", condition=WAITS)
        ]

    def __str__(self) -> str:
        return self.title or f"{self.get_kind_display()} {str(self.pk)[-6:]}"


class Membership(models.Model):
    """A user or a persona in a conversation, with its role and how far it has read."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        MODERATOR = "moderator", "Moderator"
        MEMBER = "member", "Member"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="chats"
    )
    persona = models.ForeignKey(
        Persona, models.CASCADE, null=True, blank=True, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    # A persona sees nothing older than its joining.
    joined_seq = models.PositiveBigIntegerField(default=0, editable=False)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    read_seq = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("joined_at", "id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                name="a_member_is_a_user_or_a_persona",
                condition=Q(user=None, persona__isnull=False) | Q(user__isnull=False, persona=None),
            ),
            models.UniqueConstraint(fields=["conversation", "user"], name="a_user_joins_once"),
            models.UniqueConstraint(
                fields=["conversation", "persona"], name="a_persona_joins_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.persona} in {self.conversation}"


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


class ReplyQuerySet(models.QuerySet["Reply"]):
    def waiting(self) -> Self:
        return self.filter(state=Reply.State.QUEUED)

    def unfinished(self) -> Self:
        return self.filter(state__in=Reply.UNFINISHED)


class Reply(models.Model):
    """A persona's answer as a job: the row is the truth, the queue a hint."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        STREAMING = "streaming", "Being written"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"
        # Another holder took the conversation over: its text became a suggestion, or nothing.
        DISCARDED = "discarded", "Discarded"

    UNFINISHED: ClassVar[tuple[str, ...]] = (State.QUEUED, State.STREAMING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="replies")
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="replies")
    trigger = models.ForeignKey(Message, models.CASCADE, related_name="replies")
    # What became of it in the log; further versions replace this message's text.
    message = models.OneToOneField(
        Message, models.SET_NULL, null=True, blank=True, related_name="reply"
    )
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    version = models.PositiveSmallIntegerField(default=1)
    generation = models.PositiveIntegerField(help_text="The conversation's when it was asked for.")
    # While a person holds the conversation a draft is a suggestion for them, never sent.
    is_suggestion = models.BooleanField(default=False)
    # A new random claim for each worker that takes it; a late worker's writes match nothing.
    claim = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    # The checkpoint: what has been streamed and stored so far.
    text = models.TextField(blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ReplyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "replies"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["trigger", "persona"], name="one_reply_per_triggering_message"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["lease_until"],
                name="replies_in_hand",
                condition=Q(state__in=["queued", "streaming"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.persona} to {self.trigger_id}: {self.get_state_display()}"


class ReplyVersion(models.Model):
    """One version of an answer; regenerating adds one and keeps the others."""

    reply = models.ForeignKey(Reply, models.CASCADE, related_name="versions")
    number = models.PositiveSmallIntegerField()
    content = models.TextField()
    voice = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("number",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["reply", "number"], name="one_text_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.content[:60]}"


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
