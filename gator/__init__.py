"""Wiring only: settings, Celery, ASGI and URLs. What Gator does lives in apps/."""

import atexit
import gc

from gator.celery import app as celery

# A process that ends frees everything anyway: searching a million objects for cycles first would
# cost every command, and every part that `up` stops, a third of a second.
atexit.register(gc.freeze)

__all__ = ["celery"]
