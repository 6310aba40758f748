"""Celery's entry points: read what waits, look for spikes."""

from uuid import UUID

import structlog
from celery import shared_task

from apps.core.running import leases
from apps.sentiment import reading, watching

log = structlog.get_logger(__name__)

# One run reads this many at most, so that other jobs of the queue get their turn.
MOST_PER_RUN = 20_000
LEASE, LEASE_SECONDS = "sentiment-reading", 600


@shared_task(name="read_comments")
def read_comments(batch_id: str | None = None) -> int:
    """Read the comments that wait, of one batch or all."""
    count = reading.read_unread(batch_id=UUID(batch_id) if batch_id else None, most=MOST_PER_RUN)
    if count >= MOST_PER_RUN:
        wake(batch_id)
    elif count:
        watching.watch()
    return count


@shared_task(name="read_waiting_comments")
def read_waiting_comments() -> int:
    """The sweep: read whatever a lost wake-up left, one sweep at a time."""
    holder = leases.this_process()
    if not leases.take(LEASE, holder=holder, seconds=LEASE_SECONDS):
        return 0
    try:
        return reading.read_unread(most=MOST_PER_RUN)
    finally:
        leases.give_back(LEASE, holder=holder)


@shared_task(name="watch_comments")
def watch_comments() -> int:
    """Look for spikes of negative comments."""
    return len(watching.watch())


def wake(batch_id: str | None = None) -> None:
    """Send the hint that comments wait; a dead broker is only logged, the sweep finds them."""
    try:
        read_comments.apply_async(args=(batch_id,), retry=False)
    except Exception as error:
        log.warning("no wake-up sent; the sweep will find the comments", error=str(error))
