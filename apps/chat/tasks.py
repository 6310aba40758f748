"""Celery's entry points: write an answer, take answers from dead workers, keep the index filled."""

from collections.abc import Iterable
from uuid import UUID

import structlog
from celery import shared_task

from apps.chat import replying

log = structlog.get_logger(__name__)


@shared_task(name="write_reply")
def write_reply(reply_id: str) -> None:
    """Write one answer, if it still waits for somebody to write it."""
    replying.write(UUID(reply_id))


@shared_task(name="reap_replies")
def reap_replies() -> int:
    """Wake what waits, and what a dead worker left."""
    waiting = replying.abandoned()
    wake(waiting)
    return len(waiting)


def wake(reply_ids: Iterable[UUID]) -> None:
    """Hint that these answers are wanted; a dead broker is only logged, the reaper finds them."""
    for reply_id in reply_ids:
        try:
            write_reply.apply_async(
                args=(str(reply_id),),
                expires=120,
                retry=False,
            )
        except Exception as error:
            log.warning("no wake-up sent; the reaper will find it", error=str(error))
            return
