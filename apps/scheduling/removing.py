"""Takes published posts off their networks: claim, commit, call, record, as for publishing.

Deleting twice is deleting once, so whatever goes unanswered is simply asked again.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.core import alerts
from apps.personas import services as personas
from apps.scheduling import composing, hooks, retrying
from apps.scheduling.models import Attempt, Delivery, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Permanent,
    Posted,
    PublishError,
    Temporary,
)

log = structlog.get_logger(__name__)

BATCH = 25
# So often it is tried; the last waits are a quarter of an hour, so that is most of a day.
MOST_TRIES = 60
State = Delivery.State
Outcome = Attempt.Outcome


def begin(rows: QuerySet[Delivery]) -> int:
    """Have these published deliveries removed; how many. Call it in a transaction."""
    now = timezone.now()
    return rows.filter(state=State.PUBLISHED).update(
        state=State.REMOVING, due_at=now, retries=0, error="", error_code="", changed_at=now
    )


def begin_replacing(post_id: UUID) -> None:
    """Hold a post's corrections until what they correct is gone, and have that removed.

    Call it in the transaction that makes them `scheduled`: no claim may come between.
    """
    rows = Delivery.objects.filter(post=post_id, state=State.SCHEDULED).exclude(replaces=None)
    waiting = rows.exclude(replaces__state=State.REMOVED)
    old = [pk for pk in waiting.values_list("replaces", flat=True) if pk is not None]
    waiting.update(state=State.HELD, changed_at=timezone.now())
    begin(Delivery.objects.filter(pk__in=old))


def posted_of(delivery: Delivery) -> Posted:
    """What we know of a delivery on its network."""
    return Posted(
        key=delivery.key,
        remote_id=delivery.remote_id,
        url=delivery.remote_url,
        published_at=delivery.published_at or delivery.changed_at,
        pictures=len(composing.media_of(delivery.post, delivery.part)),
        progress=delivery.progress,
    )


def remove_due() -> dict[UUID, str]:
    """Remove what is to be removed now; the state each delivery ended in."""
    claim, deliveries = _claim()
    if not deliveries:
        return {}
    states: dict[UUID, str] = {}
    with ThreadPoolExecutor(len(deliveries), thread_name_prefix="network") as pool:
        for delivery, error in zip(deliveries, pool.map(_call, deliveries), strict=True):
            states[delivery.pk] = _record(claim, delivery, error)
    return states


def _claim() -> tuple[UUID, list[Delivery]]:
    now, claim = timezone.now(), uuid4()
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    due = Delivery.objects.filter(free, state=State.REMOVING, due_at__lte=now).exclude(
        account__status=SocialAccount.Status.RECONNECT
    )
    if not due.exists():
        return claim, []
    with transaction.atomic():
        rows = due.select_for_update(skip_locked=True, of=("self",)).order_by("due_at")
        chosen = [row.pk for row in rows.only("pk")[:BATCH]]
        Delivery.objects.filter(pk__in=chosen, state=State.REMOVING).update(
            claim=claim, lease_until=now + settings.PUBLISHING_LEASE
        )
        # A worker that died left its attempt open; what it did is found out by asking again.
        Attempt.objects.filter(delivery__in=chosen, outcome=Outcome.OPEN).update(
            outcome=Outcome.UNCONFIRMED, finished_at=now, detail="The worker stopped."
        )
        Attempt.objects.bulk_create(
            Attempt(delivery_id=pk, claim=claim, started_at=now) for pk in chosen
        )
    claimed = (
        Delivery.objects.filter(claim=claim)
        .select_related("post__persona", "account")
        .prefetch_related("post__postmedia_set__media")
    )
    return claim, list(claimed)


def _call(delivery: Delivery) -> PublishError | None:
    try:
        publisher = publishers[delivery.account.network]
        publisher.unpublish(composing.account_of(delivery.account), posted_of(delivery))
    except PublishError as error:
        return error
    except Exception as error:
        log.exception("removing failed", delivery=str(delivery.pk))
        return Temporary(f"{type(error).__name__} while removing: {error}", code="fault")
    finally:
        connections.close_all()
    return None


def _record(claim: UUID, delivery: Delivery, error: PublishError | None) -> str:
    now = timezone.now()
    changes: dict[str, Any] = {"claim": None, "lease_until": None, "changed_at": now}
    outcome = Outcome.REMOVED
    if error is None:
        changes |= {"state": State.REMOVED, "removed_at": now, "error": "", "error_code": ""}
    elif isinstance(error, Permanent) or delivery.retries >= MOST_TRIES:
        outcome = Outcome.PERMANENT
        # It is still there, and the ledger says so.
        changes |= {"state": State.PUBLISHED, "error": str(error), "error_code": error.code}
    else:
        reconnect = isinstance(error, NeedsReconnect)
        outcome = Outcome.RECONNECT if reconnect else Outcome.TEMPORARY
        asked = timedelta(seconds=getattr(error, "retry_after", None) or 0)
        wait = max(asked, retrying.back_off(delivery.retries, random.random()))
        changes |= {
            "state": State.REMOVING,
            "due_at": now + wait,
            "retries": delivery.retries + 1,
            "error": str(error),
            "error_code": error.code,
        }
        if reconnect:
            SocialAccount.objects.filter(pk=delivery.account_id).update(
                status=SocialAccount.Status.RECONNECT, status_detail=str(error)[:500]
            )
    with transaction.atomic():
        ours = Delivery.objects.filter(pk=delivery.pk, claim=claim, state=State.REMOVING)
        if not ours.update(**changes):
            return "claim lost"
        Attempt.objects.filter(delivery=delivery, claim=claim).update(
            outcome=outcome, finished_at=now, detail=str(error or "")
        )
        if changes["state"] == State.REMOVED:
            as_removed(delivery, changes)
    state = str(changes["state"])
    log.info("removal recorded", delivery=str(delivery.pk), state=state)
    if state == State.PUBLISHED:
        alerts.alert(
            key=f"not-removed:{delivery.pk}",
            title=f"Still there: {delivery}",
            body=f"{error} Its correction, if there is one, stays held.",
            path=f"/admin/scheduling/delivery/{delivery.pk}/change/",
        )
    return state


def as_removed(delivery: Delivery, changes: dict[str, Any]) -> None:
    """What follows from a removal, in its transaction: forget, tell, let its correction go."""
    now = timezone.now()
    personas.forget([delivery.pk])
    hooks.note([(delivery, changes)])
    held = Delivery.objects.filter(replaces=delivery, state=State.HELD)
    # Its own time may be over while the old one was there: it goes out now.
    held.filter(due_at__lt=now).update(due_at=now, too_late_at=None)
    held.update(state=State.SCHEDULED, changed_at=now)
