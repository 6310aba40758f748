"""Saying, changing, reading and finding messages, with their files."""

from collections.abc import Sequence
from functools import partial
from typing import BinaryIO
from uuid import UUID

from django.db import transaction

from apps.chat import attachments, changes, fanout, messaging, protocol, searching, shapes, tasks
from apps.chat.changes import locked
from apps.chat.fanout import Packet
from apps.chat.ledger import Draft, Refusal, Stored
from apps.chat.mentions import handles_in, persona_handles
from apps.chat.models import Attachment, Conversation, Membership, Message
from apps.chat.services.asking import Refused, check_not_banned, role_of
from apps.core.models import User


def send_message(
    *,
    conversation: Conversation,
    by: User,
    content: str,
    client_id: str | None = None,
    persona_id: UUID | None = None,
    attachment_ids: Sequence[UUID] = (),
) -> Message:
    """Say something from a request; sockets use their process's writer instead."""
    handles = persona_handles(conversation.pk)
    if persona_id is not None and persona_id not in handles:
        raise Refused("persona_not_here")
    if not content and not attachment_ids:
        raise Refused("empty")
    asked = handles_in(content, handles) + ((persona_id,) if persona_id is not None else ())
    draft = Draft(
        conversation_id=conversation.pk,
        content=content,
        user_id=by.pk,
        sender_name=by.shown_name,
        client_id=client_id,
        asked=asked,
        attachment_ids=tuple(attachment_ids),
    )
    [outcome] = messaging.store([draft])
    if isinstance(outcome, Refusal):
        raise Refused(outcome.code)
    row = shapes.with_details(Message.objects.filter(pk=outcome.id)).get()
    if not outcome.was_there:
        transaction.on_commit(partial(_show, row, outcome), robust=True)
    return row


def _show(row: Message, stored: Stored) -> None:
    text = protocol.encode(shapes.message_event(row))
    fanout.tell_conversation(row.conversation_id, Packet(fanout.MESSAGE, row.seq, text))
    tasks.wake(stored.reply_ids)


def _own(message_id: UUID, by: UUID, *, others_too: bool) -> Message:
    """The message, locked, if this user may change it; others' only for moderators."""
    row = locked(message_id)
    role = role_of(row.conversation_id, by) if row is not None else None
    if row is None or role is None or not row.is_readable:
        raise Refused("not_found")
    leads = role in (Membership.Role.OWNER, Membership.Role.MODERATOR)
    if row.user_id != by and not (others_too and leads):
        raise Refused("not_allowed")
    if row.kind == Message.Kind.NOTICE:
        raise Refused("not_allowed", "Notices stay as they are.")
    return row


@transaction.atomic
def edit_message(*, message_id: UUID, by: UUID, content: str) -> None:
    """Replace the words of one's own message."""
    row = _own(message_id, by, others_too=False)
    check_not_banned(by)
    if row.content != content:
        changes.rewrite(row, content)


@transaction.atomic
def delete_message(*, message_id: UUID, by: UUID) -> None:
    """Take back one's own message; moderators of a group may take back anybody's."""
    row = _own(message_id, by, others_too=True)
    if row.user_id != by and row.conversation.kind != Conversation.Kind.GROUP:
        raise Refused("not_allowed")
    changes.erase_words(row)


@transaction.atomic
def react(*, message_id: UUID, by: UUID, emoji: str, remove: bool = False) -> None:
    """Put an emoji on a message, or take it off."""
    row = locked(message_id)
    if row is None or not row.is_readable or role_of(row.conversation_id, by) is None:
        raise Refused("not_found")
    if not remove:
        check_not_banned(by)
    if not changes.set_reaction(row, by, emoji, there=not remove):
        raise Refused("not_allowed", "There are enough kinds of reactions on this message.")


def mark_read(*, conversation_id: UUID, by: UUID, seq: int) -> None:
    """Move the read cursor forward; the user's other devices and the others hear of it."""
    last = Conversation.objects.filter(pk=conversation_id).values_list("last_seq", flat=True)
    seq = min(seq, last.first() or 0)
    rows = Membership.objects.filter(conversation=conversation_id, user=by)
    # Forward only: a device that was asleep must not unread what another has read.
    if rows.filter(read_seq__lt=seq).update(read_seq=seq):
        event = {"type": "read", "conversation_id": conversation_id, "user_id": by, "seq": seq}
        fanout.tell_conversation(
            conversation_id, Packet(fanout.FLEETING, 0, protocol.encode(event))
        )
    elif not rows.exists():
        raise Refused("not_member")


def attach(
    *, conversation: Conversation, by: User, name: str, size: int, file: BinaryIO
) -> Attachment:
    """Keep an uploaded file for a message that will name it."""
    check_not_banned(by.pk)
    try:
        row = attachments.read(
            file, name=name, size=size, conversation_id=conversation.pk, user_id=by.pk
        )
    except attachments.NotTaken as error:
        raise Refused("bad_field", str(error)) from error
    row.save()
    return row


def search(*, user: User, words: str, everywhere: bool = False) -> list[Message]:
    """Messages with these words in this user's conversations, or for staff in all."""
    rows = Conversation.objects.all() if everywhere else Conversation.objects.of(user)
    return list(shapes.with_details(searching.find(rows.values_list("pk", flat=True), words)))
