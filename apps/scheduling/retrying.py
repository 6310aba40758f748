"""What follows from how an attempt ended: one pure function, no clock, no database, no network."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.scheduling.models import Attempt, Delivery
from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Permanent,
    Processing,
    PublishError,
    Temporary,
    Unconfirmed,
)

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
# Between two questions whether a network has processed what it was given.
LONGEST_LOOK = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where a delivery goes next, and what its account has to bear."""

    state: Delivery.State
    outcome: Attempt.Outcome
    due_at: datetime | None = None
    account_waits_until: datetime | None = None
    account_needs_reconnect: bool = False


def back_off(retries: int, chance: float) -> timedelta:
    """Full jitter: anything between nothing and 5 s x 2^retries, at most 15 min.

    `chance` is uniform in [0, 1). Source: "Exponential Backoff And Jitter", AWS Architecture
    Blog, 2015.
    """
    longest: timedelta = min(FIRST_WAIT * 2 ** min(retries, 16), LONGEST_WAIT)
    return longest * chance


def after(
    error: PublishError, *, retries: int, maybe_sent: bool, now: datetime, chance: float
) -> Step:
    """The next step after `error`.

    `retries` counts the temporary failures before this one; `maybe_sent` says that an earlier
    attempt ended without an answer, in which case the post may be there whatever is said now.
    """
    match error:
        case Processing():
            return Step(
                state=Delivery.State.SCHEDULED,
                outcome=Attempt.Outcome.TEMPORARY,
                due_at=now + min(FIRST_WAIT * 2 ** min(retries, 16), LONGEST_LOOK),
            )
        case Temporary():
            asked = timedelta(seconds=error.retry_after or 0)
            due = now + max(asked, back_off(retries, chance))
            return Step(
                state=Delivery.State.SCHEDULED,
                outcome=Attempt.Outcome.TEMPORARY,
                due_at=due,
                account_waits_until=due if error.whole_account else None,
            )
        case NeedsReconnect():
            return Step(
                state=Delivery.State.SCHEDULED,
                outcome=Attempt.Outcome.RECONNECT,
                due_at=now,
                account_needs_reconnect=True,
            )
        case Permanent():
            # A refusal says nothing of the attempt that went unanswered before it.
            state = Delivery.State.NEEDS_REVIEW if maybe_sent else Delivery.State.FAILED
            return Step(state=state, outcome=Attempt.Outcome.PERMANENT)
        case Unconfirmed():
            return Step(state=Delivery.State.UNCONFIRMED, outcome=Attempt.Outcome.UNCONFIRMED)
        case _:
            raise TypeError(f"{type(error).__name__} is none of the four errors.")
