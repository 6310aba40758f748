"""The same said twice: a post's content by account, compared with what is out or on its way."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from apps.scheduling.models import Delivery, Media, Post

# Further apart than this, a repetition is a habit and no mistake.
APART = timedelta(days=30)
State = Delivery.State
# What did not go out and will not, or is no longer there.
GONE = (State.CANCELLED, State.FAILED, State.MISSED, State.REMOVING, State.REMOVED)
COUNTS = [each for each in State.values if each not in GONE]


class Said(Protocol):
    """A post, or the draft of one."""

    @property
    def text(self) -> Any: ...
    @property
    def link(self) -> Any: ...


def fingerprint(said: Said, override: Mapping[str, Any], media: Sequence[Media]) -> str:
    """SHA-256 of what readers see: text, link and pictures; not of case, spaces or hashtags."""
    text = " ".join(str(override.get("text", said.text)).casefold().split())
    link = str(override.get("link", said.link))
    pictures = [each.sha256 for each in media]
    return hashlib.sha256("\0".join([text, link, *pictures]).encode()).hexdigest()


Wanted = tuple[UUID, str, datetime]


def known(wanted: Iterable[Wanted], *, but: Post | None = None) -> dict[tuple[UUID, str], datetime]:
    """Which of these (account, fingerprint, time) are there already within 30 days, and when."""
    given = list(wanted)
    if not given:
        return {}
    times = [at for _, _, at in given]
    rows = Delivery.objects.filter(
        fingerprint__in={mark for _, mark, _ in given},
        account__in={account for account, _, _ in given},
        state__in=COUNTS,
        post__scheduled_at__range=(min(times) - APART, max(times) + APART),
    )
    if but is not None:
        rows = rows.exclude(post=but)
    there: dict[tuple[UUID, str], list[datetime]] = {}
    found = rows.order_by().values_list("account", "fingerprint", "post__scheduled_at")
    for account, mark, at in found:
        there.setdefault((account, mark), []).append(at)
    return {
        (account, mark): near
        for account, mark, at in given
        if (near := _nearest(there.get((account, mark), []), at)) is not None
    }


def _nearest(times: Sequence[datetime], at: datetime) -> datetime | None:
    near = min(times, key=lambda each: abs(each - at), default=None)
    return near if near is not None and abs(near - at) <= APART else None


def words(account: object, at: datetime) -> str:
    """What to say of a duplicate."""
    return (
        f"{account} has the same text, link and pictures at {at:%Y-%m-%d %H:%M %Z}. "
        "Say that you mean to repeat it, or change it."
    )
