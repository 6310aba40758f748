"""One backup or restore at a time: a file lock here, and on PostgreSQL an advisory lock beside it.

Both go when the process dies, however it dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connections

from apps.backups.dumpers.base import dumper_of
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
        with dumper_of(connections["default"].settings_dict).alone():
            yield
    finally:
        os.close(descriptor)
