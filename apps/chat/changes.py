"""Changing what is in the log: each change gets the conversation's next change number."""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.chat import fanout, protocol, shapes
from apps.chat.fanout import Packet
from apps.chat.models import Conversation, Edit, Message, Reaction

MOST_REACTIONS = 20


def locked(message_id: UUID) -> Message | None:
    """The message, its conversation's row locked first as everywhere; in a transaction only."""
    row = Message.objects.filter(pk=message_id).first()
    if row is None:
        return None
    Conversation.objects.select_for_update().get(pk=row.conversation_id)
    return Message.objects.select_related("user", "persona").get(pk=message_id)


def _numbered(message: Message) -> int:
    Conversation.objects.filter(pk=message.conversation_id).update(last_change=F("last_change") + 1)
    change: int = Conversation.objects.values_list("last_change", flat=True).get(
        pk=message.conversation_id
    )
    message.change = change
    return change


def rewrite(message: Message, content: str, *, keep_old: bool = True) -> None:
    """Other words in the same place; the old ones stay for moderators."""
    if keep_old:
        Edit.objects.create(message=message, content=message.content)
    message.content = content
    message.edited_at = timezone.now()
    _numbered(message)
    message.save(update_fields=["content", "edited_at", "change"])
    _tell_after_commit(message)


def erase_words(message: Message) -> None:
    """A tombstone: the place stays, words, files, edits and reactions go."""
    message.content = ""
    message.deleted_at = timezone.now()
    message.edits.all().delete()
    message.reactions.all().delete()
    for each in message.attachments.all():
        each.delete()
        transaction.on_commit(partial(each.file.storage.delete, str(each.file.name)), robust=True)
    _numbered(message)
    message.save(update_fields=["content", "deleted_at", "change"])
    _tell_after_commit(message)


def set_hidden(message: Message, hidden: bool) -> None:
    """Moderation: out of everybody's sight, or back."""
    message.hidden_at = timezone.now() if hidden else None
    _numbered(message)
    message.save(update_fields=["hidden_at", "change"])
    _tell_after_commit(message)


def set_reaction(message: Message, user_id: UUID, emoji: str, *, there: bool) -> bool:
    """Put or take one reaction; False when nothing changed or there are too many kinds."""
    if there:
        kinds = set(message.reactions.values_list("emoji", flat=True))
        if emoji not in kinds and len(kinds) >= MOST_REACTIONS:
            return False
        _, changed = Reaction.objects.get_or_create(message=message, user_id=user_id, emoji=emoji)
    else:
        rows = message.reactions.filter(user=user_id, emoji=emoji)
        changed = bool(rows.delete()[0])
    if changed:
        _numbered(message)
        message.save(update_fields=["change"])
        _tell_after_commit(message, reactions=True)
    return True


def _tell_after_commit(message: Message, *, reactions: bool = False) -> None:
    conversation_id, change, pk = message.conversation_id, message.change, message.pk

    def tell() -> None:
        row = shapes.with_details(Message.objects.filter(pk=pk)).first()
        if row is None:
            return
        event = shapes.change_event(row)
        if reactions and row.is_readable:
            event = {
                "type": "reactions",
                "conversation_id": conversation_id,
                "message_id": pk,
                "reactions": shapes.reactions(row.reactions.all()),
                "change": change,
            }
        text = protocol.encode(event)
        fanout.tell_conversation(conversation_id, Packet(fanout.CHANGE, change, text))

    transaction.on_commit(tell, robust=True)
