"""Rival: python-socketio with its Redis manager, behind uvicorn."""

import os

import socketio  # type: ignore[import-not-found]

manager = socketio.AsyncRedisManager(os.environ["RIVAL_REDIS"])
server = socketio.AsyncServer(async_mode="asgi", client_manager=manager, cors_allowed_origins="*")
app = socketio.ASGIApp(server)


@server.event  # type: ignore[untyped-decorator]
async def join(sid: str, room: str) -> None:
    await server.enter_room(sid, room)
    await server.emit("joined", to=sid)


@server.event  # type: ignore[untyped-decorator]
async def say(sid: str, room: str, text: str) -> None:
    await server.emit("new_message", {"content": text, "room": room, "seq": 1}, room=room)
