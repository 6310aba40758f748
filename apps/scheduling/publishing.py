"""The one path by which a post leaves: claim, commit, call, record.

Every write after the claim names the claim. Once the lease has run out and somebody else has
claimed the row, a late worker's writes match nothing.
"""

import random
import time
from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q
from django.utils import timezone

from apps.core import alerts
from apps.personas import services as personas
from apps.scheduling import composing, hooks, linking, retrying
from apps.scheduling.models import Attempt, Delivery, SocialAccount
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

# How many deliveries one wake-up carries: they share the claim and the commits.
BATCH = 25
GATHER_SECONDS = 0.02
# A wake-up may be a little early by its own clock; it waits this long at most.
EARLY = timedelta(seconds=1)

State = Delivery.State


class ClaimLost(Exception):
    """The lease ran out and somebody else took over: stop, write nothing."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One claimed delivery with all that its network call needs."""

    delivery: Delivery
    publisher: Publisher
    account: Account
    outgoing: Outgoing


Result = Receipt | PublishError
# An attempt exists once something was sent.
Done = tuple[Delivery, Attempt | None, Result]


def publish(delivery_ids: Collection[UUID] | None = None) -> dict[UUID, str]:
    """Publish what is due among these deliveries (None: among all), and say where each ended."""
    if delivery_ids is not None:
        _wait_until_due(delivery_ids)
    claim, deliveries = _claim(delivery_ids)
    if not deliveries:
        return {}
    log.info("claimed", count=len(deliveries), claim=str(claim))
    states: dict[UUID, str] = {}
    for group in _carry_out(claim, deliveries):
        states.update(_record(claim, group))
    return states


def _wait_until_due(delivery_ids: Collection[UUID]) -> None:
    # The claim never takes a post early, so a wake-up 3 ms early would leave it to the next sweep.
    now = timezone.now()
    soon = Delivery.objects.due(now + EARLY).filter(pk__in=delivery_ids, due_at__gt=now)
    last = soon.order_by("-due_at").values_list("due_at", flat=True).first()
    if last is not None:
        time.sleep(max(0.0, (last - timezone.now()).total_seconds()))


# -- Claim --------------------------------------------------------------------------------------


def _claim(delivery_ids: Collection[UUID] | None) -> tuple[UUID, list[Delivery]]:
    now = timezone.now()
    claim = uuid4()
    wanted = Delivery.objects.claimable(now)
    if delivery_ids is not None:
        wanted = wanted.filter(pk__in=delivery_ids)
    # Most wake-ups are repeats that find nothing; they need no write lock for that.
    if not wanted.exists():
        return claim, []
    with transaction.atomic():
        # Two claimers: PostgreSQL skips the other's rows, SQLite has them one after the other.
        rows = wanted.select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "id")
        chosen = [row.pk for row in rows.only("pk")[:BATCH]]
        Delivery.objects.filter(pk__in=chosen, state=State.SCHEDULED).update(
            state=State.CLAIMED,
            claim=claim,
            lease_until=now + settings.PUBLISHING_LEASE,
            changed_at=now,
        )
    claimed = (
        Delivery.objects.filter(claim=claim)
        .select_related("post__persona", "account")
        .prefetch_related("post__postmedia_set__media")
        .order_by("due_at", "id")
    )
    return claim, list(claimed)


# -- Call ---------------------------------------------------------------------------------------


def _carry_out(claim: UUID, deliveries: list[Delivery]) -> Iterator[list[Done]]:
    """Prepare and send every delivery at the same time; yield the results as they come in groups.

    One thread per delivery: nothing that is marked as sending ever queues behind a slow account.
    """
    attempts: dict[UUID, Attempt] = {}
    with ThreadPoolExecutor(len(deliveries), thread_name_prefix="network") as pool:
        preparing: dict[Future[Any], Delivery] = {
            pool.submit(_in_thread, _prepare, claim, delivery): delivery for delivery in deliveries
        }
        sending: dict[Future[Any], Delivery] = {}
        while preparing or sending:
            wait([*preparing, *sending], return_when=FIRST_COMPLETED)
            # Those that end within a moment of each other share a commit.
            done, _ = wait([*preparing, *sending], timeout=GATHER_SECONDS)
            ready: list[Job] = []
            results: list[Done] = []
            for future in done:
                if future in preparing:
                    delivery, prepared = preparing.pop(future), future.result()
                    if isinstance(prepared, Job):
                        ready.append(prepared)
                    elif isinstance(prepared, PublishError):
                        results.append((delivery, None, prepared))
                else:
                    delivery = sending.pop(future)
                    results.append((delivery, attempts[delivery.pk], future.result()))
            # Sent within the first half of its lease, a call ends well before the lease does.
            send_before = time.monotonic() + settings.PUBLISHING_LEASE.total_seconds() / 2
            for job, attempt in _begin(claim, ready):
                attempts[job.delivery.pk] = attempt
                future = pool.submit(_in_thread, _send, job, send_before)
                sending[future] = job.delivery
            if results:
                yield results


def _in_thread(work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    finally:
        # These threads end with the batch; a connection of theirs must not outlive them.
        connections.close_all()


def _prepare(claim: UUID, delivery: Delivery) -> Job | PublishError | ClaimLost:
    """Check the post against its network once more and do the uploads."""

    def save(progress: Any) -> None:
        delivery.progress = dict(progress)
        if not Delivery.objects.filter(pk=delivery.pk, claim=claim).update(
            progress=delivery.progress, lease_until=timezone.now() + settings.PUBLISHING_LEASE
        ):
            raise ClaimLost

    try:
        if not delivery.frozen:
            delivery.frozen = linking.shortened(composing.freeze(delivery, now=timezone.now()))
        publisher = publishers[delivery.account.network]
        account = composing.account_of(delivery.account)
        outgoing = composing.outgoing_of(delivery)
        if problems := publisher.check(account, outgoing):
            raise Permanent(
                " ".join(problem.message for problem in problems), code=problems[0].code
            )
        delivery.progress = dict(publisher.prepare(account, outgoing, save))
        outgoing = composing.outgoing_of(delivery)
        return Job(delivery=delivery, publisher=publisher, account=account, outgoing=outgoing)
    except PublishError as error:
        return error
    except ClaimLost as lost:
        return lost
    except Exception as error:
        # Nothing is visible yet, so another try is safe; the log has the fault.
        log.exception("preparing failed", delivery=str(delivery.pk))
        return Temporary(f"{type(error).__name__} while preparing: {error}", code="fault")


def _begin(claim: UUID, jobs: list[Job]) -> list[tuple[Job, Attempt]]:
    """Commit that these are about to be sent; those whose claim was lost are left out."""
    if not jobs:
        return []
    now = timezone.now()
    begun = []
    with transaction.atomic():
        ours = Delivery.objects.filter(claim=claim, state=State.CLAIMED, lease_until__gt=now)
        for job in jobs:
            if ours.filter(pk=job.delivery.pk).update(
                state=State.SENDING,
                frozen=job.delivery.frozen,
                progress=job.delivery.progress,
                lease_until=now + settings.PUBLISHING_LEASE,
                changed_at=now,
            ):
                attempt = Attempt(delivery_id=job.delivery.pk, claim=claim, started_at=now)
                begun.append((job, attempt))
        Attempt.objects.bulk_create([attempt for _, attempt in begun])
    return begun


def _send(job: Job, send_before: float) -> Result:
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


# -- Record -------------------------------------------------------------------------------------


def _record(claim: UUID, group: list[Done]) -> dict[UUID, str]:
    """Write the outcomes of a group in one commit, then tell those who should know."""
    now = timezone.now()
    states: dict[UUID, str] = {}
    with transaction.atomic():
        published, told = [], []
        for delivery, attempt, result in group:
            if isinstance(result, Receipt):
                changes = as_published(result, now)
                outcome, detail = Attempt.Outcome.PUBLISHED, ""
                attempt_of = attempt
            else:
                step = retrying.after(
                    result,
                    retries=delivery.retries,
                    maybe_sent=delivery.maybe_sent,
                    now=now,
                    chance=random.random(),
                )
                changes = _as_step(delivery, step, result, now)
                outcome, detail = step.outcome, str(result)
                attempt_of = attempt or Attempt(
                    delivery_id=delivery.pk, claim=claim, started_at=delivery.changed_at
                )
                _tell_account(delivery.account, step, result)
            ours = Delivery.objects.filter(
                pk=delivery.pk, claim=claim, state__in=[State.CLAIMED, State.SENDING]
            )
            if ours.update(**changes) or _late_receipt(delivery, result, changes):
                states[delivery.pk] = changes["state"]
                told.append((delivery, changes))
                if isinstance(result, Receipt):
                    published.append(memory(delivery, result, now))
            if attempt_of is not None:
                attempt_of.finished_at, attempt_of.outcome, attempt_of.detail = now, outcome, detail
                attempt_of.save()
        personas.remember(published)
        hooks.note(told)
        proven = [
            delivery.account_id for delivery, _, result in group if isinstance(result, Receipt)
        ]
        SocialAccount.objects.filter(pk__in=proven, status=SocialAccount.Status.UNTESTED).update(
            status=SocialAccount.Status.WORKING
        )
    for delivery, _, result in group:
        state = states.get(delivery.pk, "")
        log.info("recorded", delivery=str(delivery.pk), state=state or "claim lost")
        tell_people(delivery, state, "" if isinstance(result, Receipt) else str(result))
    return states


def as_published(receipt: Receipt, now: datetime) -> dict[str, Any]:
    """The columns of a delivery that is on its network."""
    return {
        "state": State.PUBLISHED,
        "remote_id": receipt.remote_id,
        "remote_url": receipt.url,
        "published_at": now,
        "claim": None,
        "lease_until": None,
        "maybe_sent": False,
        "error": "",
        "error_code": "",
        "changed_at": now,
    }


def _as_step(
    delivery: Delivery, step: retrying.Step, error: PublishError, now: datetime
) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": step.state,
        "claim": None,
        "lease_until": None,
        "error": str(error),
        "error_code": error.code,
        "changed_at": now,
    }
    if step.due_at is not None:
        changes["due_at"] = step.due_at
    if step.outcome == Attempt.Outcome.TEMPORARY:
        changes["retries"] = delivery.retries + 1
    if step.state == State.UNCONFIRMED:
        changes["maybe_sent"] = True
        # Time for a request still under way to arrive, before anybody looks for it.
        changes["due_at"] = now + settings.PUBLISHING_SETTLE
    if isinstance(error, Unconfirmed) and error.progress:
        changes["progress"] = {**delivery.progress, **error.progress}
    return changes


def _late_receipt(delivery: Delivery, result: Result, changes: dict[str, Any]) -> bool:
    # The reaper gave this worker up, but its call did succeed: a receipt is proof enough, unless
    # the delivery has been taken up or decided since.
    if not isinstance(result, Receipt):
        return False
    undecided = Q(state__in=[State.UNCONFIRMED, State.NEEDS_REVIEW], claim=None)
    return bool(Delivery.objects.filter(undecided, pk=delivery.pk).update(**changes))


def memory(delivery: Delivery, receipt: Receipt, now: datetime) -> personas.Published:
    return personas.Published(
        source_id=delivery.pk,
        persona_id=delivery.post.persona_id,
        network=delivery.account.network,
        text=delivery.frozen.get("text", ""),
        url=receipt.url,
        published_at=now,
    )


def _tell_account(account: SocialAccount, step: retrying.Step, error: PublishError) -> None:
    row = SocialAccount.objects.filter(pk=account.pk)
    if step.account_waits_until is not None:
        row.update(wait_until=step.account_waits_until, status_detail=str(error)[:500])
    if step.account_needs_reconnect:
        row.update(status=SocialAccount.Status.RECONNECT, status_detail=str(error)[:500])


def tell_people(delivery: Delivery, state: str, why: str) -> None:
    """Raise the alert that a state calls for, with a link to where it is dealt with."""
    path = f"/admin/scheduling/delivery/{delivery.pk}/change/"
    if state == State.FAILED:
        alerts.alert(key=f"failed:{delivery.pk}", title=f"Failed: {delivery}", body=why, path=path)
    elif state == State.NEEDS_REVIEW:
        title = f"Is it there? {delivery}"
        alerts.alert(key=f"review:{delivery.pk}", title=title, body=why, path=path)
    elif state == State.MISSED:
        alerts.alert(key=f"missed:{delivery.pk}", title=f"Missed: {delivery}", body=why, path=path)
    if delivery.account.status != SocialAccount.Status.RECONNECT and state == State.SCHEDULED:
        delivery.account.refresh_from_db(fields=["status"])
        if delivery.account.status == SocialAccount.Status.RECONNECT:
            alerts.alert(
                key=f"reconnect:{delivery.account_id}",
                title=f"Reconnect {delivery.account}",
                body=f"Its posts wait until then. {why}",
                path=f"/admin/scheduling/socialaccount/{delivery.account_id}/change/",
                level="critical",
            )
