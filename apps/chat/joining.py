"""A socket comes into a conversation: what it missed comes first, then the live stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.chat.protocol import BadFrame, Frame

if TYPE_CHECKING:
    from apps.chat.connection import Connection
    from apps.chat.hub import Hub

PRESENCE_CONTACTS = 50
# While the past is read, the room goes on; after so many rounds the client asks again.
MOST_ROUNDS = 5


async def enter(hub: Hub, connection: Connection, frame: Frame, *, greet: bool) -> None:
    """Join, or resume after a gap: `last_seq` and `last_change` say what the client has.

    With `greet`, `conversation_joined` comes even where the socket has joined already.
    """
    room = await hub.room(frame["conversation_id"])
    if room is None or room.role_of(connection.user_id) is None:
        raise BadFrame("not_member")
    if connection.is_closed():
        return
    if greet or room.id not in connection.joined:
        connection.say(room.state(connection.user_id))
    if room.id not in connection.joined:
        connection.joined[room.id] = room
        hub.presence.watch(connection, list(room.roster.roles)[:PRESENCE_CONTACTS])
    last_seq = frame.get("last_seq")
    if last_seq is None:
        room.admit(connection)
        return
    # Out of the live stream while the past is read, so that nothing comes before its turn.
    room.dismiss(connection)
    last_change = frame.get("last_change")
    for _ in range(MOST_ROUNDS):
        found = await hub.read_missed(room.id, last_seq, last_change)
        # The room learns what the database knows before this socket joins it.
        if not found.more:
            for seq, text in found.messages:
                room.take_message(seq, text)
        connection.send(*(text for _, text in found.messages), *(text for _, text in found.changes))
        last_seq = found.messages[-1][0] if found.messages else last_seq
        if last_change is not None:
            last_change = found.changes[-1][0] if found.changes else last_change
            if not found.more:
                last_change = max(last_change, found.last_change)
        if found.more or room.last_seq <= last_seq:
            break
    if connection.is_closed() or room.id not in connection.joined:
        # Gone, removed, or left again in the meantime.
        return
    # With more to come it stays out of the live stream until the client has read to the end.
    if not found.more:
        room.admit(connection)
        connection.send(*found.replies)
    connection.say(
        {
            "type": "resumed",
            "conversation_id": room.id,
            "last_seq": last_seq,
            "last_change": last_change if last_change is not None else room.last_change,
            "more": found.more,
        }
    )
