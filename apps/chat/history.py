"""Reading the log: what came after, what changed after, and who is in a conversation."""

from dataclasses import dataclass, field
from uuid import UUID

from apps.chat import protocol, shapes
from apps.chat.databases import as_uuid, rows_of
from apps.chat.models import Conversation, Membership, Message, Reply

PAGE = 500


@dataclass(slots=True)
class Roster:
    """A conversation as a process keeps it while somebody here has joined it."""

    id: UUID
    kind: str
    last_seq: int
    last_change: int
    members_version: int
    holder: str
    holder_name: str
    roles: dict[UUID, str] = field(default_factory=dict)
    read: dict[UUID, int] = field(default_factory=dict)
    personas: dict[UUID, str] = field(default_factory=dict)


def rosters(ids: list[UUID]) -> dict[UUID, Roster]:
    """The conversations of these ids that exist, with their members."""
    found = {
        row.pk: Roster(
            id=row.pk,
            kind=row.kind,
            last_seq=row.last_seq,
            last_change=row.last_change,
            members_version=row.members_version,
            holder=row.holder,
            holder_name=shapes.holder_name(row),
        )
        for row in Conversation.objects.filter(pk__in=ids).select_related("held_by")
    }
    members = Membership.objects.filter(conversation__in=found)
    people = members.filter(persona=None).values_list(
        "conversation_id", "user_id", "role", "read_seq"
    )
    for conversation_id, user_id, role, read_seq in people:
        found[conversation_id].roles[user_id] = role
        found[conversation_id].read[user_id] = read_seq
    personas = members.filter(user=None).values_list(
        "conversation_id", "persona_id", "persona__handle"
    )
    for conversation_id, persona_id, handle in personas:
        found[conversation_id].personas[persona_id] = handle
    return found


@dataclass(slots=True)
class Missed:
    """What a reader missed: messages by seq, changes by number, and answers being written."""

    messages: list[tuple[int, bytes]]
    changes: list[tuple[int, bytes]]
    replies: list[bytes]
    more: bool
    # Where the changes stood before they were read: complete up to here when there is no more.
    last_change: int


def missed(conversation_id: UUID, *, last_seq: int, last_change: int | None) -> Missed:
    """Up to PAGE messages after `last_seq` and changes after `last_change` (None: no changes)."""
    stands = Conversation.objects.filter(pk=conversation_id).values_list("last_change", flat=True)
    stood = stands.first() or 0
    rows = list(shapes.with_details(Message.objects.after(conversation_id, last_seq))[:PAGE])
    changed: list[Message] = []
    if last_change is not None:
        changed = list(
            shapes.with_details(Message.objects.changed_after(conversation_id, last_change))[:PAGE]
        )
    return Missed(
        messages=[(row.seq, protocol.encode(shapes.message_event(row))) for row in rows],
        changes=[(row.change, protocol.encode(shapes.change_event(row))) for row in changed],
        replies=[
            protocol.encode(reply_started(reply))
            for reply in Reply.objects.filter(
                conversation=conversation_id, state=Reply.State.STREAMING, is_suggestion=False
            ).select_related("persona")
        ],
        more=len(rows) == PAGE or len(changed) == PAGE,
        last_change=stood,
    )


def reply_started(reply: Reply) -> dict[str, object]:
    """`reply_started` with what has been stored of it so far."""
    return {
        "type": "reply_started",
        "conversation_id": reply.conversation_id,
        "reply_id": reply.pk,
        "persona_id": reply.persona_id,
        "persona_name": reply.persona.name,
        "trigger_id": reply.trigger_id,
        "version": reply.version,
        "is_ai": True,
        "text": reply.text,
    }


_STANDING = (
    "SELECT id, last_seq, last_change, members_version FROM chat_conversation WHERE id IN (ids)"
)


def standing(ids: list[UUID]) -> dict[UUID, tuple[int, int, int]]:
    """Where these conversations stand: last seq, last change, version of the member list."""
    return {as_uuid(row[0]): (row[1], row[2], row[3]) for row in rows_of(_STANDING, ids)}


# The largest conversation whose people hear of each other before they open it.
LARGEST = 50
_CONTACTS = (
    "SELECT m.user_id, other.user_id FROM chat_membership m "
    f"JOIN chat_conversation c ON c.id = m.conversation_id AND c.member_count <= {LARGEST} "
    "JOIN chat_membership other ON other.conversation_id = m.conversation_id "
    "AND other.user_id <> m.user_id WHERE m.user_id IN (ids)"
)


def contacts(user_ids: list[UUID], *, most: int) -> dict[UUID, list[UUID]]:
    """For each user up to `most` people of their smaller conversations."""
    found: dict[UUID, dict[UUID, None]] = {user_id: {} for user_id in user_ids}
    for user_id, other in rows_of(_CONTACTS, user_ids):
        people = found[as_uuid(user_id)]
        if len(people) < most:
            people[as_uuid(other)] = None
    return {user_id: list(people) for user_id, people in found.items()}


def share_a_conversation(user_id: UUID, others: list[UUID]) -> set[UUID]:
    """Which of `others` this user may ask about."""
    mine = Membership.objects.filter(user=user_id).values("conversation_id")
    rows = Membership.objects.filter(user__in=others, conversation__in=mine)
    return {pk for pk in rows.values_list("user_id", flat=True).distinct() if pk is not None}
