"""The look at the database, once a second: who signed out or was removed, and what Redis lost.

Cheap because it asks by primary key, in pieces, and only for what is open here; and the reason
why a sign-out closes its sockets within two seconds even while Redis is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.db import DatabaseError

from apps.chat import databases, history, identity

if TYPE_CHECKING:
    from apps.chat.connection import Connection
    from apps.chat.hub import Hub

log = structlog.get_logger(__name__)

ROUND_SECONDS = 1.0
# While a piece is looked at, a thread computes and messages wait: about a millisecond.
PIECE = 100
# Between two pieces. However many there are, rooms and people pause a quarter of the round each:
# who signed out is put out within two seconds.
PAUSE_SECONDS, MOST_PAUSES = 0.01, ROUND_SECONDS / 4


class Watcher:
    """Goes round all rooms and connections of a hub, once a second."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def run(self) -> None:
        while not self._hub.stopping:
            started = self._hub.loop.time()
            try:
                await self._rooms()
                await self._people()
            except (DatabaseError, OSError) as error:
                log.warning("chat cannot read the database", error=str(error))
            self._hub.sweep_rooms()
            spent = self._hub.loop.time() - started
            await asyncio.sleep(max(ROUND_SECONDS - spent, 0.2))

    async def _rooms(self) -> None:
        async for piece in _in_pieces(room.id for room in self._hub.rooms.values()):
            found = await databases.run(lambda piece=piece: history.standing(piece))  # type: ignore[misc]
            for room_id in piece:
                room = self._hub.rooms.get(room_id)
                if room is None:
                    continue
                seq, change, version = found.get(room_id, (0, 0, -1))
                if version != room.roster.members_version:
                    self._hub.spawn(self._hub.refresh(room))
                else:
                    room.notice_standing(seq, change)

    async def _people(self) -> None:
        async for piece in _in_pieces(self._hub.connections):
            await self._check(piece)

    async def _check(self, user_ids: list[UUID]) -> None:
        open_here: list[Connection] = [
            connection
            for user_id in user_ids
            for connection in self._hub.connections.get(user_id, ())
        ]
        proofs = {connection.identity.proof for connection in open_here}
        good = await databases.run(lambda: identity.still_good(proofs))
        for connection in open_here:
            if connection.identity.proof not in good or connection.is_expired():
                connection.sign_out()

    def look_now(self, user_id: UUID) -> None:
        """Somebody says that this user's rights changed."""
        self._hub.spawn(self._check([user_id]))


async def _in_pieces(ids: Iterable[UUID]) -> AsyncIterator[list[UUID]]:
    pieces = list(databases.chunked(ids, PIECE))
    pause = min(PAUSE_SECONDS, MOST_PAUSES / max(len(pieces), 1))
    for piece in pieces:
        yield piece
        await asyncio.sleep(pause)
