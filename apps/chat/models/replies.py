"""Personas' answers as jobs, with every version of each."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.chat.models.conversations import Conversation
from apps.chat.models.messages import Message
from apps.core.ids import uuid7
from apps.personas.models import Persona


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
