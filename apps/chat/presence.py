"""Who is here: devices counted per user and process, each process's list under a lease in Redis.

A socket hears of at most fifty people, those of the conversations it joined, once a second and
only of what changed; "gone" is told ten seconds late, so that a reload is no departure.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from redis.exceptions import RedisError

from apps.chat import protocol
from apps.chat.fanout import PREFIX

if TYPE_CHECKING:
    from apps.chat.connection import Connection
    from apps.chat.hub import Hub

MOST_WATCHED = 50
LEASE_SECONDS = 15
GRACE_SECONDS = 10.0
TICK_SECONDS = 1.0


class Presence:
    """The map of this process: who is on here, who on others, and which socket wants to know."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._key = f"{PREFIX}:on:{hub.name.decode()}"
        self._elsewhere: dict[bytes, set[UUID]] = {}
        self._watchers: dict[UUID, set[Connection]] = {}
        # Shown as online: those who are, and those who left less than GRACE_SECONDS ago.
        self._shown: set[UUID] = set()
        self._leaving: dict[UUID, float] = {}
        self._changed: set[UUID] = set()
        # Not yet written to Redis and told to the peers: True came, False went.
        self._news: dict[UUID, bool] = {}

    def is_online(self, user_id: UUID) -> bool:
        return user_id in self._shown

    def _is_on(self, user_id: UUID) -> bool:
        return user_id in self._hub.connections or any(
            user_id in users for users in self._elsewhere.values()
        )

    # -- On this process -------------------------------------------------------------------------

    def arrived(self, user_id: UUID, *, first: bool) -> None:
        if first:
            self._news[user_id] = True
            self._show(user_id)

    def left(self, user_id: UUID, *, last: bool) -> None:
        if last:
            self._news[user_id] = False
            self._perhaps_gone(user_id)

    def watch(self, connection: Connection, user_ids: list[UUID]) -> None:
        """Tell this socket about these people from now on, as far as its fifty reach."""
        for user_id in user_ids:
            if len(connection.watched) >= MOST_WATCHED:
                break
            if user_id != connection.user_id and user_id not in connection.watched:
                connection.watched.add(user_id)
                self._watchers.setdefault(user_id, set()).add(connection)

    def unwatch(self, connection: Connection) -> None:
        for user_id in connection.watched:
            watchers = self._watchers.get(user_id)
            if watchers is not None:
                watchers.discard(connection)
                if not watchers:
                    del self._watchers[user_id]
        connection.watched.clear()

    def _show(self, user_id: UUID) -> None:
        self._leaving.pop(user_id, None)
        if user_id not in self._shown:
            self._shown.add(user_id)
            self._changed.add(user_id)

    def _perhaps_gone(self, user_id: UUID) -> None:
        if user_id in self._shown and not self._is_on(user_id):
            self._leaving[user_id] = self._hub.loop.time() + GRACE_SECONDS

    # -- On others -------------------------------------------------------------------------------

    def heard(self, origin: bytes, news: dict[str, Any]) -> None:
        """A peer's news: it is there, or people came to it and went."""
        if news["news"] == "hello":
            if origin not in self._hub.link.peers:
                self._hub.spawn(self._hub.link.hello(origin))
            return
        users = self._elsewhere.setdefault(origin, set())
        for user_id in map(UUID, news["came"]):
            users.add(user_id)
            self._show(user_id)
        for user_id in map(UUID, news["went"]):
            users.discard(user_id)
            self._perhaps_gone(user_id)

    async def learn(self, name: bytes) -> None:
        """Read who is connected to a peer."""
        found = await self._hub.link.redis.smembers(f"{PREFIX}:on:{name.decode()}")
        users = self._elsewhere.setdefault(name, set())
        for user_id in (UUID(each.decode()) for each in found):
            users.add(user_id)
            self._show(user_id)

    def lost(self, name: bytes) -> None:
        """A peer's lease ran out: whoever was only there is leaving."""
        for user_id in self._elsewhere.pop(name, set()):
            self._perhaps_gone(user_id)

    # -- The lease -------------------------------------------------------------------------------

    async def renew(self) -> None:
        """Keep our list alive; after a Redis that forgot it, write it again."""
        client = self._hub.link.redis
        if not await client.expire(self._key, LEASE_SECONDS) and self._hub.connections:
            users = [str(each) for each in self._hub.connections]
            for start in range(0, len(users), 1_000):
                await client.sadd(self._key, *users[start : start + 1_000])
            await client.expire(self._key, LEASE_SECONDS)

    async def forget(self) -> None:
        await self._hub.link.redis.delete(self._key)

    async def _tell(self) -> None:
        news, self._news = self._news, {}
        came = [str(each) for each, is_on in news.items() if is_on]
        went = [str(each) for each, is_on in news.items() if not is_on]
        self._hub.link.tell_peers(orjson.dumps({"news": "presence", "came": came, "went": went}))
        pipeline = self._hub.link.redis.pipeline(transaction=False)
        if came:
            pipeline.sadd(self._key, *came)
        if went:
            pipeline.srem(self._key, *went)
        pipeline.expire(self._key, LEASE_SECONDS)
        await pipeline.execute()

    # -- Once a second ---------------------------------------------------------------------------

    async def run(self) -> None:
        while not self._hub.stopping:
            await asyncio.sleep(TICK_SECONDS)
            now = self._hub.loop.time()
            for user_id in [each for each, at in self._leaving.items() if at <= now]:
                del self._leaving[user_id]
                if not self._is_on(user_id):
                    self._shown.discard(user_id)
                    self._changed.add(user_id)
            if self._changed:
                self._tell_watchers()
            if self._news:
                try:
                    await self._tell()
                except (RedisError, OSError, TimeoutError):
                    # The list is written anew when the lease is found to be gone.
                    continue

    def _tell_watchers(self) -> None:
        changed, self._changed = self._changed, set()
        diffs: dict[Connection, list[bytes]] = {}
        for user_id in changed:
            watchers = self._watchers.get(user_id)
            if not watchers:
                continue
            text = protocol.encode(
                {
                    "type": "presence_update",
                    "user_id": user_id,
                    "online": user_id in self._shown,
                }
            )
            for connection in watchers:
                diffs.setdefault(connection, []).append(text)
        for connection, texts in diffs.items():
            connection.send(*texts)
