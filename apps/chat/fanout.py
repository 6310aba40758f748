"""Telling every web process, from anywhere: one Redis PUBLISH per event, never an error.

What is lost here is found again: each process compares what it has shown with the database every
second. Redis is the quick way, never the only one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

PREFIX = "gator:chat"
EVERYBODY = f"{PREFIX}:all"

# What a packet is: a message of the log, a change of one, something fleeting, or news for hubs.
MESSAGE, CHANGE, FLEETING, CONTROL = b"m", b"c", b"f", b"x"
NOBODY = b"-"


@dataclass(slots=True)
class Packet:
    """One event on its way between processes; `number` is a message's seq or a change's number."""

    kind: bytes
    number: int
    body: bytes
    origin: bytes = NOBODY

    def packed(self) -> bytes:
        return b"%b %b %d\n%b" % (self.origin, self.kind, self.number, self.body)

    @classmethod
    def unpacked(cls, data: bytes) -> "Packet":
        head, _, body = data.partition(b"\n")
        origin, kind, number = head.split(b" ")
        return cls(kind, int(number), body, origin)


def channel(conversation_id: UUID) -> str:
    return f"{PREFIX}:c:{conversation_id}"


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_connect_timeout=1, socket_timeout=2, health_check_interval=30
    )


def tell(target: str, packets: Sequence[Packet]) -> None:
    """Publish from a worker or a request; a dead Redis is only logged."""
    try:
        pipeline = _client(settings.REDIS_URL).pipeline(transaction=False)
        for packet in packets:
            pipeline.publish(target, packet.packed())
        pipeline.execute()
    except (redis.RedisError, OSError) as error:
        log.warning("not told by Redis; processes will read it", error=str(error))


def tell_conversation(conversation_id: UUID, *packets: Packet) -> None:
    """Tell every process in which somebody has joined this conversation."""
    if packets:
        tell(channel(conversation_id), packets)


def tell_everybody(body: bytes) -> None:
    """News for all hubs: a member was removed, a user signed out."""
    tell(EVERYBODY, [Packet(CONTROL, 0, body)])
