"""The half of publishing that talks to networks: compose a post, prepare it, send it.

Nothing here claims a delivery or decides what its outcome means.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections
from django.utils import timezone

from apps.scheduling import composing
from apps.scheduling.models import Delivery
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    Account,
    Outgoing,
    Permanent,
    Publisher,
    PublishError,
    Receipt,
    Temporary,
    Unconfirmed,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")

# One thread for each delivery that all batches of a process may have under way, so that nothing
# that is marked as sending ever queues behind a slow account; threads that wait are reused.
_threads = ThreadPoolExecutor(max_workers=800, thread_name_prefix="network")

# Python computes in one thread at a time: several batches at once would only fight over it.
_turn = threading.Lock()
# A batch whose network lets it wait this long makes way for the next one.
TURN_SECONDS = 0.25


class Turn:
    """A batch's leave to compute; given back at its end, or when its network lets it wait."""

    def __enter__(self) -> Self:
        _turn.acquire()
        self._held, self._until = True, time.monotonic() + TURN_SECONDS
        return self

    def left(self) -> float | None:
        """Seconds until it should be given back; None once it is."""
        return max(0.0, self._until - time.monotonic()) if self._held else None

    def give_back(self) -> None:
        if self._held:
            self._held = False
            _turn.release()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()


class ClaimLost(Exception):
    """The lease ran out and somebody else took over: stop, write nothing."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One claimed delivery with all that its network call needs."""

    delivery: Delivery
    publisher: Publisher
    account: Account
    outgoing: Outgoing

    @property
    def needs_preparing(self) -> bool:
        uploads = type(self.publisher).prepare is not Publisher.prepare
        return uploads or not composing.is_complete(self.delivery)


Prepared = Job | PublishError | ClaimLost
Result = Receipt | PublishError


def in_thread(work: Callable[..., T], *arguments: Any) -> Future[T]:
    """Begin `work` in a thread of its own."""
    return _threads.submit(_and_disconnect, work, *arguments)


def _and_disconnect(work: Callable[..., T], *arguments: Any) -> T:
    try:
        return work(*arguments)
    finally:
        # Most of these threads wait for the next batch; a connection must not wait with them.
        connections.close_all()


def compose(delivery: Delivery) -> Job | PublishError:
    """Freeze what is sent, and check it against its network once more."""
    try:
        if not delivery.frozen:
            delivery.frozen = composing.freeze(delivery, now=timezone.now())
        publisher = publishers[delivery.account.network]
        account = composing.account_of(delivery.account)
        outgoing = composing.outgoing_of(delivery)
        if problems := publisher.check(account, outgoing):
            message = " ".join(problem.message for problem in problems)
            return Permanent(message, code=problems[0].code)
        return Job(delivery=delivery, publisher=publisher, account=account, outgoing=outgoing)
    except Exception as error:
        return _failed_before_sending(delivery, error)


def prepare(claim: UUID, job: Job) -> Prepared:
    """Do the uploads and whatever else comes before the one call."""
    delivery = job.delivery

    def save(progress: Any) -> None:
        delivery.progress = dict(progress)
        if not Delivery.objects.filter(pk=delivery.pk, claim=claim).update(
            progress=delivery.progress, lease_until=timezone.now() + settings.PUBLISHING_LEASE
        ):
            raise ClaimLost

    try:
        outgoing = job.outgoing
        if not composing.is_complete(delivery):
            composing.complete(delivery)
            outgoing = composing.outgoing_of(delivery)
        delivery.progress = dict(job.publisher.prepare(job.account, outgoing, save))
        return replace(job, outgoing=composing.outgoing_of(delivery))
    except ClaimLost as lost:
        return lost
    except Exception as error:
        return _failed_before_sending(delivery, error)


def _failed_before_sending(delivery: Delivery, error: Exception) -> PublishError:
    if isinstance(error, PublishError):
        return error
    # Nothing is visible yet, so another try is safe; the log has the fault.
    log.exception("preparing failed", delivery=str(delivery.pk))
    return Temporary(f"{type(error).__name__} while preparing: {error}", code="fault")


def send(job: Job, send_before: float) -> Result:
    """The one call that publishes. Whatever is not a clear answer counts as unconfirmed."""
    if time.monotonic() > send_before:
        # The machine slept or starved: the reaper may already believe that we are gone.
        return Temporary("The worker was too late to send safely; nothing was sent.", code="slow")
    try:
        return job.publisher.publish(job.account, job.outgoing)
    except PublishError as error:
        return error
    except Exception as error:
        log.exception("publisher failed", delivery=str(job.delivery.pk))
        return Unconfirmed(f"{type(error).__name__} while sending: {error}", code="fault")
