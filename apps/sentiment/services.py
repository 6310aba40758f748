"""What the outside may ask of sentiment: read texts, record comments, correct, report."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core import audit
from apps.core.models import User
from apps.personas.models import Persona
from apps.sentiment import correcting, engaging, judging, reading, recording, tasks, tracking
from apps.sentiment.engines.base import Analysis
from apps.sentiment.judging import Judgement
from apps.sentiment.models import Batch, Comment, Competitor, Correction, Spike
from apps.sentiment.recording import Measured, Subject, Written
from apps.sentiment.tracking import Tracked

__all__ = ["Measured", "Tracked", "Written"]

# So many comments are read while the caller waits; more become a batch.
READ_AT_ONCE = 1_000
YEAR = timedelta(days=365)


def analyze(text: str) -> Analysis:
    """Read one text by the engine alone; any string will do, and no database is asked."""
    return judging.engine().analyze(text)


def analyze_many(texts: Iterable[str]) -> list[Analysis]:
    """Read several texts by the engine alone, answers in the order of the questions."""
    return judging.engine().analyze_many(texts)


def judge(texts: Sequence[str]) -> list[Judgement]:
    """Read texts and let people's corrections have their say."""
    return judging.judge_many(texts)


def _subject(persona_id: UUID | None, competitor_id: UUID | None) -> Subject:
    if (persona_id is None) == (competitor_id is None):
        raise ValueError("Name a persona or a competitor.")
    return Subject(persona_id, competitor_id)


def record_comments(
    *,
    comments: Iterable[Written],
    persona_id: UUID | None = None,
    competitor_id: UUID | None = None,
) -> int:
    """Store comments that are new or changed and have them read; returns how many wait."""
    count = recording.record_comments(_subject(persona_id, competitor_id), comments)
    if count:
        transaction.on_commit(tasks.wake, robust=True)
    return count


def record_engagement(
    *,
    posts: Iterable[Measured],
    persona_id: UUID | None = None,
    competitor_id: UUID | None = None,
) -> int:
    """Store or update how posts did."""
    return recording.record_engagement(_subject(persona_id, competitor_id), posts)


def best_posts(*, persona_id: UUID, most: int) -> list[UUID]:
    """The posts of a persona that people liked most in the last year, the best first."""
    return engaging.best(Subject(persona_id), since=timezone.now() - YEAR, most=most)


def start_batch(
    *,
    comments: Iterable[Written],
    name: str,
    by: User | None,
    persona_id: UUID | None = None,
    competitor_id: UUID | None = None,
) -> Batch:
    """Store comments as one batch that is read in the background."""
    subject = _subject(persona_id, competitor_id)
    with transaction.atomic():
        batch = Batch.objects.create(name=name[:200], created_by=by, **subject.columns)
        if not recording.record_comments(subject, comments, batch=batch):
            # All of them were known: there is nothing to wait for.
            Batch.objects.filter(pk=batch.pk).update(finished_at=timezone.now())
        transaction.on_commit(partial(tasks.wake, str(batch.pk)), robust=True)
    batch.refresh_from_db()
    return batch


def read_now(*, persona: Persona, comments: Sequence[Written]) -> None:
    """Store comments of a persona and read them before returning."""
    subject = Subject(persona.pk)
    recording.record_comments(subject, comments)
    keys = [each.remote_id for each in comments]
    rows = Comment.objects.unread().filter(remote_id__in=keys, **subject.columns)
    reading.read_rows(list(rows))


def correct(
    *,
    label: str,
    by: User | None,
    comment: Comment | None = None,
    text: str = "",
    intent: str = "",
    note: str = "",
) -> Correction:
    """Say what a comment or a text really is; it counts at once, and teaches about its like."""
    with transaction.atomic():
        row = correcting.correct(
            label=label, by=by, comment=comment, text=text, intent=intent, note=note
        )
        audit.record(actor=by, action="correct_sentiment", about=row, label=label)
    return row


def withdraw(correction: Correction, *, by: User | None) -> None:
    """Take a correction back; the engine's word counts again."""
    with transaction.atomic():
        audit.record(actor=by, action="withdraw_correction", about=correction)
        correcting.withdraw(correction)


def mark_seen(spike: Spike, *, by: User) -> None:
    """Note that somebody has looked at a spike; who looked first stays."""
    Spike.objects.filter(pk=spike.pk, seen_at=None).update(seen_by=by, seen_at=timezone.now())


def track_competitor(
    *, name: str, network: str, handle: str, server: str = "", followers: int | None = None
) -> Competitor:
    """Track a public account."""
    row = Competitor(name=name, network=network, handle=handle, server=server, followers=followers)
    row.full_clean()
    row.save()
    return row


def fetch_soon(competitor: Competitor) -> None:
    """Have a competitor fetched at the next tick, from its newest post, whatever failed before."""
    tracking.start_over(competitor.pk)


def take_competitors(*, networks: Collection[str], most: int) -> list[Tracked]:
    """Competitors on these networks whose turn it is; nobody else gets them meanwhile."""
    return tracking.take(networks, most)


def known_comments(*, network: str, posts: Collection[str]) -> dict[str, int]:
    """How many comments each of these posts had when its comments were last fetched."""
    return recording.known_comments(network, posts)


def competitor_goes_on(*, competitor_id: UUID, cursor: str) -> None:
    """Keep where the listing goes on."""
    tracking.go_on(competitor_id, cursor)


def competitor_fetched(*, competitor_id: UUID, followers: int | None, complete: bool) -> None:
    """Note that a competitor's turn went well."""
    tracking.fetched(competitor_id, followers, complete=complete)


def competitor_failed(
    *, competitor_id: UUID, words: str, lasting: bool, wait: float | None, whole_server: bool
) -> None:
    """Note that a competitor's turn failed: when it is tried again depends on why."""
    tracking.failed(competitor_id, words, lasting=lasting, wait=wait, whole_server=whole_server)


def forget_before(moment: datetime) -> int:
    """Delete comments written before `moment` with what was read in them; days keep their sums."""
    return Comment.objects.filter(written_at__lt=moment).delete()[0]
