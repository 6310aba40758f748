"""The one path by which a post leaves: claim, commit, call, record.

Every write after the claim names the claim. Once the lease has run out and somebody else has
claimed the row, a late worker's writes match nothing.
"""

import random
import time
from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.core.rows import update_each
from apps.personas import services as personas
from apps.scheduling import hooks, outcomes, retrying, sending
from apps.scheduling.models import Attempt, Delivery, DeliveryQuerySet, SocialAccount
from apps.scheduling.publishers.base import Receipt
from apps.scheduling.sending import ClaimLost, Job, Result, Turn

log = structlog.get_logger(__name__)

# How many deliveries one wake-up carries: they share the claim and the commits.
BATCH = 50
GATHER_SECONDS = 0.02
# A wake-up may be a little early by its own clock; it waits this long at most.
EARLY = timedelta(seconds=1)

State = Delivery.State


# An attempt exists once something was sent.
Done = tuple[Delivery, Attempt | None, Result]


@dataclass(kw_only=True)
class Batch:
    """What one claim took, and how far each of it is."""

    claim: UUID = field(default_factory=uuid4)
    deliveries: list[Delivery] = field(default_factory=list)
    to_prepare: list[Job] = field(default_factory=list)
    to_send: list[Job] = field(default_factory=list)
    refused: list[Done] = field(default_factory=list)
    # Of what is being sent, by delivery.
    attempts: dict[UUID, Attempt] = field(default_factory=dict)


def publish(delivery_ids: Collection[UUID] | None = None) -> dict[UUID, str]:
    """Publish what is due among these deliveries (None: among all), and say where each ended."""
    wanted = Delivery.objects.all()
    if delivery_ids is not None:
        wanted = wanted.filter(pk__in=delivery_ids)
    with Turn():
        seconds = _seconds_until_due(wanted)
    if seconds is None:
        return {}
    # The claim never takes a post early, so a wake-up 3 ms early would leave it to the next sweep.
    time.sleep(seconds)
    states: dict[UUID, str] = {}
    with Turn() as turn:
        batch = _claim(wanted)
        if batch.deliveries:
            log.info("claimed", count=len(batch.deliveries), claim=str(batch.claim))
        for group in _carry_out(batch, turn):
            states.update(_record(batch.claim, group))
    return states


def _seconds_until_due(wanted: DeliveryQuerySet) -> float | None:
    """Until all of these are due; None if there is nothing to claim, as for most wake-ups, which
    are repeats: they need no write lock for that."""
    soon = wanted.claimable(timezone.now() + EARLY).order_by("-due_at")
    last = soon.values_list("due_at", flat=True).first()
    return None if last is None else max(0.0, (last - timezone.now()).total_seconds())


# -- Claim --------------------------------------------------------------------------------------


def _claim(wanted: DeliveryQuerySet) -> Batch:
    """Take what is due, and commit for each whether it is being prepared or already being sent."""
    batch, now = Batch(), timezone.now()
    rows = wanted.claimable(now).with_content().order_by("due_at", "id")
    with transaction.atomic():
        # Two claimers: PostgreSQL skips the other's rows, SQLite has them one after the other.
        batch.deliveries = list(rows.select_for_update(skip_locked=True, of=("self",))[:BATCH])
        preparing = []
        for delivery in batch.deliveries:
            delivery.changed_at = now
            composed = sending.compose(delivery)
            if not isinstance(composed, Job):
                batch.refused.append((delivery, None, composed))
            elif composed.needs_preparing:
                batch.to_prepare.append(composed)
            else:
                batch.to_send.append(composed)
                continue
            preparing.append(delivery.pk)
        Delivery.objects.filter(pk__in=preparing).update(
            state=State.CLAIMED,
            claim=batch.claim,
            lease_until=now + settings.PUBLISHING_LEASE,
            changed_at=now,
        )
        batch.attempts = _sending(batch.claim, batch.to_send, now)
    return batch


def _sending(claim: UUID, jobs: list[Job], now: datetime) -> dict[UUID, Attempt]:
    """Write that these are about to be sent; the rows are locked, the commit is the caller's."""
    update_each(
        Delivery,
        {
            job.delivery.pk: {
                "state": State.SENDING,
                "claim": claim,
                "frozen": job.delivery.frozen,
                "progress": job.delivery.progress,
                "lease_until": now + settings.PUBLISHING_LEASE,
                "changed_at": now,
            }
            for job in jobs
        },
    )
    attempts = [Attempt(delivery_id=job.delivery.pk, claim=claim, started_at=now) for job in jobs]
    Attempt.objects.bulk_create(attempts)
    return {attempt.delivery_id: attempt for attempt in attempts}


# -- Call ---------------------------------------------------------------------------------------


def _carry_out(batch: Batch, turn: Turn) -> Iterator[list[Done]]:
    """Prepare and send every delivery at the same time; yield the results as they come in groups.

    One thread per delivery: nothing that is marked as sending ever queues behind a slow account.
    """
    claim, attempts = batch.claim, batch.attempts
    under_way: dict[Future[Any], Delivery] = {}

    def send(jobs: list[Job]) -> None:
        # Sent within the first half of its lease, a call ends well before the lease does.
        send_before = time.monotonic() + settings.PUBLISHING_LEASE.total_seconds() / 2
        for job in jobs:
            under_way[sending.in_thread(sending.send, job, send_before)] = job.delivery

    send(batch.to_send)
    for job in batch.to_prepare:
        under_way[sending.in_thread(sending.prepare, claim, job)] = job.delivery
    if batch.refused:
        yield batch.refused
    while under_way:
        if not wait(under_way, turn.left(), return_when=FIRST_COMPLETED).done:
            turn.give_back()
            continue
        ready: list[Job] = []
        results: list[Done] = []
        # Those that end within a moment of each other share a commit.
        for future in wait(under_way, GATHER_SECONDS).done:
            delivery, outcome = under_way.pop(future), future.result()
            if isinstance(outcome, Job):
                ready.append(outcome)
            elif not isinstance(outcome, ClaimLost):
                results.append((delivery, attempts.get(delivery.pk), outcome))
        if ready:
            attempts |= (begun := _begin(claim, ready))
            send([job for job in ready if job.delivery.pk in begun])
        if results:
            yield results


def _begin(claim: UUID, jobs: list[Job]) -> dict[UUID, Attempt]:
    """Commit that these, now prepared, are about to be sent; those whose claim was lost are not."""
    now = timezone.now()
    with transaction.atomic():
        ours = _locked(claim, [job.delivery for job in jobs], lease_until__gt=now)
        return _sending(claim, [job for job in jobs if job.delivery.pk in ours], now)


def _locked(claim: UUID, deliveries: list[Delivery], **conditions: Any) -> set[UUID]:
    """Which of these are still this claim's; their rows stay locked until the commit."""
    rows = Delivery.objects.filter(
        pk__in=[each.pk for each in deliveries],
        claim=claim,
        state__in=[State.CLAIMED, State.SENDING],
        **conditions,
    )
    # In one order, as everybody locks them.
    return set(rows.order_by("pk").select_for_update().values_list("pk", flat=True))


# -- Record -------------------------------------------------------------------------------------


def _record(claim: UUID, group: list[Done]) -> dict[UUID, str]:
    """Write the outcomes of a group in one commit, then tell those who should know."""
    now = timezone.now()
    states: dict[UUID, str] = {}
    with transaction.atomic():
        ours = _locked(claim, [delivery for delivery, _, _ in group])
        changed: dict[UUID, dict[str, Any]] = {}
        ended: dict[UUID, dict[str, Any]] = {}
        end: dict[str, Any]
        never_sent, published, told = [], [], []
        for delivery, attempt, result in group:
            if isinstance(result, Receipt):
                changes = outcomes.as_published(result, now)
                end = {"outcome": Attempt.Outcome.PUBLISHED, "detail": ""}
            else:
                step = retrying.after(
                    result,
                    retries=delivery.retries,
                    maybe_sent=delivery.maybe_sent,
                    now=now,
                    chance=random.random(),
                )
                changes = outcomes.as_step(delivery, step, result, now)
                end = {"outcome": step.outcome, "detail": str(result)}
                outcomes.tell_account(delivery.account, step, result)
            end["finished_at"] = now
            if delivery.pk in ours:
                changed[delivery.pk] = changes
            if delivery.pk in ours or _late_receipt(delivery, result, changes):
                states[delivery.pk] = changes["state"]
                told.append((delivery, changes))
                if isinstance(result, Receipt):
                    published.append(outcomes.memory(delivery, result, now))
            if attempt is not None:
                ended[attempt.pk] = end
            else:
                never_sent.append(
                    Attempt(
                        delivery_id=delivery.pk, claim=claim, started_at=delivery.changed_at, **end
                    )
                )
        update_each(Delivery, changed)
        update_each(Attempt, ended)
        Attempt.objects.bulk_create(never_sent)
        personas.remember(published)
        hooks.note(told)
        proven = {
            delivery.account_id
            for delivery, _, result in group
            if isinstance(result, Receipt)
            and delivery.account.status == SocialAccount.Status.UNTESTED
        }
        if proven:
            SocialAccount.objects.filter(
                pk__in=proven, status=SocialAccount.Status.UNTESTED
            ).update(status=SocialAccount.Status.WORKING)
    for delivery, _, result in group:
        state = states.get(delivery.pk, "")
        log.info("recorded", delivery=str(delivery.pk), state=state or "claim lost")
        outcomes.tell_people(delivery, state, "" if isinstance(result, Receipt) else str(result))
    return states


def _late_receipt(delivery: Delivery, result: Result, changes: dict[str, Any]) -> bool:
    # The reaper gave this worker up, but its call did succeed: a receipt is proof enough, unless
    # the delivery has been taken up or decided since.
    if not isinstance(result, Receipt):
        return False
    undecided = Q(state__in=[State.UNCONFIRMED, State.NEEDS_REVIEW], claim=None)
    return bool(Delivery.objects.filter(undecided, pk=delivery.pk).update(**changes))
