"""What chat holds about one user: to take away, and to erase."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from apps.chat import changes, protocol
from apps.chat.models import (
    Attachment,
    Ban,
    Conversation,
    FanMemory,
    Membership,
    Message,
    Reaction,
    Reply,
)


def export(user_id: UUID) -> dict[str, Any]:
    """Everything of and about this user, as JSON can carry it."""
    mine = Membership.objects.filter(user=user_id).select_related("conversation")
    private = Conversation.objects.filter(
        kind=Conversation.Kind.PERSONA, created_by=user_id
    ).values("pk")
    answers = Message.objects.filter(conversation__in=private, persona__isnull=False)
    return {
        "conversations": [
            {
                "id": str(row.conversation_id),
                "kind": row.conversation.kind,
                "title": row.conversation.title,
                "role": row.role,
                "joined_at": protocol.stamp(row.joined_at),
                "read_seq": row.read_seq,
            }
            for row in mine
        ],
        "messages": [_said(row) for row in Message.objects.filter(user=user_id)],
        "answers_of_personas": [_said(row) for row in answers.select_related("persona")],
        "reactions": [
            {"message_id": str(row.message_id), "emoji": row.emoji}
            for row in Reaction.objects.filter(user=user_id)
        ],
        "attachments": [
            {"id": str(row.pk), "name": row.name, "mime": row.mime, "size": row.size}
            for row in Attachment.objects.filter(uploaded_by=user_id)
        ],
        "memories": [
            {"persona": row.persona.name, "about": row.about, "text": row.text}
            for row in FanMemory.objects.filter(user=user_id).select_related("persona")
        ],
    }


def _said(row: Message) -> dict[str, Any]:
    return {
        "conversation_id": str(row.conversation_id),
        "seq": row.seq,
        "at": protocol.stamp(row.created_at),
        "content": row.content,
        **({"persona": row.persona.name} if row.persona is not None else {}),
    }


def erase(user_id: UUID) -> dict[str, int]:
    """Erase this user's words, files, reactions and memories; conversations with a persona go
    whole. Others keep the places of what was said, without the words."""
    counts = {"messages": 0, "conversations": 0}
    private = Conversation.objects.filter(kind=Conversation.Kind.PERSONA, created_by=user_id)
    for conversation in private:
        with transaction.atomic():
            for file in conversation.attachments.all():
                transaction.on_commit(
                    lambda file=file: file.file.storage.delete(str(file.file.name)),  # type: ignore[misc]
                    robust=True,
                )
            # Answers name personas by PROTECT and each other in a circle: answers first.
            Reply.objects.filter(conversation=conversation).delete()
            conversation.delete()
            counts["conversations"] += 1
    # In pieces: a lock on a busy conversation is held for one message only.
    for pk in Message.objects.filter(user=user_id).values_list("pk", flat=True):
        with transaction.atomic():
            row = changes.locked(pk)
            if row is not None:
                changes.erase_words(row)
                Message.objects.filter(pk=pk).update(user=None, client_id=None)
                counts["messages"] += 1
    with transaction.atomic():
        Reaction.objects.filter(user=user_id).delete()
        FanMemory.objects.filter(user=user_id).delete()
        Attachment.objects.filter(uploaded_by=user_id, message=None).delete()
        Ban.objects.filter(user=user_id).update(reason="(erased)")
        rooms = list(
            Membership.objects.filter(user=user_id).values_list("conversation_id", flat=True)
        )
        Membership.objects.filter(user=user_id).delete()
        Conversation.objects.filter(pk__in=rooms).update(
            members_version=F("members_version") + 1, member_count=F("member_count") - 1
        )
    return counts
