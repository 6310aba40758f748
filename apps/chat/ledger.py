"""Writing many messages in one transaction: lock, look, number, insert.

Five statements whatever the number of messages, in SQL that SQLite and PostgreSQL share: the ORM
would spend more on building its rows than the database on keeping them. Nothing else writes here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.core.ids import uuid7
from apps.personas.models import Persona


@dataclass(slots=True, kw_only=True)
class Draft:
    """A message that wants to be stored; exactly one of user and persona, neither for a notice."""

    conversation_id: UUID
    content: str
    user_id: UUID | None = None
    persona_id: UUID | None = None
    sender_name: str = ""
    client_id: str | None = None
    is_ai: bool = False
    is_notice: bool = False
    depth: int = 0
    # The personas that are asked to answer, besides the one whose conversation it is.
    asked: tuple[UUID, ...] = ()
    attachment_ids: tuple[UUID, ...] = ()
    id: UUID = field(default_factory=uuid7)
    created_at: datetime = field(default_factory=timezone.now)
    # Who hears of the outcome: the socket it came by.
    sender: Any = None


@dataclass(slots=True)
class Stored:
    """A message that is in the log, now or since an earlier sending (`was_there`)."""

    id: UUID
    seq: int
    was_there: bool = False
    reply_ids: tuple[UUID, ...] = ()


@dataclass(slots=True)
class Refusal:
    """A message that was not stored; `code` is one of the protocol's."""

    code: str


Outcome = Stored | Refusal


@dataclass(slots=True)
class _Row:
    last_seq: int
    kind: str
    persona_id: UUID | None
    generation: int
    added: int = 0


def _is_sqlite() -> bool:
    return connection.vendor == "sqlite"


def as_stored(value: UUID | None) -> Any:
    """An id as the database at hand keeps it."""
    return value.hex if value is not None and _is_sqlite() else value


def as_id(value: Any) -> UUID:
    """An id as it came from the database at hand."""
    return value if isinstance(value, UUID) else UUID(value)


@cache
def _rows_of(width: int, count: int) -> str:
    row = "(" + ",".join(["%s"] * width) + ")"
    return ",".join([row] * count)


def append(drafts: Sequence[Draft]) -> list[Outcome]:
    """Store these in the order given, inside the caller's transaction; one outcome for each.

    The conversations' rows are locked in sorted order first, so that no two processes give one
    number twice and none waits for another in a circle.
    """
    with connection.cursor() as cursor:
        conversations = _lock(cursor, {draft.conversation_id for draft in drafts})
        members = _members(cursor, drafts)
        known = _known(cursor, drafts)
        outcomes: list[Outcome] = []
        fresh: list[tuple[Draft, Stored]] = []
        for draft in drafts:
            row = conversations.get(draft.conversation_id)
            key = (draft.conversation_id, draft.user_id, draft.client_id)
            refused = _refusal(draft, row, members)
            if refused is not None:
                outcomes.append(refused)
            elif draft.client_id is not None and key in known:
                earlier = known[key]
                outcomes.append(Stored(earlier.id, earlier.seq, was_there=True))
            else:
                assert row is not None
                row.added += 1
                stored = Stored(draft.id, row.last_seq + row.added)
                if draft.client_id is not None:
                    known[key] = stored
                outcomes.append(stored)
                fresh.append((draft, stored))
        if fresh:
            _number(cursor, conversations)
            _insert(cursor, fresh)
            _ask_personas(cursor, fresh, conversations)
    _attach(fresh)
    return outcomes


def _lock(cursor: Any, ids: set[UUID]) -> dict[UUID, _Row]:
    # SQLite's BEGIN IMMEDIATE holds everything already.
    lock = "" if _is_sqlite() else " FOR UPDATE"
    cursor.execute(
        "SELECT id, last_seq, kind, persona_id, generation FROM chat_conversation "
        f"WHERE id IN ({','.join(['%s'] * len(ids))}) ORDER BY id{lock}",
        [as_stored(each) for each in sorted(ids)],
    )
    return {
        as_id(row[0]): _Row(row[1], row[2], as_id(row[3]) if row[3] else None, row[4])
        for row in cursor.fetchall()
    }


Members = dict[tuple[UUID, UUID], bool]


def _members(cursor: Any, drafts: Sequence[Draft]) -> Members:
    """Which senders are members, each with whether they may send."""
    pairs = sorted({(d.conversation_id, d.user_id) for d in drafts if d.user_id is not None})
    if not pairs:
        return {}
    cursor.execute(
        "SELECT m.conversation_id, m.user_id, b.id IS NULL AND u.is_active "
        f"FROM (VALUES {_rows_of(2, len(pairs))}) AS v "
        "JOIN chat_membership m ON m.conversation_id = v.column1 AND m.user_id = v.column2 "
        "JOIN core_user u ON u.id = m.user_id LEFT JOIN chat_ban b ON b.user_id = m.user_id",
        [as_stored(each) for pair in pairs for each in pair],
    )
    return {(as_id(row[0]), as_id(row[1])): bool(row[2]) for row in cursor.fetchall()}


def _known(
    cursor: Any, drafts: Sequence[Draft]
) -> dict[tuple[UUID, UUID | None, str | None], Stored]:
    """What was stored under these client ids before: in an earlier sending or a lost commit."""
    keys = [
        (as_stored(d.conversation_id), as_stored(d.user_id), d.client_id)
        for d in drafts
        if d.client_id is not None and d.user_id is not None
    ]
    if not keys:
        return {}
    cursor.execute(
        "SELECT m.conversation_id, m.user_id, m.client_id, m.id, m.seq "
        f"FROM (VALUES {_rows_of(3, len(keys))}) AS v "
        "JOIN chat_message m ON m.conversation_id = v.column1 AND m.user_id = v.column2 "
        "AND m.client_id = v.column3 AND m.client_id IS NOT NULL",
        [part for key in keys for part in key],
    )
    return {
        (as_id(row[0]), as_id(row[1]), row[2]): Stored(as_id(row[3]), row[4])
        for row in cursor.fetchall()
    }


def _refusal(draft: Draft, row: _Row | None, members: Members) -> Refusal | None:
    if row is None:
        return Refusal("not_member")
    if draft.user_id is None:
        return None
    may_send = members.get((draft.conversation_id, draft.user_id))
    if may_send is None:
        return Refusal("not_member")
    return None if may_send else Refusal("banned")


def _number(cursor: Any, conversations: dict[UUID, _Row]) -> None:
    changed = sorted((key, row) for key, row in conversations.items() if row.added)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    cursor.execute(
        "UPDATE chat_conversation SET last_seq = v.column2, last_message_at = %s "
        f"FROM (VALUES {_rows_of(2, len(changed))}) AS v WHERE id = v.column1",
        [
            now,
            *(each for key, row in changed for each in (as_stored(key), row.last_seq + row.added)),
        ],
    )


_COLUMNS = (
    "id, conversation_id, seq, kind, user_id, persona_id, content, client_id, is_ai, depth, "
    "created_at, change"
)


def _insert(cursor: Any, fresh: list[tuple[Draft, Stored]]) -> None:
    moment = connection.ops.adapt_datetimefield_value
    values: list[Any] = []
    for draft, stored in fresh:
        values += (
            as_stored(draft.id),
            as_stored(draft.conversation_id),
            stored.seq,
            "notice" if draft.is_notice else "text",
            as_stored(draft.user_id),
            as_stored(draft.persona_id),
            draft.content,
            draft.client_id,
            draft.is_ai,
            draft.depth,
            moment(draft.created_at),
            0,
        )
    cursor.execute(
        f"INSERT INTO chat_message ({_COLUMNS}) VALUES {_rows_of(12, len(fresh))}", values
    )


def _ask_personas(
    cursor: Any, fresh: list[tuple[Draft, Stored]], conversations: dict[UUID, _Row]
) -> None:
    """Leave an answer job with each message that wants one, in the message's own transaction."""
    wanted: list[tuple[Draft, Stored, UUID]] = []
    for draft, stored in fresh:
        row = conversations[draft.conversation_id]
        asked = set(draft.asked) - {draft.persona_id}
        if row.kind == "persona" and draft.user_id is not None and row.persona_id is not None:
            asked.add(row.persona_id)
        wanted += [(draft, stored, persona_id) for persona_id in sorted(asked)]
    if not wanted:
        return
    present = _present_personas(cursor, wanted)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    values: list[Any] = []
    count = 0
    for draft, stored, persona_id in wanted:
        if (draft.conversation_id, persona_id) not in present:
            continue
        reply_id = uuid7()
        stored.reply_ids += (reply_id,)
        count += 1
        values += (
            as_stored(reply_id),
            as_stored(draft.conversation_id),
            as_stored(persona_id),
            as_stored(draft.id),
            "queued",
            1,
            conversations[draft.conversation_id].generation,
            False,
            0,
            "",
            "",
            "",
            now,
        )
    if count:
        cursor.execute(
            "INSERT INTO chat_reply (id, conversation_id, persona_id, trigger_id, state, version, "
            "generation, is_suggestion, attempts, text, error_code, error, "
            f"created_at) VALUES {_rows_of(13, count)}",
            values,
        )


def _present_personas(
    cursor: Any, wanted: list[tuple[Draft, Stored, UUID]]
) -> set[tuple[UUID, UUID]]:
    pairs = sorted({(draft.conversation_id, persona_id) for draft, _, persona_id in wanted})
    cursor.execute(
        "SELECT m.conversation_id, m.persona_id "
        f"FROM (VALUES {_rows_of(2, len(pairs))}) AS v JOIN chat_membership m "
        "ON m.conversation_id = v.column1 AND m.persona_id = v.column2 "
        "JOIN personas_persona p ON p.id = m.persona_id WHERE p.is_active",
        [as_stored(each) for pair in pairs for each in pair],
    )
    return {(as_id(row[0]), as_id(row[1])) for row in cursor.fetchall()}


def _attach(fresh: list[tuple[Draft, Stored]]) -> None:
    from apps.chat.models import Attachment

    for draft, _ in fresh:
        if draft.attachment_ids:
            # Only one's own, of this conversation, and not sent before.
            Attachment.objects.filter(
                pk__in=draft.attachment_ids,
                conversation=draft.conversation_id,
                uploaded_by=draft.user_id,
                message=None,
            ).update(message=draft.id)


def handles_in(text: str, personas: dict[UUID, str]) -> tuple[UUID, ...]:
    """The personas of a conversation that a text calls by `@handle`."""
    if "@" not in text or not personas:
        return ()
    called = {word.lstrip("@").rstrip(".,!?:;").lower() for word in text.split() if word[0] == "@"}
    return tuple(pk for pk, handle in personas.items() if handle in called)


def persona_handles(conversation_id: UUID) -> dict[UUID, str]:
    """The personas in a conversation with their handles."""
    rows = Persona.objects.filter(memberships__conversation=conversation_id, is_active=True)
    return dict(rows.values_list("pk", "handle"))
