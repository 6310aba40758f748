"""Where mood is going: pure statistics over days, which say so when they cannot tell."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from apps.sentiment.engines.base import EMOTIONS
from apps.sentiment.figures import Sample, Slope, t_two_sided, weighted_slope

# Fewer days or readings than this show no direction, whatever line can be drawn through them.
LEAST_DAYS, LEAST_READINGS = 5, 20
# A change over the whole period below this matters to nobody.
SMALLEST_CHANGE = 0.05
# "Stable" is a finding too: no change larger than this may remain plausible.
STABLE_WITHIN = 0.25
SEGMENT_DAYS = 5
MOST_CHANGE_POINTS = 3
CHANGE_POINT_P = 0.01

IMPROVING, DECLINING, STABLE, INSUFFICIENT = (
    "improving",
    "declining",
    "stable",
    "insufficient_data",
)


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One day's sums."""

    date: date
    count: int
    sample: Sample
    labels: Mapping[str, float] = field(default_factory=dict)
    emotions: Mapping[str, float] = field(default_factory=dict)
    topics: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A day from which the mood was another: the means before and after, and p."""

    date: date
    before: float
    after: float
    p: float


@dataclass(frozen=True, slots=True)
class Trend:
    """A direction with what it rests on."""

    direction: str
    average: float
    volatility: float
    # The volatility that chance alone would show with so few readings a day.
    chance_volatility: float
    days: int
    readings: int
    slope: Slope | None
    change_points: tuple[ChangePoint, ...] = ()


def _offsets(days: Sequence[DayFigures]) -> list[float]:
    return [float((each.date - days[0].date).days) for each in days]


def direction_of(slope: Slope | None, span: float, days: int, readings: int) -> str:
    """The direction that a slope with its interval allows to be claimed."""
    if slope is None or days < LEAST_DAYS or readings < LEAST_READINGS:
        return INSUFFICIENT
    change = slope.slope * span
    if slope.low > 0 and change >= SMALLEST_CHANGE:
        return IMPROVING
    if slope.high < 0 and change <= -SMALLEST_CHANGE:
        return DECLINING
    if max(abs(slope.low), abs(slope.high)) * span <= STABLE_WITHIN:
        return STABLE
    return INSUFFICIENT


def trend(days: Sequence[DayFigures], *, segmented: bool = True) -> Trend:
    """The trend over these days, which come in order; days without readings are absent."""
    days = [each for each in days if each.sample.weight > 0]
    readings = sum(each.count for each in days)
    if not days:
        return Trend(INSUFFICIENT, 0.0, 0.0, 0.0, 0, 0, None)
    whole = total(days)
    weights = [each.sample.size for each in days]
    means = [each.sample.mean for each in days]
    slope = weighted_slope(_offsets(days), means, weights)
    span = float((days[-1].date - days[0].date).days)
    centre = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
    variance = sum(w * (m - centre) ** 2 for w, m in zip(weights, means, strict=True)) / sum(
        weights
    )
    # With n readings a day, chance scatters daily means by s / sqrt(n).
    inside = sum(
        max(0.0, each.sample.score_squared - each.sample.score * each.sample.mean) for each in days
    ) / max(1.0, sum(each.sample.weight for each in days) - len(days))
    chance = inside * len(days) / sum(weights)
    return Trend(
        direction=direction_of(slope, span, len(days), readings),
        average=whole.mean,
        volatility=math.sqrt(variance),
        chance_volatility=math.sqrt(chance),
        days=len(days),
        readings=readings,
        slope=slope,
        change_points=change_points(days) if segmented else (),
    )


def total(days: Sequence[DayFigures]) -> Sample:
    """All days' sums in one."""
    return Sample(
        sum(each.sample.weight for each in days),
        sum(each.sample.weight_squared for each in days),
        sum(each.sample.score for each in days),
        sum(each.sample.score_squared for each in days),
    )


def emotion_trends(days: Sequence[DayFigures]) -> dict[str, Trend]:
    """Each emotion's mean strength and direction; those that never showed are left out."""
    found = {}
    for emotion in EMOTIONS:
        if not any(each.emotions.get(emotion) for each in days):
            continue
        rows = []
        for each in days:
            value = each.emotions.get(emotion, 0.0)
            # A strength lies in [0, 1], so its square is at most itself.
            sample = Sample(each.sample.weight, each.sample.weight_squared, value, value)
            rows.append(DayFigures(each.date, each.count, sample))
        found[emotion] = trend(rows, segmented=False)
    return found


def topics(days: Sequence[DayFigures]) -> list[tuple[str, int, float]]:
    """Every topic with its mentions and mean mood, the most mentioned first."""
    mentions: Counter[str] = Counter()
    moods: Counter[str] = Counter()
    for each in days:
        for name, (count, mood) in each.topics.items():
            mentions[name] += count  # type: ignore[assignment]
            moods[name] += mood  # type: ignore[assignment]
    return [(name, int(count), moods[name] / count) for name, count in mentions.most_common()]


def change_points(days: Sequence[DayFigures]) -> tuple[ChangePoint, ...]:
    """Days on which the level changed, by binary segmentation of daily means.

    Each candidate is a two-sample t-test at the best split, its p multiplied by the number of
    splits tried (Bonferroni); Scott and Knott 1974.
    """
    found: list[ChangePoint] = []
    segments = [(0, len(days))]
    while segments and len(found) < MOST_CHANGE_POINTS:
        start, end = segments.pop(0)
        best = _best_split(days, start, end)
        if best is not None:
            split, point = best
            found.append(point)
            segments += [(start, split), (split, end)]
    return tuple(sorted(found, key=lambda point: point.date))


def _best_split(days: Sequence[DayFigures], start: int, end: int) -> tuple[int, ChangePoint] | None:
    n = end - start
    if n < 2 * SEGMENT_DAYS:
        return None
    weight = [each.sample.size for each in days[start:end]]
    mean = [each.sample.mean for each in days[start:end]]
    w = sum(weight)
    wy = sum(a * b for a, b in zip(weight, mean, strict=True))
    wyy = sum(a * b * b for a, b in zip(weight, mean, strict=True))
    best: tuple[float, int, float, float] | None = None
    left_w = left_wy = left_wyy = 0.0
    for split in range(1, n):
        left_w += weight[split - 1]
        left_wy += weight[split - 1] * mean[split - 1]
        left_wyy += weight[split - 1] * mean[split - 1] ** 2
        if split < SEGMENT_DAYS or n - split < SEGMENT_DAYS:
            continue
        right_w, right_wy = w - left_w, wy - left_wy
        before, after = left_wy / left_w, right_wy / right_w
        inside = (left_wyy - left_w * before**2) + (wyy - left_wyy - right_w * after**2)
        error = math.sqrt(max(inside, 1e-12) / (n - 2) * (1 / left_w + 1 / right_w))
        t = abs(after - before) / error
        if best is None or t > best[0]:
            best = (t, split, before, after)
    if best is None:
        return None
    t, split, before, after = best
    p = min(1.0, t_two_sided(t, n - 2) * (n - 2 * SEGMENT_DAYS + 1))
    if p > CHANGE_POINT_P or abs(after - before) < SMALLEST_CHANGE:
        return None
    return start + split, ChangePoint(days[start + split].date, before, after, p)
