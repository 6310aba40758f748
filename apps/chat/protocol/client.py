"""What a client may send: every type, with its fields."""

from typing import Literal, NotRequired, TypedDict
from uuid import UUID


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
