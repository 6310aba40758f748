"""Who is typing: told at once, forgotten after five seconds, and on every disconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from apps.chat import fanout, protocol
from apps.chat.fanout import Packet

if TYPE_CHECKING:
    from apps.chat.hub import Hub
    from apps.chat.rooms import Room

SECONDS = 5.0


def start(hub: Hub, room: Room, user_id: UUID) -> None:
    """Told once; every further `typing_start` only moves the end."""
    known = room.typing.pop(user_id, None)
    if known is not None:
        known.cancel()
    room.typing[user_id] = hub.loop.call_later(SECONDS, stop, hub, room, user_id)
    if known is None:
        _tell(hub, room, user_id, True)


def stop(hub: Hub, room: Room, user_id: UUID) -> None:
    """Typed enough, sent, left, gone, or five seconds over; nothing when not typing."""
    known = room.typing.pop(user_id, None)
    if known is not None:
        known.cancel()
        _tell(hub, room, user_id, False)


def _tell(hub: Hub, room: Room, user_id: UUID, is_typing: bool) -> None:
    event = {
        "type": "typing_indicator",
        "conversation_id": room.id,
        "user_id": user_id,
        "is_typing": is_typing,
    }
    hub.show(room.id, Packet(fanout.FLEETING, 0, protocol.encode(event)))
