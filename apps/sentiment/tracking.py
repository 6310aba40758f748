"""Whose turn it is among competitors that are fetched, and when a failing one is tried again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from apps.core import alerts
from apps.sentiment.models import Competitor

# The networks whose public accounts can be read without signing in; others are imported.
FETCHED = frozenset({"bluesky", "mastodon"})
EVERY = timedelta(hours=3)
# What a turn could not hold comes in the next one.
SOON = timedelta(minutes=5)
# A worker that dies during a turn leaves it for so long.
TURN = timedelta(minutes=15)
# How far back the first look goes, and how far back counts and comments are looked at again.
FIRST, AGAIN = timedelta(days=30), timedelta(days=7)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=15), timedelta(days=1)
# A network that has trouble for an hour is no news.
TELL_AFTER = 4


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A competitor to fetch: where it is, and how far to go."""

    id: UUID
    network: str
    handle: str
    server: str
    cursor: str
    since: datetime


def take(networks: Collection[str], most: int) -> list[Tracked]:
    """Those whose turn it is, taken so that no other worker asks for them meanwhile."""
    now = timezone.now()
    taken = []
    for row in Competitor.objects.due(now).filter(network__in=networks)[:most]:
        # Taken by saying so first: of two workers one finds the row as it was.
        same = Competitor.objects.filter(pk=row.pk, fetch_at=row.fetch_at)
        if same.update(fetch_at=now + TURN):
            taken.append(
                Tracked(
                    id=row.pk,
                    network=row.network,
                    handle=row.handle,
                    server=row.server,
                    cursor=row.cursor,
                    since=_since(row.fetched_at, now),
                )
            )
    return taken


def _since(fetched: datetime | None, now: datetime) -> datetime:
    return now - FIRST if fetched is None else max(now - FIRST, fetched - AGAIN)


def go_on(competitor_id: UUID, cursor: str) -> None:
    """Keep where the listing goes on: a turn that is cut short loses nothing."""
    Competitor.objects.filter(pk=competitor_id).update(cursor=cursor)


def fetched(competitor_id: UUID, followers: int | None, *, complete: bool) -> None:
    """A turn went well; one that was not complete goes on soon."""
    now = timezone.now()
    rows = Competitor.objects.filter(pk=competitor_id)
    rows.update(fetch_at=now + (EVERY if complete else SOON), failures=0, fault="")
    if complete:
        rows.update(fetched_at=now, cursor="")
    if followers is not None:
        rows.update(followers=followers)


def failed(
    competitor_id: UUID, words: str, *, lasting: bool, wait: float | None, whole_server: bool
) -> None:
    """A turn failed. `lasting`: trying the same again cannot help; `wait`: seconds, as told.

    `whole_server`: the server asked us to slow down, so its other accounts wait as well.
    """
    row = Competitor.objects.filter(pk=competitor_id).first()
    if row is None:
        return
    failures = min(row.failures + 1, 1_000)
    until = timezone.now() + pause(failures, lasting=lasting, wait=wait)
    rows = Competitor.objects.filter(pk=row.pk)
    rows.update(fetch_at=until, failures=failures, fault=words[:500])
    if lasting or failures >= TELL_AFTER:
        # After so long the listing begins anew: newer posts came, or its place is what is wrong.
        rows.update(cursor="")
    if whole_server:
        there = Competitor.objects.filter(network=row.network, server=row.server)
        there.filter(Q(fetch_at=None) | Q(fetch_at__lt=until)).update(fetch_at=until)
    if failures == (1 if lasting else TELL_AFTER):
        alerts.alert(
            key=f"competitor:{row.pk}",
            title=f"{row.name} cannot be fetched from {row.network}",
            body=words,
            path=f"/admin/sentiment/competitor/{row.pk}/change/",
        )


def pause(failures: int, *, lasting: bool, wait: float | None) -> timedelta:
    """How long a competitor rests after so many failures in a row."""
    if lasting:
        return LONGEST_WAIT
    grown = min(FIRST_WAIT * (1 << min(failures - 1, 10)), LONGEST_WAIT)
    return max(grown, min(timedelta(seconds=wait or 0), LONGEST_WAIT))


def start_over(competitor_id: UUID) -> None:
    """Forget what was learned of an account: it may be another one, or be back."""
    Competitor.objects.filter(pk=competitor_id).update(
        fetch_at=None, fetched_at=None, cursor="", failures=0, fault=""
    )
