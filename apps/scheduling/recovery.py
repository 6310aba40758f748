"""What brings deliveries back whose worker died or whose network did not answer."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q
from django.utils import timezone

from apps.personas import services as personas
from apps.scheduling import composing, hooks, outcomes, retrying
from apps.scheduling.models import Attempt, Delivery, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Permanent,
    Publisher,
    PublishError,
    Receipt,
    Safety,
    Temporary,
)

log = structlog.get_logger(__name__)

BATCH = 25
# Clocks differ: what was posted a little "before" our attempt began is still looked at.
CLOCK_SKEW = timedelta(minutes=2)

State = Delivery.State


# -- The reaper: no network, only clocks --------------------------------------------------------


def reap() -> dict[str, int]:
    """Take deliveries out of dead hands, and call those missed that nothing may send any more."""
    now = timezone.now()
    with transaction.atomic():
        # Claimed and not sending: nothing was published, so it simply goes back.
        released = Delivery.objects.filter(state=State.CLAIMED, lease_until__lte=now).update(
            state=State.SCHEDULED, claim=None, lease_until=None, changed_at=now
        )
        silent = Delivery.objects.filter(
            state=State.SENDING, lease_until__lte=now - settings.PUBLISHING_SETTLE
        )
        claims = list(silent.select_for_update(skip_locked=True).values_list("pk", "claim"))
        Delivery.objects.filter(pk__in=[pk for pk, _ in claims], state=State.SENDING).update(
            state=State.UNCONFIRMED,
            claim=None,
            lease_until=None,
            maybe_sent=True,
            due_at=now,
            error="The worker stopped while it was sending.",
            error_code="worker_lost",
            changed_at=now,
        )
        Attempt.objects.filter(
            claim__in=[claim for _, claim in claims], outcome=Attempt.Outcome.OPEN
        ).filter(delivery__state=State.UNCONFIRMED).update(
            outcome=Attempt.Outcome.UNCONFIRMED,
            finished_at=now,
            detail="The worker stopped before the answer came.",
        )
        # A reconciler that died leaves only its claim behind.
        Delivery.objects.filter(state=State.UNCONFIRMED, lease_until__lte=now).update(
            claim=None, lease_until=None
        )
    missed = _give_up_the_late(now)
    counts = {"released": released, "unconfirmed": len(claims), "missed": missed}
    if any(counts.values()):
        log.info("reaped", **counts)
    return counts


def _give_up_the_late(now: datetime) -> int:
    # In the order of its index: for the first 500 by their due time PostgreSQL would read all that
    # waits.
    rows = Delivery.objects.too_late(now).order_by("too_late_at").select_related("post", "account")
    late = list(rows[:500])
    missed = 0
    for delivery in late:
        changes: dict[str, Any] = {"state": State.MISSED, "changed_at": now}
        if delivery.maybe_sent:
            # It may be live: "missed" would be a guess, so the reconciler looks first.
            changes = {"state": State.UNCONFIRMED, "due_at": now, "changed_at": now}
        row = Delivery.objects.filter(pk=delivery.pk, state=State.SCHEDULED, too_late_at__lte=now)
        why = "" if delivery.maybe_sent else _what_held(delivery)
        with transaction.atomic():
            given_up = row.update(**changes) and not delivery.maybe_sent
            if given_up:
                hooks.note([(delivery, {**changes, "error": why})])
        if given_up:
            missed += 1
            outcomes.tell_people(delivery, State.MISSED, why=why)
    return missed


def _what_held(delivery: Delivery) -> str:
    account = delivery.account
    hold = personas.what_holds(delivery.post.persona)
    if hold is not None:
        return f"It waited on a hold: {hold.reason}"
    if account.status in (SocialAccount.Status.RECONNECT, SocialAccount.Status.PAUSED):
        return f"It waited for its account: {account.get_status_display()}."
    return delivery.error or "Nothing could send it in time."


# -- The reconciler: ask the network what became of it ------------------------------------------


def reconcile() -> dict[UUID, str]:
    """Find out about unconfirmed deliveries: same key again, a look at the list, or a person."""
    claim, claimed = _claim()
    if not claimed:
        return {}
    states: dict[UUID, str] = {}
    with ThreadPoolExecutor(len(claimed), thread_name_prefix="network") as pool:
        for delivery, answer in zip(claimed, pool.map(_ask, claimed), strict=True):
            states[delivery.pk] = _settle(claim, delivery, answer)
    log.info("reconciled", **Counter(states.values()))
    return states


def _claim() -> tuple[UUID, list[Delivery]]:
    now = timezone.now()
    claim = uuid4()
    open_ones = Delivery.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now), state=State.UNCONFIRMED, due_at__lte=now
    ).exclude(account__status=SocialAccount.Status.RECONNECT)
    # A part is asked after once the part before is settled: what it replies to is in that one.
    open_ones = open_ones.in_turn()
    if not open_ones.exists():
        return claim, []
    with transaction.atomic():
        rows = open_ones.select_for_update(skip_locked=True, of=("self",)).order_by("due_at")
        chosen = [row.pk for row in rows.only("pk")[:BATCH]]
        Delivery.objects.filter(pk__in=chosen, state=State.UNCONFIRMED).update(
            claim=claim, lease_until=now + settings.PUBLISHING_LEASE
        )
    claimed = Delivery.objects.filter(claim=claim).with_content().prefetch_related("attempts")
    return claim, list(claimed)


class SendAgain:
    """The network knows the key: sending the same again is the question and the answer."""


class AskAPerson:
    """Nothing but a person can tell; `why` in the network's words, where it gave any."""

    def __init__(self, why: str = "") -> None:
        self.why = why


Answer = Receipt | None | PublishError | SendAgain | AskAPerson


def first_doubt(delivery: Delivery) -> datetime:
    """When the first attempt began that could have published; the post's time if none is known."""
    begun = [attempt.started_at for attempt in delivery.attempts.all()]
    return min([*begun, delivery.post.scheduled_at])


def _knows_key(publisher: Publisher, since: datetime, now: datetime) -> bool:
    if publisher.safety is not Safety.KEYED:
        return False
    # Not up to the last second: the resend itself takes time.
    return (
        publisher.key_life is None or now + settings.PUBLISHING_LEASE < since + publisher.key_life
    )


def _ask(delivery: Delivery) -> Answer:
    try:
        now = timezone.now()
        publisher = publishers[delivery.account.network]
        since = first_doubt(delivery)
        late = delivery.too_late_at is not None and delivery.too_late_at <= now
        if _knows_key(publisher, since, now) and not late:
            return SendAgain()
        if type(publisher).find is Publisher.find:
            return AskAPerson()
        if not delivery.frozen:
            delivery.frozen = composing.freeze(delivery, now=since)
        return publisher.find(
            composing.account_of(delivery.account),
            composing.outgoing_of(delivery),
            since - CLOCK_SKEW,
        )
    except Permanent as error:
        # It will not let us look, now or later: asking for ever would hide the post from people.
        return AskAPerson(str(error))
    except PublishError as error:
        return error
    except Exception as error:
        log.exception("reconciling failed", delivery=str(delivery.pk))
        return Temporary(f"{type(error).__name__} while looking: {error}", code="fault")
    finally:
        connections.close_all()


def _settle(claim: UUID, delivery: Delivery, answer: Answer) -> str:
    now = timezone.now()
    changes: dict[str, Any]
    finding: tuple[str, str] | None = None
    why = ""
    if isinstance(answer, Receipt):
        changes = outcomes.as_published(answer, now)
        finding = (Attempt.Outcome.FOUND, f"It is there: {answer.url or answer.remote_id}")
    elif answer is None:
        changes = {"state": State.SCHEDULED, "maybe_sent": False, "due_at": now}
        finding = (Attempt.Outcome.ABSENT, "It is not there; it will be sent again.")
    elif isinstance(answer, SendAgain):
        # At once the first time; a network that stays silent again and again is given time.
        again = delivery.retries > 0
        wait = retrying.back_off(delivery.retries, random.random()) if again else timedelta()
        changes = {"state": State.SCHEDULED, "due_at": now + wait, "retries": delivery.retries + 1}
    elif isinstance(answer, AskAPerson):
        why = "The network does not say whether the post arrived. Please look."
        why = f"{why} ({answer.why})" if answer.why else why
        changes = {"state": State.NEEDS_REVIEW, "error": why}
    else:
        wait = retrying.back_off(delivery.retries, random.random())
        changes = {"due_at": now + wait, "retries": delivery.retries + 1, "error": str(answer)}
        if isinstance(answer, NeedsReconnect):
            SocialAccount.objects.filter(pk=delivery.account_id).update(
                status=SocialAccount.Status.RECONNECT, status_detail=str(answer)[:500]
            )
    changes = {"claim": None, "lease_until": None, "changed_at": now, **changes}
    state = str(changes.get("state", State.UNCONFIRMED))
    with transaction.atomic():
        ours = Delivery.objects.filter(pk=delivery.pk, claim=claim, state=State.UNCONFIRMED)
        if not ours.update(**changes):
            return "claim lost"
        if finding is not None:
            Attempt.objects.create(
                delivery=delivery,
                claim=claim,
                finished_at=now,
                outcome=finding[0],
                detail=finding[1],
            )
        if isinstance(answer, Receipt):
            personas.remember([outcomes.memory(delivery, answer, now)])
        hooks.note([(delivery, {**changes, "state": state})])
    outcomes.tell_people(delivery, state, why)
    return state
