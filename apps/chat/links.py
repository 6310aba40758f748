"""A hub's link to Redis: what it subscribes to, what it publishes, and who its peers are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import redis.asyncio as redis
import structlog
from django.conf import settings
from redis.exceptions import RedisError

from apps.chat import fanout
from apps.chat.fanout import CONTROL, EVERYBODY, PREFIX, Packet

if TYPE_CHECKING:
    from apps.chat.hub import Hub

log = structlog.get_logger(__name__)

PROCESSES = f"{PREFIX}:processes"
LEASE_SECONDS = 12.0
BEAT_SECONDS = 3.0
RETRY_SECONDS = 0.2
# What may wait for a Redis that does not answer; the rest is left to the database.
MOST_WAITING = 5_000
SUBSCRIBE_TOGETHER = 500


class Link:
    """Subscribes, publishes and beats; while Redis is away the process goes on by itself."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.redis: Any = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=2,
            socket_timeout=5,
            # Fleeting news is worthless late, and messages are read from the database.
            retry=None,
        )
        self._pubsub: Any = None
        self._wanted: dict[str, UUID] = {}
        self._changes: list[tuple[bool, str]] = []
        self._outgoing: list[tuple[str, bytes]] = []
        self._kick = asyncio.Event()
        self._connected = False
        # Alone until another process shows itself; then nothing more is published than needed.
        self.peers: set[bytes] = set()

    # -- Asked by the hub ------------------------------------------------------------------------

    def subscribe(self, conversation_id: UUID) -> None:
        name = fanout.channel(conversation_id)
        if name not in self._wanted:
            self._wanted[name] = conversation_id
            self._changes.append((True, name))
            self._kick.set()

    def unsubscribe(self, conversation_id: UUID) -> None:
        name = fanout.channel(conversation_id)
        if self._wanted.pop(name, None) is not None:
            self._changes.append((False, name))
            self._kick.set()

    def publish(self, conversation_id: UUID, packet: Packet) -> None:
        """To the other processes, when there are any."""
        if self.peers:
            self._put(fanout.channel(conversation_id), packet)

    def tell_peers(self, body: bytes) -> None:
        if self.peers:
            self._put(EVERYBODY, Packet(CONTROL, 0, body))

    def _put(self, name: str, packet: Packet) -> None:
        if len(self._outgoing) < MOST_WAITING:
            packet.origin = self._hub.name
            self._outgoing.append((name, packet.packed()))
            self._kick.set()

    # -- The work --------------------------------------------------------------------------------

    def run(self) -> None:
        for work in (self._keep_reading(), self._keep_writing(), self._keep_beating()):
            self._hub.spawn(work)

    async def _keep_reading(self) -> None:
        while not self._hub.stopping:
            try:
                await self._read()
            except (RedisError, OSError, TimeoutError) as error:
                if self._connected:
                    log.warning("chat lost Redis; the database carries on", error=str(error))
                self._connected = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        pubsub = self.redis.pubsub()
        try:
            await pubsub.subscribe(EVERYBODY)
            for start in range(0, len(self._wanted), SUBSCRIBE_TOGETHER):
                await pubsub.subscribe(*list(self._wanted)[start : start + SUBSCRIBE_TOGETHER])
            self._pubsub = pubsub
            self._connected = True
            self._kick.set()
            while True:
                # Waiting for ever is right here: silence is normal, and a dead server closes.
                message = await pubsub.parse_response(block=True)
                if message is not None and message[0] == b"message":
                    self._take(message[1].decode(), message[2])
        finally:
            self._pubsub = None
            await pubsub.aclose()

    def _take(self, name: str, data: bytes) -> None:
        try:
            packet = Packet.unpacked(data)
            if name == EVERYBODY:
                self._hub.heard(packet)
            elif (conversation_id := self._wanted.get(name)) is not None:
                self._hub.received(conversation_id, packet)
        except Exception:
            log.exception("a packet nobody understands", channel=name)

    async def _keep_writing(self) -> None:
        while not self._hub.stopping:
            await self._kick.wait()
            self._kick.clear()
            try:
                await self._write()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("chat could not publish", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self) -> None:
        if self._pubsub is not None and self._changes:
            changes, self._changes = self._changes, []
            # The last wish for a channel counts.
            wishes = {name: name in self._wanted for _, name in changes}
            added = [name for name, wanted in wishes.items() if wanted]
            gone = [name for name, wanted in wishes.items() if not wanted]
            for start in range(0, len(added), SUBSCRIBE_TOGETHER):
                await self._pubsub.subscribe(*added[start : start + SUBSCRIBE_TOGETHER])
            for start in range(0, len(gone), SUBSCRIBE_TOGETHER):
                await self._pubsub.unsubscribe(*gone[start : start + SUBSCRIBE_TOGETHER])
        elif self._pubsub is None:
            # A new reader subscribes to all that is wanted.
            self._changes = []
        while self._outgoing:
            outgoing, self._outgoing = self._outgoing, []
            pipeline = self.redis.pipeline(transaction=False)
            for name, data in outgoing:
                pipeline.publish(name, data)
            await pipeline.execute()

    async def _keep_beating(self) -> None:
        while not self._hub.stopping:
            try:
                await self._beat()
            except (RedisError, OSError, TimeoutError) as error:
                log.debug("no heartbeat", error=str(error))
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat(self) -> None:
        now = time.time()
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.zadd(PROCESSES, {self._hub.name: now + LEASE_SECONDS})
        pipeline.zremrangebyscore(PROCESSES, "-inf", now)
        pipeline.zrange(PROCESSES, 0, -1)
        alive = set((await pipeline.execute())[2]) - {self._hub.name}
        for name in alive - self.peers:
            await self.hello(name)
        for name in self.peers - alive:
            self._hub.presence.lost(name)
        self.peers = alive
        await self._hub.presence.renew()

    async def hello(self, name: bytes) -> None:
        """A process that was not known: say who we are, and read who is connected there."""
        self.peers.add(name)
        packet = Packet(CONTROL, 0, b'{"news":"hello"}', self._hub.name)
        await self.redis.publish(EVERYBODY, packet.packed())
        await self._hub.presence.learn(name)

    async def close(self) -> None:
        """Sign off, so that nobody waits for a lease to run out."""
        try:
            await self.redis.zrem(PROCESSES, self._hub.name)
            await self._hub.presence.forget()
        except (RedisError, OSError, TimeoutError) as error:
            log.debug("could not sign off", error=str(error))
        await self.redis.aclose()
