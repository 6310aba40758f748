"""The queue of an account: weekly slots by its persona's clock, and the next that is free."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.db import transaction
from django.utils import timezone

from apps.core import alerts
from apps.scheduling import drafting, recurrence
from apps.scheduling.models import Delivery, Evergreen, Post, QueueSlot, SocialAccount
from apps.scheduling.recurrence import Moment

log = structlog.get_logger(__name__)

# How far ahead a free slot is looked for.
FURTHEST = timedelta(days=366)
# An evergreen takes a slot this far ahead at most: new posts need room too.
EVERGREEN_AHEAD = timedelta(days=7)


def next_free(account: SocialAccount, *, since: datetime | None = None) -> Moment | None:
    """The account's next slot after now, not before `since`, that no post has; None without slots.

    A slot is taken by whatever is to go out at that very time, queued or not. Whoever means to
    fill the slot holds the account's row (`lock`), so that nobody else is told the same one.
    """
    now = timezone.now()
    earliest = max(now, since or now)
    slots = list(account.slots.all())
    if not slots:
        return None
    taken = set(
        # By the persona too: its coming posts are found by an index, its past ones not read.
        Delivery.objects.filter(
            account=account,
            post__persona=account.persona_id,
            post__scheduled_at__gte=earliest,
        )
        .exclude(state=Delivery.State.CANCELLED)
        .order_by()
        .values_list("post__scheduled_at", flat=True)
    )
    for moment in _moments(slots, ZoneInfo(account.persona.time_zone), earliest):
        if moment.at > now and moment.at not in taken:
            return moment
    return None


def lock(account: SocialAccount) -> SocialAccount:
    """Hold this account's queue until the transaction ends."""
    rows = SocialAccount.objects.select_related("persona").select_for_update(of=("self",))
    return rows.get(pk=account.pk)


def _moments(slots: list[QueueSlot], zone: ZoneInfo, since: datetime) -> Iterator[Moment]:
    times: dict[str, list[time]] = {}
    for slot in slots:
        times.setdefault(slot.weekday, []).append(slot.at)
    # From the day before: a slot that the clocks skipped belongs to its own day.
    day = since.astimezone(zone).date() - timedelta(days=1)
    last = (since + FURTHEST).astimezone(UTC).date()
    while day <= last:
        walls = times.get(recurrence.WEEKDAYS[day.weekday()], [])
        moments = [recurrence.moment_of(datetime.combine(day, wall), zone) for wall in walls]
        yield from sorted(moment for moment in moments if moment.at >= since)
        day += timedelta(days=1)


# -- Evergreens ---------------------------------------------------------------------------------


def requeue_due() -> int:
    """Give every evergreen whose time it is its next slot; returns how many got one.

    One that fails does not stop the others, and those that need approval are asked about at once.
    """
    active = Evergreen.objects.filter(is_active=True)
    queued, to_approve = 0, 0
    for evergreen_id in list(active.values_list("pk", flat=True)):
        try:
            post = requeue(evergreen_id)
        except Exception:
            log.exception("an evergreen could not be queued", evergreen=str(evergreen_id))
            continue
        if post is not None:
            queued += 1
            to_approve += post.approval == Post.Approval.IN_REVIEW
    if to_approve:
        alerts.alert(
            key="approval:evergreens",
            title=f"For approval: {to_approve} post{'s' if to_approve > 1 else ''} coming back",
            body="Evergreens took their next slots; each waits until it is approved.",
            path="/admin/scheduling/post/?approval__exact=in_review",
            level="info",
        )
    return queued


def requeue(evergreen_id: UUID) -> Post | None:
    """Give an evergreen its next slot, if it is time for one; the post that got it."""
    now = timezone.now()
    post = None
    with transaction.atomic():
        rows = Evergreen.objects.select_related("post__persona", "latest", "account")
        row = rows.select_for_update(of=("self",)).get(pk=evergreen_id)
        last = row.latest or row.post
        under_way = Delivery.objects.unfinished().filter(post=last, account=row.account)
        if not row.is_active or under_way.exists():
            return None
        account = lock(row.account)
        moment = next_free(account, since=last.scheduled_at + row.distance)
        if moment is None or moment.at > now + EVERGREEN_AHEAD:
            return None
        draft = drafting.like(row.post, accounts=[account], at=moment.at)
        row.problem = " ".join(words for _, _, words in drafting.problems_of(draft))
        if not row.problem:
            post, _ = drafting.store(draft, by=row.created_by, in_slot=True, ask=False)
            row.latest = post
        row.save(update_fields=["latest", "problem"])
    if row.problem:
        alerts.alert(
            key=f"evergreen:{row.pk}",
            title=f"Not queued again: {row}",
            body=row.problem,
            path=f"/admin/scheduling/evergreen/{row.pk}/change/",
        )
    return post
