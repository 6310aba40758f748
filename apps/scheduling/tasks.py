"""Celery's entry points. A task carries ids only, and repeating one changes nothing: the claim
decides, and a lost wake-up is found by the next sweep."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task
from django.utils import timezone

from apps.scheduling import (
    digest,
    following,
    health,
    hooks,
    publishing,
    queueing,
    recovery,
    removing,
    repeating,
    rivals,
    writing,
)
from apps.scheduling.models import Delivery, WebhookMessage

log = structlog.get_logger(__name__)

# The sweep comes every 2 s and wakes what is due until a little after the next one.
LOOKAHEAD = timedelta(seconds=3)
# Deliveries due within this of each other share a wake-up; the last of them sets its time.
TOGETHER = timedelta(milliseconds=50)
# A huge backlog is woken in parts, so that the queue never holds more than a few seconds of work.
MOST_PER_SWEEP = 2_000
# A wake-up nobody took is stale: the sweep has sent another.
STALE_SECONDS = 60


class NotPublished(Exception):
    """The task ran, and its post is not published; the message names the state and the reason."""


@shared_task(name="publish_scheduled_post", ignore_result=False)
def publish_scheduled_post(schedule_id: str, post_data: dict[str, Any] | None = None) -> str:
    """Publish one delivery if it is due; the row decides, `post_data` is ignored.

    Returns the state it is in; raises NotPublished unless that is `published`.
    """
    delivery_id = UUID(schedule_id)
    publishing.publish([delivery_id])
    delivery = Delivery.objects.only("state", "error").get(pk=delivery_id)
    if delivery.state != Delivery.State.PUBLISHED:
        raise NotPublished(f"{delivery.state}: {delivery.error or 'see its attempts'}")
    return str(delivery.state)


@shared_task(name="publish_deliveries")
def publish_deliveries(delivery_ids: list[str]) -> None:
    """The wake-up: publish what is due among these."""
    publishing.publish([UUID(each) for each in delivery_ids])


@shared_task(name="process_scheduled_posts", ignore_result=False)
def process_scheduled_posts() -> int:
    """The sweep: wake the workers for what is due now and in the coming seconds."""
    count = 0
    for due_at, ids in _upcoming(timezone.now()):
        wake(ids, at=due_at)
        count += len(ids)
    return count


def _upcoming(now: datetime) -> Iterator[tuple[datetime, list[UUID]]]:
    rows = (
        Delivery.objects.claimable(now + LOOKAHEAD)
        .order_by("due_at")
        .values_list("pk", "due_at", "account")[:MOST_PER_SWEEP]
    )
    together: list[tuple[UUID, datetime, UUID]] = []
    for row in [*rows, None]:
        if together and (row is None or row[1] - together[0][1] > TOGETHER):
            last = together[-1][1]
            # Same account, same batch: one that hangs then holds up one batch only.
            together.sort(key=lambda each: each[2])
            for start in range(0, len(together), publishing.BATCH):
                yield last, [pk for pk, _, _ in together[start : start + publishing.BATCH]]
            together = []
        if row is not None:
            together.append(row)


def wake(delivery_ids: Iterable[UUID], *, at: datetime | None = None) -> None:
    """Send the hint that these deliveries are due (`at`, or now); a dead broker is only logged."""
    ids = [str(each) for each in delivery_ids]
    if not ids:
        return
    when: dict[str, Any] = {"eta": at} if at is not None and at > timezone.now() else {}
    try:
        publish_deliveries.apply_async(args=(ids,), expires=STALE_SECONDS, retry=False, **when)
    except Exception as error:
        log.warning("no wake-up sent; the sweep will find them", count=len(ids), error=str(error))


@shared_task(name="reap_deliveries")
def reap_deliveries() -> None:
    """Take deliveries out of the hands of dead workers, and have their networks asked."""
    if recovery.reap()["unconfirmed"]:
        reconcile_deliveries.apply_async(retry=False)


@shared_task(name="reconcile_deliveries")
def reconcile_deliveries() -> None:
    """Find out what became of unconfirmed deliveries, and send again what is not there."""
    states = recovery.reconcile()
    wake([pk for pk, state in states.items() if state == Delivery.State.SCHEDULED])


@shared_task(name="prepare_series")
def prepare_series() -> None:
    """Prepare the coming posts of series; one that fails does not stop the others."""
    for series_id in repeating.due(timezone.now()):
        try:
            repeating.prepare(series_id)
        except Exception:
            log.exception("a series could not be prepared", series=str(series_id))


@shared_task(name="requeue_evergreens")
def requeue_evergreens() -> int:
    """Put evergreens back into their queues."""
    return queueing.requeue_due()


@shared_task(name="batch_publish_content", ignore_result=False)
def batch_publish_content(content_ids: list[str], platforms: list[str]) -> dict[str, str]:
    """Publish posts now on the named networks; the answer gives each delivery's state."""
    ids = list(
        Delivery.objects.filter(
            post__in=[UUID(each) for each in content_ids],
            account__network__in=platforms,
            state=Delivery.State.SCHEDULED,
        ).values_list("pk", flat=True)
    )
    Delivery.objects.filter(pk__in=ids, state=Delivery.State.SCHEDULED).update(
        due_at=timezone.now()
    )
    for start in range(0, len(ids), publishing.BATCH):
        publishing.publish(ids[start : start + publishing.BATCH])
    rows = Delivery.objects.filter(pk__in=ids).values_list("pk", "state")
    return {str(pk): state for pk, state in rows}


# A sweep of webhooks goes on while there is something to send, and ends in time for the next.
MOST_ROUNDS = 20
MESSAGES_KEPT = timedelta(days=90)


@shared_task(name="send_webhooks")
def send_webhooks() -> None:
    """Send the webhook messages that are due."""
    for _ in range(MOST_ROUNDS):
        if not any(hooks.send_due().values()):
            return


def wake_webhooks() -> None:
    """Hint that there are messages to send; a dead broker is only logged."""
    try:
        send_webhooks.apply_async(retry=False)
    except Exception as error:
        log.warning("webhooks wait for the next sweep", error=str(error))


@shared_task(name="forget_old_webhooks")
def forget_old_webhooks() -> int:
    """Delete messages that were settled more than 90 days ago."""
    old = WebhookMessage.objects.filter(created_at__lt=timezone.now() - MESSAGES_KEPT)
    return old.exclude(state=WebhookMessage.State.WAITING).delete()[0]


@shared_task(name="send_daily_digest")
def send_daily_digest() -> bool:
    """Tell people what went out, what did not, what needs them, and what is next."""
    return digest.send()


@shared_task(name="remove_posts")
def remove_posts() -> None:
    """Take off their networks what is to be removed, and send what waited for that."""
    states = removing.remove_due()
    gone = [pk for pk, state in states.items() if state == Delivery.State.REMOVED]
    if gone:
        corrections = Delivery.objects.filter(replaces__in=gone, state=Delivery.State.SCHEDULED)
        wake(list(corrections.values_list("pk", flat=True)))


def wake_removals() -> None:
    """Hint that there are posts to remove; a dead broker is only logged."""
    try:
        remove_posts.apply_async(retry=False)
    except Exception as error:
        log.warning("removals wait for the next sweep", error=str(error))


@shared_task(name="check_accounts")
def check_accounts() -> int:
    """Ask networks whether our accounts still work; tell people before their access ends."""
    return health.check_accounts()


@shared_task(name="follow_up_posts")
def follow_up_posts() -> int:
    """Fetch likes, shares and replies of what went out."""
    return following.follow_due()


@shared_task(name="fetch_competitors")
def fetch_competitors() -> int:
    """Fetch what tracked competitors publish, and the comments under it."""
    return rivals.fetch_due()


@shared_task(name="write_drafts")
def write_drafts(run_id: str) -> None:
    """Have a persona write what one request asks for."""
    writing.write(UUID(run_id))


@shared_task(name="write_waiting_drafts")
def write_waiting_drafts() -> int:
    """The sweep: have written what a lost wake-up or a dead worker left."""
    left = writing.abandoned()
    for run_id in left:
        wake_writing(run_id)
    return len(left)


@shared_task(name="forget_old_drafts")
def forget_old_drafts() -> int:
    """Delete what personas wrote more than 90 days ago; the posts that were made of it stay."""
    return writing.forget_old()


def wake_writing(run_id: UUID) -> None:
    """Hint that a persona is to write; a dead broker is only logged."""
    try:
        write_drafts.apply_async(args=(str(run_id),), retry=False)
    except Exception as error:
        log.warning("drafts wait for the next sweep", run=str(run_id), error=str(error))
