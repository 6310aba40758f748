"""What may be asked of chat, by the socket, the API, the admin and pages alike.

Every verb checks who asks, in the row, in one transaction; others hear of it after the commit.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from apps.chat import (
    attachments,
    changes,
    fanout,
    messaging,
    personal,
    protocol,
    replying,
    searching,
    shapes,
    takeover,
    tasks,
)
from apps.chat.changes import locked
from apps.chat.fanout import Packet
from apps.chat.ledger import Draft, Refusal, Stored, handles_in, persona_handles
from apps.chat.models import (
    Attachment,
    Ban,
    Conversation,
    FanMemory,
    Membership,
    Message,
    Reply,
)
from apps.core import audit, errors
from apps.core.models import User
from apps.personas.models import Persona

DISCLOSURE = (
    "{name} is an AI persona: answers here are written by a computer program, not by a person. "
    "You can ask for a human at any time. Do not share what you would not want stored."
)


class Refused(errors.Refused):
    """The request cannot be done as asked; `code` is one of protocol.ERROR_CODES."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(("detail", code, message or protocol.ERROR_CODES[code]))
        self.code = code


# -- Conversations -------------------------------------------------------------------------------


def open_conversation(*, user: User, persona: Persona) -> Conversation:
    """The one conversation of this fan with this persona, begun with its disclosure."""
    return _opened(
        pair=f"persona:{persona.pk}:{user.pk}",
        kind=Conversation.Kind.PERSONA,
        title=persona.name,
        by=user,
        users=[user],
        personas=[persona],
    )


def open_direct(*, user: User, other: User) -> Conversation:
    """The one conversation of these two."""
    if user == other:
        raise Refused("not_allowed", "That would be a conversation with yourself.")
    first, second = sorted([user.pk, other.pk])
    return _opened(
        pair=f"direct:{first}:{second}",
        kind=Conversation.Kind.DIRECT,
        title="",
        by=user,
        users=[user, other],
        personas=[],
    )


def open_group(
    *, by: User, title: str, users: Sequence[User] = (), personas: Sequence[Persona] = ()
) -> Conversation:
    """A new group; whoever opens it owns it."""
    return _opened(
        pair=None,
        kind=Conversation.Kind.GROUP,
        title=title,
        by=by,
        users=list(dict.fromkeys([by, *users])),
        personas=list(personas),
    )


def _opened(
    *,
    pair: str | None,
    kind: str,
    title: str,
    by: User,
    users: list[User],
    personas: list[Persona],
) -> Conversation:
    if pair is not None and (there := Conversation.objects.filter(pair=pair).first()) is not None:
        return there
    try:
        with transaction.atomic():
            row = Conversation.objects.create(
                kind=kind,
                pair=pair,
                title=title[:120],
                persona=personas[0] if kind == Conversation.Kind.PERSONA else None,
                created_by=by,
                member_count=len(users) + len(personas),
            )
            owner = Membership.Role.OWNER
            Membership.objects.bulk_create(
                [
                    *(
                        Membership(
                            conversation=row,
                            user=user,
                            role=owner if user == by else Membership.Role.MEMBER,
                        )
                        for user in users
                    ),
                    *(Membership(conversation=row, persona=persona) for persona in personas),
                ]
            )
            for persona in personas:
                takeover.say(row.pk, DISCLOSURE.format(name=persona.name))
    except IntegrityError:
        # Two requests at once: the unique pair decided, and the other's is ours too.
        if pair is None:
            raise
        return Conversation.objects.get(pair=pair)
    row.refresh_from_db()
    return row


def add_member(
    *,
    conversation: Conversation,
    by: User,
    user: User | None = None,
    persona: Persona | None = None,
) -> None:
    """Bring somebody into a group; owners, moderators and staff may."""
    if conversation.kind != Conversation.Kind.GROUP:
        raise Refused("wrong_state", "Only groups take more members.")
    _check_may_lead(conversation, by)
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk)
        _, made = Membership.objects.get_or_create(
            conversation=row,
            user=user,
            persona=persona,
            defaults={"joined_seq": row.last_seq, "read_seq": row.last_seq},
        )
        if made:
            takeover.members_changed(row.pk, by=1)
            if persona is not None:
                takeover.say(row.pk, DISCLOSURE.format(name=persona.name))


def remove_member(*, conversation: Conversation, by: User, member: Membership) -> None:
    """Take somebody out, or leave; their sockets hear of it at once."""
    if member.user_id != by.pk:
        _check_may_lead(conversation, by)
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        if Membership.objects.filter(pk=member.pk).delete()[0]:
            takeover.members_changed(conversation.pk, by=-1)
    if member.user_id != by.pk:
        audit.record(actor=by, action="remove from conversation", about=conversation)


def set_role(*, conversation: Conversation, by: User, member: Membership, role: str) -> None:
    """Make somebody moderator, owner or plain member again; owners and staff may."""
    if not by.is_staff and _role(conversation.pk, by.pk) != Membership.Role.OWNER:
        raise Refused("not_allowed")
    with transaction.atomic():
        Membership.objects.filter(pk=member.pk).update(role=role)
        takeover.members_changed(conversation.pk, by=0)


def _role(conversation_id: UUID, user_id: UUID) -> str | None:
    rows = Membership.objects.filter(conversation=conversation_id, user=user_id)
    return rows.values_list("role", flat=True).first()


def _check_may_lead(conversation: Conversation, by: User) -> None:
    role = _role(conversation.pk, by.pk)
    if not by.is_staff and role not in (Membership.Role.OWNER, Membership.Role.MODERATOR):
        raise Refused("not_allowed")


# -- Messages ------------------------------------------------------------------------------------


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
    role = _role(row.conversation_id, by) if row is not None else None
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
    if hasattr(row.user, "chat_ban"):
        raise Refused("banned")
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
    if row is None or not row.is_readable or _role(row.conversation_id, by) is None:
        raise Refused("not_found")
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


# -- Answers -------------------------------------------------------------------------------------


def _reply_for(reply_id: UUID, by: UUID) -> Reply:
    row = Reply.objects.filter(pk=reply_id, conversation__memberships__user=by).first()
    if row is None or row.is_suggestion:
        raise Refused("not_found")
    return row


def stop_reply(*, reply_id: UUID, by: UUID) -> None:
    """Stop an answer that is being written; what is there stays."""
    row = _reply_for(reply_id, by)
    if not replying.stop(row):
        raise Refused("wrong_state", "This answer is finished already.")


def regenerate(*, reply_id: UUID, by: UUID) -> None:
    """Ask for another version of an answer, or for another try after a failure."""
    row = _reply_for(reply_id, by)
    if not replying.again(row):
        raise Refused("wrong_state", "This answer is being written, or a person answers now.")
    tasks.wake([row.pk])


# -- Takeover ------------------------------------------------------------------------------------


def take_over(*, conversation: Conversation, by: User) -> Conversation:
    """A person answers from now on, shown as a person; the persona only suggests."""
    if not by.is_staff:
        raise Refused("not_allowed")
    row = takeover.take(conversation.pk, by=by)
    audit.record(actor=by, action="take over", about=row)
    return row


def hand_back(*, conversation: Conversation, by: User) -> Conversation:
    """The persona answers again."""
    if not by.is_staff:
        raise Refused("not_allowed")
    row = takeover.give_back(conversation.pk, by=by)
    audit.record(actor=by, action="hand back", about=row)
    return row


# -- Moderation ----------------------------------------------------------------------------------


@transaction.atomic
def hide_message(*, message: Message, by: User, hidden: bool = True) -> None:
    """Take a message out of everybody's sight, or show it again."""
    row = locked(message.pk)
    if row is not None and (row.hidden_at is not None) != hidden:
        changes.set_hidden(row, hidden)
        audit.record(actor=by, action="hide message" if hidden else "show message", about=row)


def ban(*, user: User, by: User, reason: str) -> None:
    """Let this user read only, until the ban is lifted."""
    if user.is_staff:
        raise Refused("not_allowed", "Staff cannot be banned from chat.")
    Ban.objects.get_or_create(user=user, defaults={"reason": reason[:300], "placed_by": by})
    audit.record(actor=by, action="ban from chat", about=user, reason=reason)


def lift_ban(*, user: User, by: User) -> None:
    """Let this user send again."""
    if Ban.objects.filter(user=user).delete()[0]:
        audit.record(actor=by, action="lift chat ban", about=user)


def export_user(*, user: User, by: User) -> dict[str, Any]:
    """Everything that chat holds about this user."""
    audit.record(actor=by, action="export chat data", about=user)
    return personal.export(user.pk)


def erase_user(*, user: User, by: User) -> dict[str, int]:
    """Erase what this user said and what is remembered of them; it cannot be undone."""
    counts = personal.erase(user.pk)
    audit.record(actor=by, action="erase chat data", about=user, **counts)
    return counts


# -- Files, memory, search, sign-up --------------------------------------------------------------


def attach(
    *, conversation: Conversation, by: User, name: str, size: int, file: BinaryIO
) -> Attachment:
    """Keep an uploaded file for a message that will name it."""
    try:
        row = attachments.read(
            file, name=name, size=size, conversation_id=conversation.pk, user_id=by.pk
        )
    except attachments.NotTaken as error:
        raise Refused("bad_field", str(error)) from error
    row.save()
    return row


def correct_memory(*, memory: FanMemory, text: str) -> None:
    """A fan puts right what a persona remembers; it is not overwritten any more."""
    memory.text, memory.corrected_at = text, timezone.now()
    memory.save(update_fields=["text", "corrected_at"])


def search(*, user: User, words: str, everywhere: bool = False) -> list[Message]:
    """Messages with these words in this user's conversations, or for staff in all."""
    rows = Conversation.objects.all() if everywhere else Conversation.objects.of(user)
    return list(shapes.with_details(searching.find(rows.values_list("pk", flat=True), words)))


def sign_up(*, username: str, password: str, email: str = "") -> User:
    """A new fan; Refused with what is wrong about the name or the password."""
    user = User(username=username, email=email)
    try:
        user.full_clean(exclude=["password"])
        validate_password(password, user)
        user.set_password(password)
        with transaction.atomic():
            user.save()
    except ValidationError as error:
        raise Refused("bad_field", " ".join(error.messages)) from error
    except IntegrityError as error:
        raise Refused("bad_field", "This name is taken.") from error
    return user


def unread_of(user: User) -> dict[UUID, int]:
    """How many messages of each conversation this user has not read."""
    rows = Membership.objects.filter(user=user).annotate(
        unread=F("conversation__last_seq") - F("read_seq")
    )
    return dict(rows.values_list("conversation_id", "unread"))
