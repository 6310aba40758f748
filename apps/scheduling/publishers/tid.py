"""Timestamp identifiers, the AT Protocol's record keys: 13 characters that sort by time."""

import secrets
import threading
import time

BASE32 = "234567abcdefghijklmnopqrstuvwxyz"

_last = 0
_lock = threading.Lock()


def new_tid() -> str:
    """A new key: microseconds, never the same twice in a process, then 10 random bits."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000)
        value = _last << 10 | secrets.randbits(10)
    return "".join(BASE32[value >> shift & 31] for shift in range(60, -1, -5))
