"""The one place that names every event of the socket, and that reads and bounds every frame.

docs/chat-protocol.md describes each of these; a test compares the two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, get_type_hints
from uuid import UUID

import orjson
from django.conf import settings
from django.utils import timezone

# -- Close codes ---------------------------------------------------------------------------------

UNAUTHENTICATED = 4401
FORBIDDEN = 4403
NOT_FOUND = 4404
TOO_MANY = 4429

SUBPROTOCOL = "gator"

# -- What a client may send ----------------------------------------------------------------------


class JoinConversation(TypedDict):
    """Receive this conversation's events; with `last_seq`, what was missed comes first."""

    type: Literal["join_conversation"]
    conversation_id: UUID
    last_seq: NotRequired[int]
    last_change: NotRequired[int]


class LeaveConversation(TypedDict):
    """Receive this conversation's events no more; membership stays."""

    type: Literal["leave_conversation"]
    conversation_id: UUID


class SendMessage(TypedDict):
    """Say something. Sending the same `client_id` again never doubles the message."""

    type: Literal["send_message"]
    conversation_id: UUID
    content: str
    persona_id: NotRequired[UUID]
    client_id: NotRequired[str]
    attachment_ids: NotRequired[list[UUID]]


class TypingStart(TypedDict):
    """The others see "is typing" for five seconds, or until `typing_stop`."""

    type: Literal["typing_start"]
    conversation_id: UUID


class TypingStop(TypedDict):
    """No longer typing."""

    type: Literal["typing_stop"]
    conversation_id: UUID


class GetOnlineStatus(TypedDict):
    """Ask who of these is here; people without a shared conversation are always `false`."""

    type: Literal["get_online_status"]
    user_ids: list[UUID]


class Resume(TypedDict):
    """After a gap: every message after `last_seq` and every change after `last_change`."""

    type: Literal["resume"]
    conversation_id: UUID
    last_seq: int
    last_change: NotRequired[int]


class EditMessage(TypedDict):
    """Replace the words of a message of one's own."""

    type: Literal["edit_message"]
    message_id: UUID
    content: str


class DeleteMessage(TypedDict):
    """Take back a message of one's own (moderators: anybody's); its place in the log stays."""

    type: Literal["delete_message"]
    message_id: UUID


class React(TypedDict):
    """Put one emoji on a message, or with `remove` take it off."""

    type: Literal["react"]
    message_id: UUID
    emoji: str
    remove: NotRequired[bool]


class Read(TypedDict):
    """Everything up to `seq` has been read; one's other devices learn of it."""

    type: Literal["read"]
    conversation_id: UUID
    seq: int


class StopReply(TypedDict):
    """Stop an answer that is being written; what is there stays."""

    type: Literal["stop_reply"]
    reply_id: UUID


class Regenerate(TypedDict):
    """Write another version of an answer, or try a failed one again."""

    type: Literal["regenerate"]
    reply_id: UUID


class Auth(TypedDict):
    """Go on with a fresh token; the same user only."""

    type: Literal["auth"]
    token: str


class Ping(TypedDict):
    """Answered with `pong`: for clients that cannot send protocol pings."""

    type: Literal["ping"]


CLIENT_EVENTS: dict[str, type] = {
    "join_conversation": JoinConversation,
    "leave_conversation": LeaveConversation,
    "send_message": SendMessage,
    "typing_start": TypingStart,
    "typing_stop": TypingStop,
    "get_online_status": GetOnlineStatus,
    "resume": Resume,
    "edit_message": EditMessage,
    "delete_message": DeleteMessage,
    "react": React,
    "read": Read,
    "stop_reply": StopReply,
    "regenerate": Regenerate,
    "auth": Auth,
    "ping": Ping,
}

# -- What the server sends -----------------------------------------------------------------------


class Event(TypedDict):
    """Every event of the server says when it was made (ISO 8601, UTC)."""

    timestamp: str


class AttachmentShape(TypedDict):
    """A file of a message; `url` answers to members only."""

    id: str
    name: str
    mime: str
    size: int
    url: str
    width: int | None
    height: int | None


class MessageShape(TypedDict):
    """A message. `html` is safe Markdown, there only when the content has any."""

    id: str
    conversation_id: str
    seq: int
    kind: str
    sender_id: str | None
    sender_kind: str
    sender_name: str
    content: str
    timestamp: str
    is_ai: bool
    client_id: NotRequired[str]
    html: NotRequired[str]
    edited_at: NotRequired[str]
    deleted: NotRequired[bool]
    change: NotRequired[int]
    attachments: NotRequired[list[AttachmentShape]]
    reactions: NotRequired[dict[str, list[str]]]
    reply: NotRequired["ReplyShape"]


class ReplyShape(TypedDict):
    """The answer job behind a persona's message."""

    id: str
    version: int
    versions: int


class OnlineUsers(Event):
    """On connect: who of the people in shared conversations is here (at most fifty)."""

    type: Literal["online_users"]
    user_ids: list[str]


class ConversationJoined(Event):
    """The socket now receives this conversation; `last_seq` is where its log stands."""

    type: Literal["conversation_joined"]
    conversation_id: str
    last_seq: int
    last_change: int
    read_seq: int
    role: str
    holder: str
    holder_name: str


class ConversationLeft(Event):
    """The socket receives this conversation no more; `reason` is `left` or `removed`."""

    type: Literal["conversation_left"]
    conversation_id: str
    reason: str


class NewMessage(Event):
    """One more message; `seq` follows the last one without a gap."""

    type: Literal["new_message"]
    conversation_id: str
    message: MessageShape


class Ack(Event):
    """The message is stored: `id` and `seq` are final."""

    type: Literal["ack"]
    client_id: str | None
    conversation_id: str
    id: str
    seq: int


class TypingIndicator(Event):
    """Somebody began or stopped typing; forget it after six seconds in any case."""

    type: Literal["typing_indicator"]
    conversation_id: str
    user_id: str
    is_typing: bool


class PresenceUpdate(Event):
    """Somebody came or went (gone is told ten seconds late)."""

    type: Literal["presence_update"]
    user_id: str
    online: bool


class OnlineStatus(Event):
    """The answer to `get_online_status`: `{user_id: bool}`."""

    type: Literal["online_status"]
    status: dict[str, bool]


class Resumed(Event):
    """The end of what `resume` brought; `more` asks to resume again from `last_seq`."""

    type: Literal["resumed"]
    conversation_id: str
    last_seq: int
    last_change: int
    more: bool


class MessageEdited(Event):
    """The message as it is now: edited, unhidden, or with another version of an answer."""

    type: Literal["message_edited"]
    conversation_id: str
    message: MessageShape


class MessageDeleted(Event):
    """The message lost its words."""

    type: Literal["message_deleted"]
    conversation_id: str
    message_id: str
    seq: int
    change: int


class Reactions(Event):
    """All reactions of one message, `{emoji: [user_id]}`."""

    type: Literal["reactions"]
    conversation_id: str
    message_id: str
    reactions: dict[str, list[str]]
    change: int


class ReadUpTo(Event):
    """A member has read everything up to `seq`."""

    type: Literal["read"]
    conversation_id: str
    user_id: str
    seq: int


class ReplyStarted(Event):
    """A persona writes an answer; `text` is what there is already."""

    type: Literal["reply_started"]
    conversation_id: str
    reply_id: str
    persona_id: str
    persona_name: str
    trigger_id: str
    version: int
    is_ai: bool
    text: str


class ReplyDelta(Event):
    """More of the answer: `text` belongs at character `at`; on a mismatch, `resume`."""

    type: Literal["reply_delta"]
    conversation_id: str
    reply_id: str
    version: int
    at: int
    text: str


class ReplyFinished(Event):
    """The answer is complete and stored as the message `message_id`."""

    type: Literal["reply_finished"]
    conversation_id: str
    reply_id: str
    version: int
    message_id: str


class ReplyStopped(Event):
    """The answer ends here. `reason`: stopped, failed, taken_over, held or discarded;
    `retry` says whether `regenerate` may help."""

    type: Literal["reply_stopped"]
    conversation_id: str
    reply_id: str
    version: int
    reason: str
    message: str
    retry: bool
    message_id: str | None


class ReplySuggested(Event):
    """To staff only: a draft for the person who holds the conversation."""

    type: Literal["reply_suggested"]
    conversation_id: str
    reply_id: str
    text: str


class HolderChanged(Event):
    """A person took over from the persona (`human`), or handed back (`ai`)."""

    type: Literal["holder_changed"]
    conversation_id: str
    holder: str
    holder_name: str


class MembersChanged(Event):
    """Somebody joined, left or changed role: read `members/` again."""

    type: Literal["members_changed"]
    conversation_id: str


class Authenticated(Event):
    """The `auth` frame was accepted."""

    type: Literal["authenticated"]


class Pong(Event):
    """The answer to `ping`."""

    type: Literal["pong"]


class Error(Event):
    """A frame was refused; `code` is stable, `message` is for people. The socket stays open."""

    type: Literal["error"]
    code: str
    message: str
    client_id: NotRequired[str]
    conversation_id: NotRequired[str]


SERVER_EVENTS: dict[str, type] = {
    "online_users": OnlineUsers,
    "conversation_joined": ConversationJoined,
    "conversation_left": ConversationLeft,
    "new_message": NewMessage,
    "ack": Ack,
    "typing_indicator": TypingIndicator,
    "presence_update": PresenceUpdate,
    "online_status": OnlineStatus,
    "resumed": Resumed,
    "message_edited": MessageEdited,
    "message_deleted": MessageDeleted,
    "reactions": Reactions,
    "read": ReadUpTo,
    "reply_started": ReplyStarted,
    "reply_delta": ReplyDelta,
    "reply_finished": ReplyFinished,
    "reply_stopped": ReplyStopped,
    "reply_suggested": ReplySuggested,
    "holder_changed": HolderChanged,
    "members_changed": MembersChanged,
    "authenticated": Authenticated,
    "pong": Pong,
    "error": Error,
}

ERROR_CODES: dict[str, str] = {
    "binary": "Frames are text.",
    "malformed": "The frame is no JSON object.",
    "too_large": "The frame or one of its fields is too large.",
    "unknown_type": "There is no such type.",
    "bad_field": "A field is missing or has the wrong form.",
    "not_member": "The conversation does not exist or you are not in it.",
    "not_found": "There is no such thing here.",
    "not_allowed": "You may not do that.",
    "banned": "You may not send messages here.",
    "rate_limited": "Too many frames; wait a moment.",
    "too_many_joined": "This socket has joined too many conversations.",
    "empty": "A message needs words or a file.",
    "persona_not_here": "That persona is not in this conversation.",
    "wrong_state": "That cannot be done in this state.",
    "bad_token": "The token is not valid, or belongs to somebody else.",
    "unavailable": "It could not be stored just now; send it again.",
}


class BadFrame(Exception):
    """A frame that is refused: `code` is one of ERROR_CODES."""

    def __init__(self, code: str, message: str = "", *, client_id: str | None = None) -> None:
        super().__init__(message or ERROR_CODES[code])
        self.code = code
        self.client_id = client_id


# -- Reading frames ------------------------------------------------------------------------------

LONGEST_CLIENT_ID = 64
MOST_IDS = 200
MOST_ATTACHMENTS = 10
LONGEST_TOKEN = 4_096
LONGEST_EMOJI = 16
LARGEST_NUMBER = 2**53
# C0 controls but tab and newline, and DEL: PostgreSQL stores no NUL, and no reader wants others.
_CONTROLS = dict.fromkeys(
    [*range(9), 11, 12, *range(13, 32), 127],
    None,
)


def _uuid(value: object) -> UUID:
    if type(value) is not str or len(value) > 36:
        raise ValueError("an id (UUID)")
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("an id (UUID)") from None


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < LARGEST_NUMBER:
        raise ValueError("a whole number of at least 0")
    return value


def _boolean(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _text(longest: int, *, what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if type(value) is not str or not value or len(value) > longest:
            raise ValueError(f"{what} of 1 to {longest} characters")
        if not value.isprintable():
            raise ValueError(f"{what} without control characters")
        return value

    return read


def clean_content(value: object) -> str:
    """The words of a message: bounded, without control characters and outer white space."""
    if type(value) is not str:
        raise ValueError("text")
    if len(value) > settings.CHAT_MAX_CONTENT:
        raise OverflowError
    return value.replace("\r\n", "\n").translate(_CONTROLS).strip()


def clean_answer(value: str) -> str:
    """The words of a voice, as clean as those of people."""
    return value.replace("\r\n", "\n").translate(_CONTROLS).strip()


def _ids(longest: int) -> Callable[[object], list[UUID]]:
    def read(value: object) -> list[UUID]:
        if type(value) is not list or len(value) > longest:
            raise ValueError(f"a list of at most {longest} ids")
        return [_uuid(each) for each in value]

    return read


_FIELDS: dict[str, Callable[[object], Any]] = {
    "conversation_id": _uuid,
    "persona_id": _uuid,
    "message_id": _uuid,
    "reply_id": _uuid,
    "last_seq": _number,
    "last_change": _number,
    "seq": _number,
    "remove": _boolean,
    "content": clean_content,
    "client_id": _text(LONGEST_CLIENT_ID, what="text"),
    "emoji": _text(LONGEST_EMOJI, what="an emoji"),
    "token": _text(LONGEST_TOKEN, what="a token"),
    "user_ids": _ids(MOST_IDS),
    "attachment_ids": _ids(MOST_ATTACHMENTS),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    needed: tuple[tuple[str, Callable[[object], Any]], ...]
    allowed: tuple[tuple[str, Callable[[object], Any]], ...]


def _plan(shape: type) -> _Plan:
    names = [name for name in get_type_hints(shape) if name != "type"]
    optional = {
        name
        for name, hint in get_type_hints(shape, include_extras=True).items()
        if getattr(hint, "__origin__", None) is NotRequired
    }
    return _Plan(
        needed=tuple((name, _FIELDS[name]) for name in names if name not in optional),
        allowed=tuple((name, _FIELDS[name]) for name in names if name in optional),
    )


_PLANS = {name: _plan(shape) for name, shape in CLIENT_EVENTS.items()}

Frame = dict[str, Any]


def parse(text: str | None) -> Frame:
    """One frame with every field checked, unknown fields dropped; BadFrame says what is wrong."""
    if text is None:
        raise BadFrame("binary")
    if len(text) > settings.CHAT_MAX_FRAME:
        raise BadFrame("too_large", f"A frame has at most {settings.CHAT_MAX_FRAME:,} bytes.")
    try:
        # Stops by itself at 1,024 levels, and refuses NaN and lone surrogates.
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFrame("malformed") from error
    except UnicodeEncodeError as error:
        raise BadFrame("malformed") from error
    if type(raw) is not dict:
        raise BadFrame("malformed")
    kind = raw.get("type")
    plan = _PLANS.get(kind) if type(kind) is str else None
    if plan is None:
        raise BadFrame("unknown_type")
    given = raw.get("client_id")
    echo = given if type(given) is str and len(given) <= LONGEST_CLIENT_ID else None
    frame: Frame = {"type": kind}
    name = ""
    try:
        for name, read in plan.needed:
            frame[name] = read(raw[name])
        for name, read in plan.allowed:
            # null counts as absent: many clients send every field they know.
            if (value := raw.get(name)) is not None:
                frame[name] = read(value)
    except KeyError:
        raise BadFrame("bad_field", f"{kind} needs {name!r}.", client_id=echo) from None
    except OverflowError:
        raise BadFrame(
            "too_large",
            f"{name!r} has at most {settings.CHAT_MAX_CONTENT:,} characters.",
            client_id=echo,
        ) from None
    except ValueError as error:
        raise BadFrame("bad_field", f"{name!r} must be {error}.", client_id=echo) from None
    return frame


# -- Writing events ------------------------------------------------------------------------------


def stamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC, as every event and message carries it."""
    return (moment or timezone.now()).isoformat()


def encode(event: Mapping[str, Any]) -> bytes:
    """An event as the JSON text of its frame; ids may still be UUIDs."""
    return orjson.dumps(event if "timestamp" in event else {**event, "timestamp": stamp()})


def error_event(refused: BadFrame) -> bytes:
    """The answer to a frame that was refused."""
    event: dict[str, Any] = {"type": "error", "code": refused.code, "message": str(refused)}
    if refused.client_id is not None:
        event["client_id"] = refused.client_id
    return encode(event)
