"""Turns unread comments into readings, many at a time."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from apps.sentiment import days, judging
from apps.sentiment.engines.base import Analysis
from apps.sentiment.likeness import fingerprint
from apps.sentiment.models import Batch, Comment, Reading
from apps.sentiment.recording import CHUNK, Subject, subject_of, utc_date

# "Love it!" from fifty people is fifty opinions; a long text from fifty accounts is one campaign.
SHORT_WORDS = 4
COPIES_WITHIN = timedelta(days=7)

Touched = dict[Subject, set[date]]


def read_unread(*, batch_id: UUID | None = None, most: int | None = None) -> int:
    """Read what waits (of one batch, or all), sum the days it touched; returns how many."""
    touched: Touched = {}
    count = 0
    waiting = Comment.objects.unread()
    if batch_id is not None:
        waiting = waiting.filter(batch_id=batch_id)
    while most is None or count < most:
        rows = list(waiting.order_by("id")[:CHUNK])
        if not rows:
            break
        for subject, dates in read(rows).items():
            touched.setdefault(subject, set()).update(dates)
        count += len(rows)
        _progress({row.batch_id for row in rows if row.batch_id})
    for subject, dates in touched.items():
        days.sum_up(subject, dates)
    _finish()
    return count


def read_rows(comments: Sequence[Comment]) -> None:
    """Read these comments and sum the days they touch."""
    for start in range(0, len(comments), CHUNK):
        for subject, dates in read(comments[start : start + CHUNK]).items():
            days.sum_up(subject, dates)


def read(comments: Sequence[Comment]) -> Touched:
    """Read these comments, replacing what was read in them before; returns the days touched."""
    # The oldest of several copies is the one that counts in full.
    comments = sorted(comments, key=lambda row: (row.written_at, row.pk))
    judged = judging.judge_many([row.text for row in comments])
    prints = [fingerprint(row.text) for row in comments]
    now = timezone.now()
    touched: Touched = {}
    with transaction.atomic():
        # Another process may have read some meanwhile, or a text may have changed: those wait.
        waiting = dict(
            Comment.objects.select_for_update()
            .unread()
            .filter(pk__in=[row.pk for row in comments])
            .values_list("pk", "text")
        )
        before = Reading.objects.filter(comment__in=waiting)
        for persona, competitor, at in before.values_list("persona_id", "competitor_id", "at"):
            touched.setdefault(Subject(persona, competitor), set()).add(utc_date(at))
        before.delete()
        readings = []
        earlier = _earlier(comments, [mark for mark, _ in prints])
        for row, said, (mark, words) in zip(comments, judged, prints, strict=True):
            if waiting.get(row.pk) != row.text:
                continue
            key = mark, row.persona_id, row.competitor_id
            authors = earlier.setdefault(key, [])
            copies = len(authors) if words > SHORT_WORDS else authors.count(row.author or "?")
            authors.append(row.author or f"? {row.pk}")
            subject = subject_of(row)
            touched.setdefault(subject, set()).add(utc_date(row.written_at))
            readings.append(
                Reading(
                    persona_id=row.persona_id,
                    competitor_id=row.competitor_id,
                    comment=row,
                    post=row.post,
                    author=row.author,
                    at=row.written_at,
                    weight=1 / (1 + copies),
                    fingerprint=mark,
                    engine_score=said.engine_score,
                    corrected=said.corrected,
                    read_at=now,
                    **fields(said.analysis),
                )
            )
        Reading.objects.bulk_create(readings, batch_size=CHUNK)
        done = [each.comment_id for each in readings if each.comment_id]
        Comment.objects.filter(pk__in=done).update(read_at=now)
    return touched


def fields(analysis: Analysis) -> dict[str, object]:
    """What a reading keeps of an analysis."""
    return {
        "score": analysis.score,
        "label": analysis.label,
        "confidence": analysis.confidence,
        "abstained": analysis.abstained,
        "intent": analysis.intent,
        "language": analysis.language[:12],
        "emotions": dict(analysis.emotions),
        "topics": [{"name": each.name, "mood": each.mood} for each in analysis.topics],
        "engine": analysis.engine,
        "version": analysis.version,
    }


def _earlier(
    comments: Sequence[Comment], marks: Sequence[int]
) -> dict[tuple[int, UUID | None, UUID | None], list[str]]:
    """Who wrote the same as these within a week before, by fingerprint and subject."""
    since = min(row.written_at for row in comments) - COPIES_WITHIN
    rows = Reading.objects.filter(fingerprint__in=set(marks), at__gte=since)
    found: dict[tuple[int, UUID | None, UUID | None], list[str]] = {}
    for mark, persona, competitor, author in rows.values_list(
        "fingerprint", "persona_id", "competitor_id", "author"
    ):
        found.setdefault((mark, persona, competitor), []).append(author or "? before")
    return found


def _progress(batches: set[UUID]) -> None:
    for pk in batches:
        done = Count("comments", filter=Q(comments__read_at__isnull=False))
        row = Batch.objects.filter(pk=pk).annotate(read=done).values_list("read", flat=True)
        Batch.objects.filter(pk=pk).update(done=row[0])


def _finish() -> None:
    waiting = Comment.objects.unread().exclude(batch=None).values("batch")
    Batch.objects.unfinished().exclude(pk__in=waiting).filter(created_at__lt=timezone.now()).update(
        finished_at=timezone.now()
    )
