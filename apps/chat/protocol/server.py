"""What the server sends: every type, with its fields, and the shapes inside them."""

from typing import Literal, NotRequired, TypedDict


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
