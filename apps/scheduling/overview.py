"""What the studio needs of its people today, asked of the rows: the dashboard's questions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Case, Count, Prefetch, Q, QuerySet, Value, When
from django.utils import timezone

from apps.personas.models import Hold
from apps.scheduling.models import Delivery, Post, SocialAccount

State = Delivery.State

# What a person has to look at, the most urgent first.
TO_DECIDE: tuple[str, ...] = (
    State.NEEDS_REVIEW,
    State.FAILED,
    State.MISSED,
    State.UNCONFIRMED,
    State.HELD,
    State.AWAITING,
)


@dataclass(frozen=True, kw_only=True)
class Troubled:
    """An account that cannot publish now, and how many deliveries wait for it."""

    account: SocialAccount
    waiting: int


def counts_to_decide() -> dict[str, int]:
    """How many deliveries there are in each state that asks for a person; zeros included."""
    rows = (
        Delivery.objects.filter(state__in=TO_DECIDE)
        .order_by()
        .values_list("state")
        .annotate(number=Count("pk"))
    )
    found = dict(rows)
    return {state: found.get(state, 0) for state in TO_DECIDE}


def undecided() -> int:
    """How many deliveries only a person can settle."""
    return Delivery.objects.filter(state=State.NEEDS_REVIEW).count()


def latest_to_decide(most: int) -> QuerySet[Delivery]:
    """Those that need a decision, then those that failed or were missed, the latest first."""
    return (
        Delivery.objects.filter(state__in=[State.NEEDS_REVIEW, State.FAILED, State.MISSED])
        .prefetch_related("post__persona", "account")
        .alias(decided=Case(When(state=State.NEEDS_REVIEW, then=Value(0)), default=Value(1)))
        .order_by("decided", "-changed_at")[:most]
    )


def next_posts(most: int) -> list[Post]:
    """The posts that go out next, each with the deliveries that wait."""
    waiting = Delivery.objects.filter(state=State.SCHEDULED)
    # By their deliveries: these are in order already, and reading goes on no further than needed.
    first: dict[UUID, None] = {}
    in_order = waiting.order_by("due_at").values_list("post", flat=True)
    for post in in_order.iterator(chunk_size=100):
        first[post] = None
        if len(first) == most:
            break
    return list(
        Post.objects.filter(pk__in=first)
        .select_related("persona")
        .prefetch_related(
            Prefetch("deliveries", waiting.select_related("account"), to_attr="waiting")
        )
        .order_by("scheduled_at")
    )


def published_since(moment: datetime) -> int:
    """How many deliveries went out since then."""
    return Delivery.objects.filter(state=State.PUBLISHED, published_at__gte=moment).count()


def accounts_in_trouble() -> list[Troubled]:
    """Accounts that cannot publish now, those with the most waiting posts first."""
    now = timezone.now()
    rows = (
        SocialAccount.objects.filter(
            Q(status=SocialAccount.Status.RECONNECT) | Q(wait_until__gt=now)
        )
        .select_related("persona")
        .annotate(waiting=Count("deliveries", filter=Q(deliveries__state=State.SCHEDULED)))
        .order_by("-waiting")
    )
    return [Troubled(account=row, waiting=row.waiting) for row in rows]


def waiting_on(account: SocialAccount) -> int:
    """How many deliveries wait for this account."""
    return Delivery.objects.filter(account=account, state=State.SCHEDULED).count()


def global_stop() -> Hold | None:
    """The hold that keeps the whole studio silent."""
    return Hold.objects.everything().select_related("placed_by").first()


def holds() -> QuerySet[Hold]:
    """The personas that are kept silent, the latest first."""
    return Hold.objects.exclude(persona=None).select_related("persona", "placed_by")
