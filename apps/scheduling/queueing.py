"""The queue of an account: weekly slots by its persona's clock, and the next that is free."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from apps.core import alerts
from apps.scheduling import drafting, recurrence
from apps.scheduling.models import Delivery, Evergreen, QueueSlot, SocialAccount
from apps.scheduling.recurrence import Moment

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


def waiting() -> list[UUID]:
    """The evergreens that may be due."""
    return list(Evergreen.objects.filter(is_active=True).values_list("pk", flat=True))


def requeue(evergreen_id: UUID) -> bool:
    """Give an evergreen its next slot, if it is time for one; True if it got it."""
    now = timezone.now()
    with transaction.atomic():
        rows = Evergreen.objects.select_related("post__persona", "latest", "account")
        row = rows.select_for_update(of=("self",)).get(pk=evergreen_id)
        last = row.latest or row.post
        under_way = Delivery.objects.unfinished().filter(post=last, account=row.account)
        if not row.is_active or under_way.exists():
            return False
        account = lock(row.account)
        moment = next_free(account, since=last.scheduled_at + row.distance)
        if moment is None or moment.at > now + EVERGREEN_AHEAD:
            return False
        draft = drafting.like(row.post, accounts=[account], at=moment.at)
        row.problem = " ".join(words for _, _, words in drafting.problems_of(draft))
        if not row.problem:
            row.latest, _ = drafting.store(draft, by=row.created_by, in_slot=True)
        row.save(update_fields=["latest", "problem"])
    if row.problem:
        alerts.alert(
            key=f"evergreen:{row.pk}",
            title=f"Not queued again: {row}",
            body=row.problem,
            path=f"/admin/scheduling/evergreen/{row.pk}/change/",
        )
    return not row.problem
