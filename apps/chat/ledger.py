"""Writing many messages in one transaction: lock, look, number, insert.

A statement each whatever the number of messages, in SQL that SQLite and PostgreSQL share: the ORM
would spend more on building its rows than the database on keeping them. Nothing else writes here.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from apps.chat.databases import as_uuid
from apps.core.ids import uuid7


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
    last_seq: int
    kind: str
    persona_id: UUID | None
    generation: int
    added: int = 0


@dataclass(slots=True)
class _Known:
    """What the database says about a sender: may they send (None: no member), what is stored."""

    may_send: bool | None
    earlier: Stored | None


# A message's conversation, sender and client id, as the database at hand keeps them.
_Key = tuple[Any, Any, str | None]


class Database:
    """The driver's own cursor: a message costs less than Django's wrapping of its statements.

    Ids are compared as the database at hand keeps them, so that none is made anew from its text.
    With `with`, a transaction of its own.
    """

    __slots__ = ("_begin", "errors", "execute", "fetchall", "id_of", "is_sqlite", "mark", "moment")

    def __init__(self) -> None:
        # Asked for once: `django.db.connection` looks for its thread's connection at every dot.
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        assert connection.connection is not None
        cursor = connection.connection.cursor()
        self.errors = connection.wrap_database_errors
        self.execute: Callable[..., Any] = cursor.execute
        self.fetchall: Callable[[], list[tuple[Any, ...]]] = cursor.fetchall
        self.is_sqlite = connection.vendor == "sqlite"
        self.mark = "?" if self.is_sqlite else "%s"
        self._begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        self.id_of: Callable[[UUID], Any] = _hex if self.is_sqlite else _same
        self.moment: Callable[[datetime], Any] = _as_text if self.is_sqlite else _same

    def id_or_none(self, value: UUID | None) -> Any:
        return None if value is None else self.id_of(value)

    def __enter__(self) -> None:
        with self.errors:
            self.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self.errors:
            self.execute("COMMIT" if kind is None else "ROLLBACK")


_hex: Callable[[UUID], Any] = operator.attrgetter("hex")


def _same(value: Any) -> Any:
    return value


def _as_text(moment: datetime) -> str:
    # As Django keeps moments in SQLite: in UTC, without saying so.
    return str(moment.astimezone(UTC)).removesuffix("+00:00")


@lru_cache(maxsize=256)
def _rows_of(mark: str, width: int, count: int) -> str:
    row = "(" + ",".join([mark] * width) + ")"
    return ",".join([row] * count)


def _padded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same rows, the last repeated up to a power of two: few statements, all of them known.

    Only for what is asked or set: a row that comes twice changes nothing there.
    """
    return rows + [rows[-1]] * ((1 << (len(rows) - 1).bit_length()) - len(rows))


def append(drafts: Sequence[Draft], database: Database | None = None) -> list[Outcome]:
    """Store these in the order given, inside the caller's transaction; one outcome for each.

    The conversations' rows are locked in sorted order first, so that no two processes give one
    number twice and none waits for another in a circle.
    """
    if database is None:
        database = Database()
    id_of = database.id_of
    # Without a user nobody is looked for: no user has a conversation's id.
    keys: list[_Key] = [
        (
            id_of(draft.conversation_id),
            id_of(draft.user_id or draft.conversation_id),
            draft.client_id,
        )
        for draft in drafts
    ]
    with database.errors:
        # SQLite's BEGIN IMMEDIATE holds everything already.
        if not database.is_sqlite:
            _lock(database, keys)
        conversations, known = _look(database, keys)
        outcomes: list[Outcome] = []
        fresh: list[tuple[Draft, _Key, Stored]] = []
        for draft, key in zip(drafts, keys, strict=True):
            outcome = _outcome(draft, conversations.get(key[0]), known.get(key))
            outcomes.append(outcome)
            if isinstance(outcome, Stored) and not outcome.was_there:
                fresh.append((draft, key, outcome))
        if fresh:
            _number(database, conversations, fresh[-1][0].created_at)
            _insert(database, fresh)
            _ask_personas(database, fresh, conversations)
    _attach(fresh)
    return outcomes


def _outcome(draft: Draft, row: _Row | None, sender: _Known | None) -> Outcome:
    if row is None or sender is None:
        return Refusal("not_member")
    if draft.user_id is not None:
        if sender.may_send is None:
            return Refusal("not_member")
        if not sender.may_send:
            return Refusal("banned")
        if sender.earlier is not None:
            return Stored(sender.earlier.id, sender.earlier.seq, was_there=True)
    row.added += 1
    stored = Stored(draft.id, row.last_seq + row.added)
    if draft.user_id is not None and draft.client_id is not None:
        # Sent twice within one batch: the second finds the first.
        sender.earlier = stored
    return stored


def _lock(database: Database, keys: Sequence[_Key]) -> None:
    asked = [each for (each,) in _padded([(each,) for each in sorted({key[0] for key in keys})])]
    database.execute(
        "SELECT id FROM chat_conversation "
        f"WHERE id IN {_rows_of(database.mark, len(asked), 1)} ORDER BY id FOR UPDATE",
        asked,
    )


# Nearly every message is alone in its transaction, and a list of one costs SQLite a third more.
_SEEN = "c.last_seq, c.kind, c.persona_id, c.generation, b.id IS NULL AND u.is_active, k.id, k.seq"
_LOOK_ONE = (
    f"SELECT {_SEEN} FROM chat_conversation c "
    "LEFT JOIN chat_membership m ON m.conversation_id = c.id AND m.user_id = ? "
    "LEFT JOIN core_user u ON u.id = m.user_id LEFT JOIN chat_ban b ON b.user_id = m.user_id "
    "LEFT JOIN chat_message k ON k.user_id = m.user_id AND k.conversation_id = m.conversation_id "
    "AND k.client_id = ? WHERE c.id = ?"
)
_LOOK = (
    f"SELECT v.column1, v.column2, v.column3, {_SEEN} FROM (VALUES ...) AS v "
    "JOIN chat_conversation c ON c.id = v.column1 "
    "LEFT JOIN chat_membership m ON m.conversation_id = c.id AND m.user_id = v.column2 "
    "LEFT JOIN core_user u ON u.id = m.user_id LEFT JOIN chat_ban b ON b.user_id = m.user_id "
    "LEFT JOIN chat_message k ON k.user_id = m.user_id AND k.conversation_id = m.conversation_id "
    "AND k.client_id = v.column3"
)


def _look(database: Database, keys: Sequence[_Key]) -> tuple[dict[Any, _Row], dict[_Key, _Known]]:
    """Where the conversations stand; whether their senders are members, may send, and had sent
    the same before."""
    rows: list[tuple[Any, ...]]
    if len(keys) == 1:
        [(conversation_id, user_id, client_id)] = keys
        database.execute(
            _with_marks(_LOOK_ONE, database.mark), (user_id, client_id, conversation_id)
        )
        rows = [(*keys[0], *row) for row in database.fetchall()]
    else:
        asked = _padded(list(keys))
        database.execute(
            _LOOK.replace("...", _rows_of(database.mark, 3, len(asked))),
            [part for row in asked for part in row],
        )
        rows = database.fetchall()
    conversations: dict[Any, _Row] = {}
    known: dict[_Key, _Known] = {}
    for conversation_id, user_id, client_id, seq, kind, persona, generation, may, pk, at in rows:
        if conversation_id not in conversations:
            persona_id = as_uuid(persona) if persona is not None else None
            conversations[conversation_id] = _Row(seq, kind, persona_id, generation)
        earlier = Stored(as_uuid(pk), at) if pk is not None else None
        known[conversation_id, user_id, client_id] = _Known(may, earlier)
    return conversations, known


@cache
def _with_marks(statement: str, mark: str) -> str:
    return statement.replace("?", mark)


def _number(database: Database, conversations: dict[Any, _Row], at: datetime) -> None:
    changed = [(key, row.last_seq + row.added) for key, row in conversations.items() if row.added]
    moment = database.moment(at)
    if len(changed) == 1:
        [(conversation_id, last_seq)] = changed
        database.execute(
            _with_marks(
                "UPDATE chat_conversation SET last_seq = ?, last_message_at = ? WHERE id = ?",
                database.mark,
            ),
            (last_seq, moment, conversation_id),
        )
        return
    changed = _padded(changed)
    database.execute(
        f"UPDATE chat_conversation SET last_seq = v.column2, last_message_at = {database.mark} "
        f"FROM (VALUES {_rows_of(database.mark, 2, len(changed))}) AS v WHERE id = v.column1",
        [moment, *(part for row in changed for part in row)],
    )


_COLUMNS = (
    "id, conversation_id, seq, kind, user_id, persona_id, content, client_id, is_ai, depth, "
    "created_at, change"
)


@lru_cache(maxsize=64)
def _insertion(mark: str, count: int) -> str:
    return f"INSERT INTO chat_message ({_COLUMNS}) VALUES {_rows_of(mark, 12, count)}"


def _insert(database: Database, fresh: list[tuple[Draft, _Key, Stored]]) -> None:
    values: list[Any] = []
    for draft, (conversation_id, user_id, client_id), stored in fresh:
        values += (
            database.id_of(draft.id),
            conversation_id,
            stored.seq,
            "notice" if draft.is_notice else "text",
            user_id if draft.user_id is not None else None,
            database.id_or_none(draft.persona_id),
            draft.content,
            client_id,
            draft.is_ai,
            draft.depth,
            database.moment(draft.created_at),
            0,
        )
    database.execute(_insertion(database.mark, len(fresh)), values)


def _ask_personas(
    database: Database, fresh: list[tuple[Draft, _Key, Stored]], conversations: dict[Any, _Row]
) -> None:
    """Leave an answer job with each message that wants one, in the message's own transaction."""
    wanted: list[tuple[Draft, Stored, _Row, UUID]] = []
    for draft, key, stored in fresh:
        row = conversations[key[0]]
        if not draft.asked and row.kind != "persona":
            continue
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
        if (draft.conversation_id, persona_id) not in present:
            continue
        reply_id = uuid7()
        stored.reply_ids += (reply_id,)
        count += 1
        values += (
            database.id_of(reply_id),
            database.id_of(draft.conversation_id),
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
    database: Database, wanted: list[tuple[Draft, Stored, _Row, UUID]]
) -> set[tuple[UUID, UUID]]:
    pairs = sorted({(draft.conversation_id, persona_id) for draft, _, _, persona_id in wanted})
    asked = _padded([(database.id_of(row_id), database.id_of(each)) for row_id, each in pairs])
    database.execute(
        "SELECT m.conversation_id, m.persona_id "
        f"FROM (VALUES {_rows_of(database.mark, 2, len(asked))}) AS v JOIN chat_membership m "
        "ON m.conversation_id = v.column1 AND m.persona_id = v.column2 "
        "JOIN personas_persona p ON p.id = m.persona_id WHERE p.is_active",
        [part for row in asked for part in row],
    )
    return {(as_uuid(row[0]), as_uuid(row[1])) for row in database.fetchall()}


def _attach(fresh: list[tuple[Draft, _Key, Stored]]) -> None:
    for draft, _, _ in fresh:
        if draft.attachment_ids:
            from apps.chat.models import Attachment

            # Only one's own, of this conversation, and not sent before.
            Attachment.objects.filter(
                pk__in=draft.attachment_ids,
                conversation=draft.conversation_id,
                uploaded_by=draft.user_id,
                message=None,
            ).update(message=draft.id)
