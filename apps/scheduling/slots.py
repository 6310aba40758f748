"""What may be asked of queues: set an account's slots, queue a post, let a post come back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta

from django.db import transaction
from django.utils import timezone

from apps.core import audit
from apps.core.errors import Refused
from apps.core.models import User
from apps.scheduling import drafting, queueing, recurrence
from apps.scheduling.drafting import Draft
from apps.scheduling.models import Evergreen, Post, QueueSlot, SocialAccount
from apps.scheduling.recurrence import Moment

MOST_SLOTS = 200
SHORTEST_DISTANCE = timedelta(days=1)
LONGEST_DISTANCE = timedelta(days=3_650)


def next_free(account: SocialAccount) -> Moment | None:
    """The account's next free slot as it looks now; None where it has no slots."""
    return queueing.next_free(account)


def set_slots(
    account: SocialAccount, slots: Sequence[tuple[str, time]], *, by: User | None
) -> None:
    """Give the account exactly these weekly slots; posts that fill others keep their times."""
    wanted = set(slots)
    if len(wanted) > MOST_SLOTS:
        raise Refused(("slots", "too_many", f"At most {MOST_SLOTS} slots a week."))
    if {weekday for weekday, _ in wanted} - set(recurrence.WEEKDAYS):
        words = f"Weekdays are {', '.join(recurrence.WEEKDAYS)}."
        raise Refused(("slots", "unknown", words))
    with transaction.atomic():
        account = queueing.lock(account)
        known = {(row.weekday, row.at): row.pk for row in account.slots.all()}
        gone = [pk for slot, pk in known.items() if slot not in wanted]
        QueueSlot.objects.filter(pk__in=gone).delete()
        QueueSlot.objects.bulk_create(
            QueueSlot(account=account, weekday=weekday, at=at)
            for weekday, at in wanted - set(known)
        )
        audit.record(actor=by, action="set slots", about=account, slots=len(wanted))


def queue_post(draft: Draft, *, by: User | None) -> list[Post]:
    """Put a post into the next free slot of each of its accounts; the draft's time means nothing.

    Every account has a queue of its own, so each gets a post of its own. Raises Refused, and then
    queues nothing.
    """
    now = timezone.now()
    if problems := drafting.problems_of(replace(draft, scheduled_at=now)):
        raise Refused(*problems)
    posts = []
    with transaction.atomic():
        # In one order, so that two requests with the same accounts never wait for each other.
        for account in sorted(draft.accounts, key=lambda each: each.pk):
            locked = queueing.lock(account)
            moment = queueing.next_free(locked)
            if moment is None:
                words = f"{account} has no free slot; give it slots first."
                raise Refused(("accounts", "no_slot", words))
            own = {str(account.pk): draft.overrides.get(str(account.pk), {})}
            part = replace(draft, accounts=[locked], scheduled_at=moment.at, overrides=own)
            post, _ = drafting.store(part, by=by, in_slot=True)
            posts.append(post)
    return posts


def problems_of_evergreen(
    post: Post, account: SocialAccount, distance: timedelta
) -> list[tuple[str, str, str]]:
    """Everything that keeps this post from coming back on this account."""
    problems = _distance_problems(distance)
    if not post.deliveries.filter(account=account).exists():
        problems.append(("account", "unknown", f"This post is not on {account}."))
    if not account.slots.exists():
        problems.append(("account", "no_slot", f"{account} has no slots yet."))
    return problems


def make_evergreen(
    post: Post,
    account: SocialAccount,
    *,
    distance: timedelta,
    is_active: bool = True,
    by: User | None,
) -> Evergreen:
    """Let a post come back to an account's queue, at least `distance` after its last time."""
    if problems := problems_of_evergreen(post, account, distance):
        raise Refused(*problems)
    with transaction.atomic():
        row, made = Evergreen.objects.get_or_create(
            post=post,
            account=account,
            defaults={"distance": distance, "is_active": is_active, "created_by": by},
        )
        if not made:
            raise Refused(("post", "taken", "This post comes back on this account already."))
        audit.record(actor=by, action="let come back", about=post, account=str(account))
    return row


def change_evergreen(
    row: Evergreen, *, distance: timedelta, is_active: bool, by: User | None
) -> None:
    """Change how far apart its times are, or rest it; what is queued stays queued."""
    if problems := _distance_problems(distance):
        raise Refused(*problems)
    with transaction.atomic():
        Evergreen.objects.filter(pk=row.pk).update(distance=distance, is_active=is_active)
        audit.record(actor=by, action="change evergreen", about=row, is_active=is_active)


def remove_evergreen(row: Evergreen, *, by: User | None) -> None:
    """Let a post come back no more; what is queued stays queued."""
    with transaction.atomic():
        audit.record(actor=by, action="delete evergreen", about=row)
        row.delete()


def _distance_problems(distance: timedelta) -> list[tuple[str, str, str]]:
    if SHORTEST_DISTANCE <= distance <= LONGEST_DISTANCE:
        return []
    return [("distance", "out_of_range", "From one day to ten years.")]
