"""What the calendar shows: the posts of a span of time, with where each stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Left

from apps.scheduling.models import Delivery, Post, SocialAccount

State = Delivery.State
# More than anybody can look at; what asks is told how many are left out.
MOST = 2_000
SAID = 90

# Of several deliveries the post shows the state that most needs somebody's eye.
BY_NEED = (
    State.NEEDS_REVIEW,
    State.FAILED,
    State.MISSED,
    State.UNCONFIRMED,
    State.HELD,
    State.AWAITING,
    State.REMOVING,
    State.SENDING,
    State.CLAIMED,
    State.SCHEDULED,
    State.PUBLISHED,
    State.REMOVED,
    State.CANCELLED,
)
_NEED = {str(state): number for number, state in enumerate(BY_NEED)}


def need(state: str) -> int:
    """How little a state needs somebody's eye: 0 is the one that needs it most."""
    return _NEED[state]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One post in the calendar."""

    post_id: UUID
    at: datetime
    text: str
    persona: str
    state: str
    networks: tuple[str, ...]
    # The number of parts on the account that has most.
    parts: int
    in_series: bool
    # Whether its time can still be changed.
    can_move: bool


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """The posts of a span in their order, and how many more there are than are listed."""

    entries: list[Entry]
    left_out: int


def between(
    since: datetime, until: datetime, *, persona: UUID | None = None, most: int = MOST
) -> Agenda:
    """The posts due from `since` to `until` (not included), in three queries however many."""
    span = Q(scheduled_at__gte=since, scheduled_at__lt=until)
    if persona is not None:
        span &= Q(persona=persona)
    found = list(
        Post.objects.filter(span)
        .order_by("scheduled_at", "id")
        .values_list(
            "pk", "scheduled_at", Left("text", SAID), "link", "persona__name", "occurrence"
        )[: most + 1]
    )
    left_out = 0
    if len(found) > most:
        left_out = Post.objects.filter(span).count() - most
        del found[most:]
    rows = _deliveries(found[0][1], found[-1][1], persona) if found else {}
    return Agenda(
        entries=[
            _entry(pk, at, text or link or "(media only)", name, occurrence, rows.get(pk, []))
            for pk, at, text, link, name, occurrence in found
        ],
        left_out=left_out,
    )


Row = tuple[str, str, int, bool]


def _deliveries(since: datetime, until: datetime, persona: UUID | None) -> Mapping[UUID, list[Row]]:
    span = Q(post__scheduled_at__gte=since, post__scheduled_at__lte=until)
    if persona is not None:
        span &= Q(post__persona=persona)
    # No join: a planner without statistics (SQLite's, in its first days) begins with the accounts
    # then, and reads every delivery there is.
    account = SocialAccount.objects.filter(pk=OuterRef("account")).order_by()
    rows: dict[UUID, list[Row]] = {}
    # Their order means nothing here, and sorting thousands costs.
    found = (
        Delivery.objects.filter(span)
        .order_by()
        .values_list("post", Subquery(account.values("network")), "state", "part", "maybe_sent")
    )
    for pk, network, state, part, maybe_sent in found:
        rows.setdefault(pk, []).append((network, state, part, maybe_sent))
    return rows


def _entry(
    pk: UUID, at: datetime, text: str, persona: str, occurrence: Any, rows: list[Row]
) -> Entry:
    states = [state for _, state, _, _ in rows]
    return Entry(
        post_id=pk,
        at=at,
        text=text,
        persona=persona,
        state=min(states, key=need, default=str(State.CANCELLED)),
        networks=tuple(sorted({network for network, _, _, _ in rows})),
        parts=1 + max((part for _, _, part, _ in rows), default=0),
        in_series=occurrence is not None,
        can_move=bool(rows)
        and all(state in Delivery.CHANGEABLE and not maybe for _, state, _, maybe in rows),
    )
