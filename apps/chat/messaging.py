"""Group commit: one writer per process takes what has gathered and stores it in one transaction.

An insert per message reaches a hundred or so a second, because each waits for the disk; here all
that arrived while the disk was busy shares the next wait. Only after the commit is anything
acknowledged or shown to anybody.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from apps.chat import ledger
from apps.chat.ledger import Draft, Outcome, Refusal, Stored

log = structlog.get_logger(__name__)

MOST_TOGETHER = 512
# A connection that died is tried again at once, then after these waits; then the senders hear
# `unavailable` and send again: their client ids keep that from doubling anything.
WAITS = (0.0, 0.1, 0.5, 1.0)
# A commit costs the same for one message as for ten. When several came while the last one ran, more
# are on their way: the next begins this long after the last began. Alone, nobody waits.
PACE_SECONDS = 0.005
SEVERAL = 3
# More than this waiting means that the database cannot follow; refusing is kinder than a queue.
MOST_WAITING = 20_000

Callback = Callable[[Draft, Outcome], None]
BatchCallback = Callable[[list[tuple[Draft, Outcome]]], None]


def store(drafts: Sequence[Draft]) -> list[Outcome]:
    """Store these in one transaction, or in one each when one of them spoils it for all."""
    for wait in WAITS:
        # Sleeping for nothing would still give the processor away.
        if wait:
            time.sleep(wait)
        try:
            return _store_once(drafts)
        except (OperationalError, InterfaceError) as error:
            # The commit may have happened: the next try finds what it left.
            log.warning("storing again on a new connection", count=len(drafts), error=str(error))
            _drop_connection()
        except DatabaseError:
            log.exception("a message spoils its batch", count=len(drafts))
            if len(drafts) > 1:
                return [outcome for draft in drafts for outcome in store([draft])]
            return [Refusal("unavailable")]
    return [Refusal("unavailable")] * len(drafts)


def _drop_connection() -> None:
    try:
        connection.close()
    except DatabaseError as error:
        log.debug("dead connection", error=str(error))


def _store_once(drafts: Sequence[Draft]) -> list[Outcome]:
    with transaction.atomic():
        return ledger.append(drafts)


class Writer:
    """The one thread of this process that stores what its sockets send."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: BatchCallback) -> None:
        self._loop = loop
        self._done = done
        self._waiting: list[Draft] = []
        self._changed = threading.Condition()
        self._stopping = False
        # Waking a thread that does not wait would be a third of what a message costs here.
        self._idle = False
        self._thread = threading.Thread(target=self._run, name="chat-writer", daemon=True)
        self._thread.start()

    def submit(self, draft: Draft) -> bool:
        """Queue a message; False when too many wait already."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING or self._stopping:
                return False
            self._waiting.append(draft)
            if self._idle:
                self._idle = False
                self._changed.notify()
        return True

    def stop(self) -> None:
        """Store what waits, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            began = 0.0
            count = 0
            while drafts := self._take(began + PACE_SECONDS if count >= SEVERAL else 0.0):
                began, count = time.monotonic(), len(drafts)
                self._write(drafts)
        finally:
            _drop_connection()

    def _take(self, at_earliest: float) -> list[Draft]:
        with self._changed:
            while not self._stopping and (wait := at_earliest - time.monotonic()) > 0:
                if len(self._waiting) >= MOST_TOGETHER:
                    break
                self._changed.wait(wait)
            while not self._waiting and not self._stopping:
                self._idle = True
                self._changed.wait()
            drafts, self._waiting = (
                self._waiting[:MOST_TOGETHER],
                self._waiting[MOST_TOGETHER:],
            )
        return drafts

    def _write(self, drafts: list[Draft]) -> None:
        try:
            outcomes = store(drafts)
        except Exception:
            log.exception("the writer failed", count=len(drafts))
            outcomes = [Refusal("unavailable")] * len(drafts)
        try:
            # Once per batch, not per message: waking the loop is a system call.
            self._loop.call_soon_threadsafe(self._done, list(zip(drafts, outcomes, strict=True)))
        except RuntimeError:
            log.info("the loop ended before its acks", count=len(drafts))


__all__ = ["Draft", "Outcome", "Refusal", "Stored", "Writer", "store"]
