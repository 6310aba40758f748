"""Writing many messages in one transaction: lock, look, number, insert.

Four statements whatever the number of messages, in SQL that SQLite and PostgreSQL share: the ORM
would spend more on building its rows than the database on keeping them. Nothing else writes here.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from apps.core.ids import uuid7
from apps.personas.models import Persona


def _now() -> datetime:
    return datetime.now(UTC)


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
    created_at: datetime = field(default_factory=_now)
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
    id: UUID
    last_seq: int
    kind: str
    persona_id: UUID | None
    generation: int
    added: int = 0


@dataclass(slots=True)
class _Known:
    """What the database says about a sender: may they send, and what is stored already."""

    may_send: bool
    earlier: Stored | None


class _Database:
    """The driver's own cursor: a message costs less than Django's wrapping of its statements.

    Ids are compared as the database at hand keeps them, so that none is made anew from its text.
    """

    __slots__ = ("errors", "execute", "fetchall", "id_of", "is_sqlite", "mark", "moment")

    def __init__(self) -> None:
        # Asked for once: `django.db.connection` looks for its thread's connection at every dot.
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        assert connection.connection is not None
        cursor = connection.connection.cursor()
        self.errors = connection.wrap_database_errors
        self.execute: Callable[[str, Sequence[Any]], Any] = cursor.execute
        self.fetchall: Callable[[], list[tuple[Any, ...]]] = cursor.fetchall
        self.is_sqlite = connection.vendor == "sqlite"
        self.mark = "?" if self.is_sqlite else "%s"
        self.id_of: Callable[[UUID], Any] = _hex if self.is_sqlite else _same
        self.moment = connection.ops.adapt_datetimefield_value

    def id_or_none(self, value: UUID | None) -> Any:
        return None if value is None else self.id_of(value)


_hex: Callable[[UUID], Any] = operator.attrgetter("hex")


def _same(value: UUID) -> Any:
    return value


def _as_uuid(value: Any) -> UUID:
    """An id as it came from the database at hand."""
    return value if isinstance(value, UUID) else UUID(value)


@cache
def _rows_of(mark: str, width: int, count: int) -> str:
    row = "(" + ",".join([mark] * width) + ")"
    return ",".join([row] * count)


def _padded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same rows, the last repeated up to a power of two: few statements, all of them known.

    Only for what is asked or set: a row that comes twice changes nothing there.
    """
    return rows + [rows[-1]] * ((1 << (len(rows) - 1).bit_length()) - len(rows))


def append(drafts: Sequence[Draft]) -> list[Outcome]:
    """Store these in the order given, inside the caller's transaction; one outcome for each.

    The conversations' rows are locked in sorted order first, so that no two processes give one
    number twice and none waits for another in a circle.
    """
    database = _Database()
    with database.errors:
        ids = [database.id_of(draft.conversation_id) for draft in drafts]
        conversations = _lock(database, set(ids))
        known = _known(database, drafts, ids)
        outcomes: list[Outcome] = []
        fresh: list[tuple[Draft, Stored]] = []
        for draft, conversation_id in zip(drafts, ids, strict=True):
            row = conversations.get(conversation_id)
            outcome = _outcome(database, draft, conversation_id, row, known)
            outcomes.append(outcome)
            if isinstance(outcome, Stored) and not outcome.was_there:
                fresh.append((draft, outcome))
        if fresh:
            _number(database, conversations)
            _insert(database, fresh)
            _ask_personas(database, fresh, conversations)
    _attach(fresh)
    return outcomes


def _outcome(
    database: _Database,
    draft: Draft,
    conversation_id: Any,
    row: _Row | None,
    known: dict[tuple[Any, ...], _Known],
) -> Outcome:
    if row is None:
        return Refusal("not_member")
    sender = None
    if draft.user_id is not None:
        sender = known.get((conversation_id, database.id_of(draft.user_id), draft.client_id))
        if sender is None:
            return Refusal("not_member")
        if not sender.may_send:
            return Refusal("banned")
        if sender.earlier is not None:
            return Stored(sender.earlier.id, sender.earlier.seq, was_there=True)
    row.added += 1
    stored = Stored(draft.id, row.last_seq + row.added)
    if sender is not None and draft.client_id is not None:
        # Sent twice within one batch: the second finds the first.
        sender.earlier = stored
    return stored


def _lock(database: _Database, ids: set[Any]) -> dict[Any, _Row]:
    # SQLite's BEGIN IMMEDIATE holds everything already.
    lock = "" if database.is_sqlite else " FOR UPDATE"
    asked = [each for (each,) in _padded([(each,) for each in sorted(ids)])]
    database.execute(
        "SELECT id, last_seq, kind, persona_id, generation FROM chat_conversation "
        f"WHERE id IN {_rows_of(database.mark, len(asked), 1)} ORDER BY id{lock}",
        asked,
    )
    return {
        row[0]: _Row(_as_uuid(row[0]), row[1], row[2], _as_uuid(row[3]) if row[3] else None, row[4])
        for row in database.fetchall()
    }


def _known(
    database: _Database, drafts: Sequence[Draft], ids: Sequence[Any]
) -> dict[tuple[Any, ...], _Known]:
    """Which senders are members, whether each may send, and what an earlier sending stored."""
    asked: list[tuple[Any, ...]] = [
        (conversation_id, database.id_of(draft.user_id), draft.client_id)
        for draft, conversation_id in zip(drafts, ids, strict=True)
        if draft.user_id is not None
    ]
    if not asked:
        return {}
    asked = _padded(asked)
    database.execute(
        "SELECT m.conversation_id, m.user_id, v.column3, b.id IS NULL AND u.is_active, k.id, k.seq "
        f"FROM (VALUES {_rows_of(database.mark, 3, len(asked))}) AS v "
        "JOIN chat_membership m ON m.conversation_id = v.column1 AND m.user_id = v.column2 "
        "JOIN core_user u ON u.id = m.user_id LEFT JOIN chat_ban b ON b.user_id = m.user_id "
        "LEFT JOIN chat_message k ON k.user_id = m.user_id "
        "AND k.conversation_id = m.conversation_id AND k.client_id = v.column3",
        [part for row in asked for part in row],
    )
    return {
        (row[0], row[1], row[2]): _Known(
            bool(row[3]), Stored(_as_uuid(row[4]), row[5]) if row[4] else None
        )
        for row in database.fetchall()
    }


def _number(database: _Database, conversations: dict[Any, _Row]) -> None:
    changed = [(key, row.last_seq + row.added) for key, row in conversations.items() if row.added]
    changed = _padded(changed)
    database.execute(
        f"UPDATE chat_conversation SET last_seq = v.column2, last_message_at = {database.mark} "
        f"FROM (VALUES {_rows_of(database.mark, 2, len(changed))}) AS v WHERE id = v.column1",
        [database.moment(_now()), *(part for row in changed for part in row)],
    )


_COLUMNS = (
    "id, conversation_id, seq, kind, user_id, persona_id, content, client_id, is_ai, depth, "
    "created_at, change"
)


def _insert(database: _Database, fresh: list[tuple[Draft, Stored]]) -> None:
    values: list[Any] = []
    for draft, stored in fresh:
        values += (
            database.id_of(draft.id),
            database.id_of(draft.conversation_id),
            stored.seq,
            "notice" if draft.is_notice else "text",
            database.id_or_none(draft.user_id),
            database.id_or_none(draft.persona_id),
            draft.content,
            draft.client_id,
            draft.is_ai,
            draft.depth,
            database.moment(draft.created_at),
            0,
        )
    database.execute(
        f"INSERT INTO chat_message ({_COLUMNS}) VALUES {_rows_of(database.mark, 12, len(fresh))}",
        values,
    )


def _ask_personas(
    database: _Database, fresh: list[tuple[Draft, Stored]], conversations: dict[Any, _Row]
) -> None:
    """Leave an answer job with each message that wants one, in the message's own transaction."""
    wanted: list[tuple[Draft, Stored, _Row, UUID]] = []
    for draft, stored in fresh:
        row = conversations[database.id_of(draft.conversation_id)]
        asked = set(draft.asked) - {draft.persona_id}
        if row.kind == "persona" and draft.user_id is not None and row.persona_id is not None:
            asked.add(row.persona_id)
        wanted += [(draft, stored, row, persona_id) for persona_id in sorted(asked)]
    if not wanted:
        return
    present = _present_personas(database, wanted)
    now = database.moment(_now())
    values: list[Any] = []
    count = 0
    for draft, stored, row, persona_id in wanted:
        if (row.id, persona_id) not in present:
            continue
        reply_id = uuid7()
        stored.reply_ids += (reply_id,)
        count += 1
        values += (
            database.id_of(reply_id),
            database.id_of(row.id),
            database.id_of(persona_id),
            database.id_of(draft.id),
            "queued",
            1,
            row.generation,
            False,
            0,
            "",
            "",
            "",
            now,
        )
    if count:
        database.execute(
            "INSERT INTO chat_reply (id, conversation_id, persona_id, trigger_id, state, version, "
            "generation, is_suggestion, attempts, text, error_code, error, "
            f"created_at) VALUES {_rows_of(database.mark, 13, count)}",
            values,
        )


def _present_personas(
    database: _Database, wanted: list[tuple[Draft, Stored, _Row, UUID]]
) -> set[tuple[UUID, UUID]]:
    pairs = sorted({(row.id, persona_id) for _, _, row, persona_id in wanted})
    asked = _padded([(database.id_of(row_id), database.id_of(each)) for row_id, each in pairs])
    database.execute(
        "SELECT m.conversation_id, m.persona_id "
        f"FROM (VALUES {_rows_of(database.mark, 2, len(asked))}) AS v JOIN chat_membership m "
        "ON m.conversation_id = v.column1 AND m.persona_id = v.column2 "
        "JOIN personas_persona p ON p.id = m.persona_id WHERE p.is_active",
        [part for row in asked for part in row],
    )
    return {(_as_uuid(row[0]), _as_uuid(row[1])) for row in database.fetchall()}


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
