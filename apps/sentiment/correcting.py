"""Keeps what people say a text really is, and lets it count where that text was read."""

from collections import Counter
from dataclasses import dataclass

from django.utils import timezone

from apps.core.models import User
from apps.sentiment import judging, reading
from apps.sentiment.engines.base import INTENTS, LABELS
from apps.sentiment.likeness import digest
from apps.sentiment.models import LONGEST_TEXT, Comment, Correction
from apps.sentiment.recording import storable


def correct(
    *,
    label: str,
    by: User | None,
    comment: Comment | None,
    text: str,
    intent: str,
    note: str,
) -> Correction:
    """Store one correction, replacing an earlier one of the same words."""
    words = comment.text if comment is not None else storable(text)[:LONGEST_TEXT]
    if label not in LABELS or (intent and intent not in INTENTS) or not words.strip():
        raise ValueError("A correction has a text, one of five labels, and a known intent.")
    said = judging.engine().analyze(words)
    if comment is not None:
        # Its text changed since the last correction: that one stays, as a correction of old words.
        other = Correction.objects.filter(comment=comment).exclude(digest=digest(words))
        other.update(comment=None)
    row, _ = Correction.objects.update_or_create(
        digest=digest(words),
        defaults={
            "comment": comment,
            "text": words,
            "label": label,
            "score": judging.SCORES[label],
            "intent": intent,
            "note": note[:300],
            "engine": said.engine,
            "version": said.version,
            "engine_label": said.label,
            "engine_score": said.score,
            "made_by": by,
            "made_at": timezone.now(),
        },
    )
    _read_again(words)
    return row


def withdraw(correction: Correction) -> None:
    """Delete a correction and read its texts again."""
    words = correction.text
    correction.delete()
    _read_again(words)


def _read_again(words: str) -> None:
    # The very comment and its exact copies at once; likes of it as they come in.
    rows = list(Comment.objects.filter(text=words).exclude(read_at=None)[:500])
    Comment.objects.filter(pk__in=[row.pk for row in rows]).update(read_at=None)
    reading.read_rows(rows)


@dataclass(frozen=True, slots=True)
class Drift:
    """How often people disagreed with one engine's version: counts by what each of them said."""

    engine: str
    version: str
    corrections: int
    agreed: int
    mean_error: float
    confusion: dict[str, dict[str, int]]


def drift() -> list[Drift]:
    """The report on every version that was ever corrected."""
    rows = Correction.objects.values_list(
        "engine", "version", "engine_label", "label", "engine_score", "score"
    )
    found: dict[tuple[str, str], list[tuple[str, str, float]]] = {}
    for engine, version, engine_label, label, engine_score, score in rows:
        found.setdefault((engine, version), []).append(
            (engine_label, label, abs(score - engine_score))
        )
    report = []
    for (engine, version), each in sorted(found.items()):
        confusion: dict[str, Counter[str]] = {}
        for engine_label, label, _ in each:
            confusion.setdefault(engine_label, Counter())[label] += 1
        report.append(
            Drift(
                engine=engine,
                version=version,
                corrections=len(each),
                agreed=sum(a == b for a, b, _ in each),
                mean_error=sum(error for *_, error in each) / len(each),
                confusion={name: dict(counts) for name, counts in confusion.items()},
            )
        )
    return report
