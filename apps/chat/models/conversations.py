"""Conversations and who is in them; each counts its messages and changes."""

from typing import ClassVar, Self

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
