"""One backup or restore at a time: a file lock here, and on PostgreSQL an advisory lock beside it.

The kernel lets go of it when the process dies, however it dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.backups.errors import Busy


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock, or raise Busy at once."""
    path = Path(settings.GATOR_VAR) / "backups.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("Another backup or restore is running.") from None
        # Children such as pg_dump must not inherit it and hold it longer than we live; Python
        # opens files close-on-exec, so they do not.
        yield
    finally:
        os.close(descriptor)
