"""The socket's door: origin, identity, accept; then frames go to the connection."""

from typing import Any
from uuid import UUID

from channels.consumer import AsyncConsumer
from django.conf import settings

from apps.chat import hub as hubs
from apps.chat import identity, protocol, wire
from apps.chat.connection import Connection
from apps.chat.identity import Identity, Refused


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    """Any other socket address."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": protocol.NOT_FOUND, "reason": "no such socket"})


class ChatConsumer(AsyncConsumer):  # type: ignore[misc]
    """`/ws/` and `/ws/<user_id>/`.

    Its own `__call__`: Channels' hops through a thread for every event and knows a socket only as
    a queue, which was two thirds of all the time.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # websocket.connect
        hub = hubs.current()
        subprotocol: str | None = None
        try:
            identity.check_origin(scope)
            proof, expires_at, subprotocol = identity.proof_of(scope)
            who = await identity.identify(proof, expires_at, loader=hub.people)
            self._check(scope, who, hub)
        except Refused as refused:
            # Accepted first: only then does a browser show the page the close code.
            await send({"type": "websocket.accept", "subprotocol": subprotocol})
            await send({"type": "websocket.close", "code": refused.code, "reason": refused.reason})
            return
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        socket = wire.open_socket(scope, send, limit=settings.CHAT_MAX_BUFFER)
        connection = Connection(hub, who, socket)
        connection.opened()
        if socket.listen(connection.received, connection.closed):
            return
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                connection.received(event.get("text"))
        finally:
            connection.closed()

    def _check(self, scope: Any, who: Identity, hub: hubs.Hub) -> None:
        named: str | None = scope["url_route"]["kwargs"].get("user_id")
        if named is not None and UUID(named) != who.user_id:
            raise Refused(protocol.FORBIDDEN, "this address is somebody else's")
        if len(hub.connections.get(who.user_id, ())) >= settings.CHAT_SOCKETS_PER_USER:
            raise Refused(protocol.TOO_MANY, "too many sockets")
