"""Compares a persona with its rivals, and says which differences are more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.sentiment import days, engaging, trends
from apps.sentiment.figures import Difference, Sample, holm, welch, wilson
from apps.sentiment.recording import Subject

SIGNIFICANT = 0.05
# Means of fewer readings say little whatever their p.
LEAST_READINGS = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """How comments on one account felt in a span of time."""

    sample: Sample
    readings: int
    average: float
    positive_ratio: float
    positive_interval: tuple[float, float]
    negative_ratio: float
    engagement_rate: float | None
    posts: int


@dataclass(frozen=True, slots=True)
class Against:
    """One rival: its standing, the difference to ours, and whether that is more than chance."""

    standing: Standing
    difference: Difference | None
    p_adjusted: float | None
    verdict: str


def standing(subject: Subject, start: datetime, end: datetime) -> Standing:
    """The figures of one account."""
    found = days.of(subject, start.date(), end.date())
    whole = trends.total(found)
    labels: dict[str, float] = {}
    for each in found:
        for name, weight in each.labels.items():
            labels[name] = labels.get(name, 0.0) + weight
    good = labels.get("positive", 0.0) + labels.get("very_positive", 0.0)
    bad = labels.get("negative", 0.0) + labels.get("very_negative", 0.0)
    total = sum(labels.values())
    rate, posts = engaging.rate(engaging.posts(subject, start, end))
    share = good / total if total else 0.0
    return Standing(
        sample=whole,
        readings=sum(each.count for each in found),
        average=whole.mean,
        positive_ratio=share,
        positive_interval=wilson(share * whole.size, whole.size),
        negative_ratio=bad / total if total else 0.0,
        engagement_rate=rate,
        posts=posts,
    )


def compare(ours: Standing, theirs: Sequence[Standing]) -> list[Against]:
    """Each rival against us, with p adjusted for how many there are."""
    differences = [welch(ours.sample, each.sample) for each in theirs]
    tested = [
        index
        for index, (each, difference) in enumerate(zip(theirs, differences, strict=True))
        if difference is not None and min(ours.readings, each.readings) >= LEAST_READINGS
    ]
    adjusted: dict[int, float] = dict(
        zip(tested, holm([differences[index].p for index in tested]), strict=True)  # type: ignore[union-attr]
    )
    return [
        Against(each, difference, adjusted.get(index), _verdict(difference, adjusted.get(index)))
        for index, (each, difference) in enumerate(zip(theirs, differences, strict=True))
    ]


def _verdict(difference: Difference | None, p: float | None) -> str:
    if difference is None or p is None:
        return "insufficient_data"
    if p > SIGNIFICANT:
        return "no_clear_difference"
    return "better" if difference.difference > 0 else "worse"
