"""Public ids: UUID version 7, which sort by the time they were made."""

import os
import time
import uuid

_VERSION_AND_VARIANT = 7 << 76 | 2 << 62
_RANDOM = ~(0xF << 76 | 0x3 << 62)
_WIDTH = 10
# Drawn together: a call of the system for each id would also give the interpreter to another
# thread, and the caller would wait to get it back.
_DRAWN_TOGETHER = 256
_drawn: list[bytes] = []
# A forked child must not give out its parent's ids.
os.register_at_fork(after_in_child=_drawn.clear)


def uuid7() -> uuid.UUID:
    """A new UUIDv7: 48 bits of milliseconds, then 74 random bits (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    value = milliseconds << 80 | int.from_bytes(_random())
    return uuid.UUID(int=value & _RANDOM | _VERSION_AND_VARIANT)


def _random() -> bytes:
    try:
        # One step of the interpreter: no two threads take the same.
        return _drawn.pop()
    except IndexError:
        fresh = os.urandom(_WIDTH * _DRAWN_TOGETHER)
        pieces = [fresh[at : at + _WIDTH] for at in range(0, len(fresh), _WIDTH)]
        first = pieces.pop()
        _drawn.extend(pieces)
        return first
