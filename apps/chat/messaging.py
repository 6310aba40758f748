"""Group commit: one writer per process takes what has gathered and stores it in one transaction.

An insert per message reaches a hundred or so a second, because each waits for the disk; here all
that arrived while the disk was busy shares the next wait. Only after the commit is anything
acknowledged or shown to anybody.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from apps.chat import ledger
from apps.chat.ledger import Draft, Outcome, Refusal, Stored

log = structlog.get_logger(__name__)

MOST_TOGETHER = 512
# A connection that died is tried again at once, then after these waits; then the senders hear
# `unavailable` and send again: their client ids keep that from doubling anything.
WAITS = (0.0, 0.1, 0.5, 1.0)
# A commit costs about the same for one message as for ten. When several came while the last one
# ran, more are on their way: the next begins this long after the last began, for each that came.
# Alone, nobody waits; in the thickest crowd, ten milliseconds.
PACE_SECONDS = 0.001
SEVERAL, MOST_PACES = 3, 10
# More than this waiting means that the database cannot follow; refusing is kinder than a queue.
MOST_WAITING = 20_000

Callback = Callable[[Draft, Outcome], None]
BatchCallback = Callable[[list[tuple[Draft, Outcome]]], None]


Once = Callable[[Sequence[Draft]], list[Outcome]]


def _within_django(drafts: Sequence[Draft]) -> list[Outcome]:
    with transaction.atomic():
        return ledger.append(drafts)


def store(drafts: Sequence[Draft], once: Once = _within_django) -> list[Outcome]:
    """Store these in one transaction, or in one each when one of them spoils it for all."""
    for wait in WAITS:
        # Sleeping for nothing would still give the processor away.
        if wait:
            time.sleep(wait)
        try:
            return once(drafts)
        except (OperationalError, InterfaceError) as error:
            # The commit may have happened: the next try finds what it left.
            log.warning("storing again on a new connection", count=len(drafts), error=str(error))
            _drop_connection()
        except DatabaseError:
            log.exception("a message spoils its batch", count=len(drafts))
            if len(drafts) > 1:
                return [outcome for draft in drafts for outcome in store([draft], once)]
            return [Refusal("unavailable")]
    return [Refusal("unavailable")] * len(drafts)


def _drop_connection() -> None:
    try:
        connection.close()
    except DatabaseError as error:
        log.debug("dead connection", error=str(error))


class Writer:
    """The one thread of this process that stores what its sockets send."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: BatchCallback) -> None:
        self._loop = loop
        self._done = done
        # It wakes its reader only when that waits: a wake-up costs as much as an insert.
        self._waiting: SimpleQueue[Draft | None] = SimpleQueue()
        self._stopping = False
        self._database: ledger.Database | None = None
        self._thread = threading.Thread(target=self._run, name="chat-writer", daemon=True)
        self._thread.start()

    def submit(self, draft: Draft) -> bool:
        """Queue a message; False when too many wait already."""
        if self._stopping or self._waiting.qsize() >= MOST_WAITING:
            return False
        self._waiting.put(draft)
        return True

    def stop(self) -> None:
        """Store what waits, then end."""
        self._stopping = True
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            while drafts := self._take():
                began = time.monotonic()
                self._write(drafts)
                if len(drafts) >= SEVERAL and not self._stopping:
                    pace = PACE_SECONDS * min(len(drafts), MOST_PACES)
                    self._pause(began + pace - time.monotonic())
        finally:
            _drop_connection()

    def _once(self, drafts: Sequence[Draft]) -> list[Outcome]:
        # This thread has no other transaction: its own BEGIN and COMMIT on one kept cursor cost a
        # lone message half of what Django's `atomic` does.
        database, self._database = self._database or ledger.Database(), None
        with database:
            outcomes = ledger.append(drafts, database)
        # Only after all went well: after an error the next begins with what connection there is.
        self._database = database
        return outcomes

    def _pause(self, seconds: float) -> None:
        if seconds > 0 and self._waiting.qsize() < MOST_TOGETHER:
            time.sleep(seconds)

    def _take(self) -> list[Draft]:
        """All that has gathered, at least one; nothing only at the end."""
        drafts: list[Draft] = []
        while len(drafts) < MOST_TOGETHER and not (drafts and self._waiting.empty()):
            draft = self._waiting.get()
            if draft is None:
                # The end; it stays there until nothing comes before it.
                if drafts:
                    self._waiting.put(None)
                break
            drafts.append(draft)
        return drafts

    def _write(self, drafts: list[Draft]) -> None:
        try:
            outcomes = store(drafts, self._once)
        except Exception:
            log.exception("the writer failed", count=len(drafts))
            outcomes = [Refusal("unavailable")] * len(drafts)
        try:
            # Once per batch, not per message: waking the loop is a system call.
            self._loop.call_soon_threadsafe(self._done, list(zip(drafts, outcomes, strict=True)))
        except RuntimeError:
            log.info("the loop ended before its acks", count=len(drafts))


__all__ = ["Draft", "Outcome", "Refusal", "Stored", "Writer", "store"]
