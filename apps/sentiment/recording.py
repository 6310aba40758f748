"""Puts what people wrote, and how posts did, into rows; telling the same twice changes nothing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.sentiment.models import LONGEST_TEXT, Batch, Comment, Engagement, Reading

CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Written:
    """One comment as a network or a file tells it."""

    network: str
    # Unique within the network; where it has many servers, an address.
    remote_id: str
    text: str
    author: str = ""
    written_at: datetime | None = None
    post: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How a post did, as a network tells it."""

    network: str
    remote_id: str
    likes: int = 0
    comments: int = 0
    shares: int = 0
    saves: int = 0
    audience: int | None = None
    text: str = ""
    posted_at: datetime | None = None
    post: UUID | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom rows speak of: a persona or a competitor, by id."""

    persona_id: UUID | None = None
    competitor_id: UUID | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """Its columns, to filter or fill rows with."""
        return {"persona_id": self.persona_id, "competitor_id": self.competitor_id}


def storable(text: str) -> str:
    """Text that every database can keep: no NUL, no halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def record_comments(
    subject: Subject, comments: Iterable[Written], *, batch: Batch | None = None
) -> int:
    """Store comments that are new and texts that changed; returns how many wait to be read."""
    waiting = 0
    now = timezone.now()
    chunk: list[Written] = []
    for each in comments:
        chunk.append(each)
        if len(chunk) == CHUNK:
            waiting += _record(subject, chunk, batch, now)
            chunk = []
    if chunk:
        waiting += _record(subject, chunk, batch, now)
    if batch is not None:
        Batch.objects.filter(pk=batch.pk).update(total=waiting)
    return waiting


def _record(subject: Subject, chunk: Sequence[Written], batch: Batch | None, now: datetime) -> int:
    # Within one call the last word on a comment counts.
    given = {(each.network, each.remote_id): each for each in chunk}
    with transaction.atomic():
        there = {
            (row.network, row.remote_id): row
            for row in Comment.objects.filter(remote_id__in=[key[1] for key in given])
            if (row.network, row.remote_id) in given
        }
        new, changed = [], []
        for key, each in given.items():
            text = storable(each.text)[:LONGEST_TEXT]
            row = there.get(key)
            if row is None:
                new.append(
                    Comment(
                        **subject.columns,
                        network=each.network,
                        remote_id=each.remote_id,
                        post=each.post,
                        author=storable(each.author)[:200],
                        text=text,
                        written_at=each.written_at or now,
                        batch=batch,
                        recorded_at=now,
                    )
                )
            elif row.text != text:
                row.text, row.read_at, row.batch = text, None, batch or row.batch
                changed.append(row)
        # Two who fetch at once: the constraint lets one of them write.
        Comment.objects.bulk_create(new, ignore_conflicts=True)
        Comment.objects.bulk_update(changed, ["text", "read_at", "batch"])
    return len(new) + len(changed)


def record_engagement(subject: Subject, posts: Iterable[Measured]) -> int:
    """Store or update how posts did; an older measure than the stored one should not be told."""
    now = timezone.now()
    rows = [
        Engagement(
            **subject.columns,
            network=each.network,
            remote_id=each.remote_id,
            post=each.post,
            text=storable(each.text)[:LONGEST_TEXT],
            posted_at=each.posted_at or now,
            likes=each.likes,
            comments=each.comments,
            shares=each.shares,
            saves=each.saves,
            audience=each.audience,
            measured_at=now,
        )
        for each in {(one.network, one.remote_id): one for one in posts}.values()
    ]
    Engagement.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["network", "remote_id"],
        update_fields=["likes", "comments", "shares", "saves", "audience", "measured_at"],
    )
    return len(rows)


def known_comments(network: str, posts: Collection[str]) -> dict[str, int]:
    """How many comments each of these posts had when it was last measured; unknown ones lack."""
    rows = Engagement.objects.filter(network=network, remote_id__in=posts)
    return dict(rows.values_list("remote_id", "comments"))


def utc_date(moment: datetime) -> date:
    """The UTC day of a moment."""
    return moment.astimezone(UTC).date()


def subject_of(row: Comment | Batch | Reading | Engagement) -> Subject:
    """Whom a row speaks of."""
    return Subject(row.persona_id, row.competitor_id)
