"""Public ids: UUID version 7, which sort by the time they were made."""

import os
import time
import uuid

_VERSION_AND_VARIANT = 7 << 76 | 2 << 62
_RANDOM = ~(0xF << 76 | 0x3 << 62)


def uuid7() -> uuid.UUID:
    """A new UUIDv7: 48 bits of milliseconds, then 74 random bits (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    value = milliseconds << 80 | int.from_bytes(os.urandom(10))
    return uuid.UUID(int=value & _RANDOM | _VERSION_AND_VARIANT)
