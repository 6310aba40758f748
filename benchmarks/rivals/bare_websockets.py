"""Rival: the bare `websockets` library and its broadcast(), no framework, nothing stored."""

import asyncio
import json
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

rooms: dict[str, set[ServerConnection]] = {}


async def handle(socket: ServerConnection) -> None:
    mine: set[ServerConnection] | None = None
    try:
        async for text in socket:
            event = json.loads(text)
            if event["type"] == "join":
                mine = rooms.setdefault(event["room"], set())
                mine.add(socket)
                await socket.send('{"type":"joined"}')
            elif mine is not None:
                out = json.dumps({"type": "new_message", "content": event["content"],
                                  "room": event["room"], "seq": 1, "timestamp": "now"})  # fmt: skip
                broadcast(mine, out)
    finally:
        if mine is not None:
            mine.discard(socket)


async def main() -> None:
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
