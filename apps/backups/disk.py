"""Large files on their way past the page cache: onto the disk, and back from the disk itself.

A backup is read again only after it was written, then not for days: in the page cache it would
push out what the studio works with, and cost a copy each way. Read back from there it would prove
nothing of the disk. Where a filesystem knows no direct access, all this goes through the cache.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from apps.backups.streams import PIECE, Chunks

_DIRECT = getattr(os, "O_DIRECT", 0)


def write(path: Path, chunks: Chunks) -> None:
    """Write a new file, private and durable; whole pieces of a Tray go straight to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _go(descriptor, direct=True)
        for chunk in chunks:
            rest = memoryview(chunk)
            # A disk that fills up takes a part first and refuses at the next call.
            while rest:
                rest = rest[_call(descriptor, os.write, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[bytes]:
    """The file's content as the disk has it; each chunk is good until the next one is asked for."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _go(descriptor, direct=True)
        piece = memoryview(mmap.mmap(-1, PIECE))
        while size := _call(descriptor, os.readv, [piece]):
            yield cast(bytes, piece[:size])
    finally:
        os.close(descriptor)


def _go(descriptor: int, *, direct: bool) -> None:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    # What cannot be had (tmpfs, some network filesystems) is done without.
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | _DIRECT if direct else flags & ~_DIRECT)


def _call(descriptor: int, call: Callable[[int, Any], int], what: Any) -> int:
    """Write or read; through the page cache from then on, if it is direct access that is refused.

    The end of nearly every file is refused: it is no whole block of the disk.
    """
    try:
        return call(descriptor, what)
    except OSError as error:
        if error.errno != errno.EINVAL or not fcntl.fcntl(descriptor, fcntl.F_GETFL) & _DIRECT:
            raise
    _go(descriptor, direct=False)
    return call(descriptor, what)
