"""What the chat page shows: the conversations of one user and pages of their logs."""

from typing import Any

from django.db.models import F, Prefetch

from apps.chat import mood, protocol, shapes
from apps.chat.models import Conversation, Membership, Message, Reply
from apps.core.models import User
from apps.personas.models import Persona

MOST_CONVERSATIONS = 100
MOST_MEMBERS = 200
PAGE = 50
# A jump to an old message brings all that lies between, up to this many.
LONGEST_JUMP = 2_000
EXCERPT = 160


def conversations_of(user: User) -> list[dict[str, Any]]:
    """The user's conversations, the one with the newest message first."""
    rows = (
        Conversation.objects.of(user)
        .select_related("persona", "held_by")
        .prefetch_related(
            Prefetch("memberships", Membership.objects.select_related("user", "persona"))
        )
        .order_by(F("last_message_at").desc(nulls_last=True), "-id")[:MOST_CONVERSATIONS]
    )
    found = list(rows)
    newest = {
        row.conversation_id: row
        for row in Message.objects.filter(
            conversation__in=found, seq=F("conversation__last_seq")
        ).select_related("user", "persona")
    }
    return [_conversation(row, user, newest.get(row.pk)) for row in found]


def _conversation(row: Conversation, user: User, newest: Message | None) -> dict[str, Any]:
    members = list(row.memberships.all())
    own = next(each for each in members if each.user_id == user.pk)
    title, persona = row.title, row.persona
    if row.kind == Conversation.Kind.PERSONA and persona is not None:
        fan = next((each.user for each in members if each.user_id == row.created_by_id), None)
        # Who answers for a persona has many conversations with it: the fan tells them apart.
        title = persona.name if fan is None or fan == user else f"{fan.shown_name}, {persona.name}"
    elif row.kind == Conversation.Kind.DIRECT:
        others = [each.user.shown_name for each in members if each.user and each.user != user]
        title = others[0] if others else "Somebody who left"
    return {
        "id": row.pk,
        "kind": row.kind,
        "title": title or "Group",
        "persona": persona_shape(persona) if persona is not None else None,
        # For staff only: how its people sounded lately.
        "mood": mood.word_of(row.mood) if user.is_staff else "",
        "holder": row.holder,
        "holder_id": row.held_by_id,
        "holder_name": shapes.holder_name(row),
        "role": own.role,
        "is_mine": row.created_by_id == user.pk,
        "read_seq": own.read_seq,
        "last_seq": row.last_seq,
        "last_change": row.last_change,
        "last": shown_last(newest) if newest is not None else None,
        "members": [_member(each) for each in members[:MOST_MEMBERS]],
    }


def persona_shape(persona: Persona) -> dict[str, Any]:
    """A persona as its public page shows it."""
    return {
        "id": persona.pk,
        "name": persona.name,
        "handle": persona.handle,
        "bio": persona.bio,
        "avatar": persona.avatar.url if persona.avatar else "",
    }


def _member(row: Membership) -> dict[str, Any]:
    if row.persona is not None:
        return {
            **persona_shape(row.persona),
            "kind": "persona",
            "role": row.role,
            "read_seq": row.read_seq,
        }
    assert row.user is not None
    return {
        "id": row.user.pk,
        "kind": "user",
        "name": row.user.shown_name,
        "is_staff": row.user.is_staff,
        "role": row.role,
        "read_seq": row.read_seq,
    }


def shown_last(row: Message) -> dict[str, Any]:
    """One line of a message, for lists."""
    return {
        "seq": row.seq,
        "kind": row.kind,
        "sender_id": row.user_id or row.persona_id,
        "sender_name": shapes.sender_name(row),
        "content": row.content[:EXCERPT] if row.is_readable else "",
        "deleted": not row.is_readable,
        "is_ai": row.is_ai,
        "timestamp": protocol.stamp(row.created_at),
    }


def log_of(
    conversation: Conversation, *, before: int | None = None, since: int | None = None
) -> dict[str, Any]:
    """A page of the log that ends before a `seq` (or at its end), oldest first.

    With `since` it reaches back to that `seq` and a little further, for a jump to what was found.
    """
    rows = Message.objects.before(conversation.pk, before if before is not None else 2**62)
    most = PAGE
    if since is not None:
        rows = rows.filter(seq__gte=max(since - 10, 1))
        most = LONGEST_JUMP
    page = list(shapes.with_details(rows)[:most])
    page.reverse()
    first = page[0].seq if page else 1
    return {
        "conversation_id": conversation.pk,
        # Read before the messages were: no change is missed, one may come twice.
        "last_change": conversation.last_change,
        "messages": [shapes.message(row) for row in page],
        "older": first > 1,
        "replies": _ended_without_words(conversation, first) if before is None else [],
    }


def _ended_without_words(conversation: Conversation, since: int) -> list[dict[str, Any]]:
    # The socket tells of answers being written; those that failed are told once, when they do.
    rows = Reply.objects.filter(
        conversation=conversation,
        trigger__seq__gte=since,
        state=Reply.State.FAILED,
        message=None,
        is_suggestion=False,
    ).select_related("persona")
    return [
        {
            "reply_id": row.pk,
            "persona_id": row.persona_id,
            "persona_name": row.persona.name,
            "trigger_id": row.trigger_id,
            "version": row.version,
            "message": row.error,
        }
        for row in rows
    ]


def personas_to_meet(user: User) -> list[Persona]:
    """Active personas with whom this user has not begun to talk."""
    known = Conversation.objects.of(user).filter(persona__isnull=False, created_by=user)
    return list(Persona.objects.active().exclude(pk__in=known.values("persona_id"))[:24])
