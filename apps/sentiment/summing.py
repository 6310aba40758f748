"""Sums up a list of analyses: what `analyze-comments` answers."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.sentiment.engines.base import EMOTIONS, LABELS, Analysis, label_for

MOST_TOPICS = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """How a set of comments feels. Shares are of those that could be told."""

    total: int
    told: int
    average: float
    overall: str
    labels: dict[str, int]
    emotions: dict[str, int]
    intents: dict[str, int]
    topics: list[dict[str, Any]]
    positive_ratio: float
    negative_ratio: float


def summarise(analyses: Sequence[Analysis], weights: Sequence[float] | None = None) -> Summary:
    """Sum up; copies may weigh less."""
    weights = weights if weights is not None else [1.0] * len(analyses)
    told = [
        (each, weight) for each, weight in zip(analyses, weights, strict=True) if not each.abstained
    ]
    total = sum(weight for _, weight in told)
    average = sum(each.score * weight for each, weight in told) / total if total else 0.0
    emotions = Counter(name for each, _ in told for name in each.emotions)
    mentions: Counter[str] = Counter()
    moods: defaultdict[str, float] = defaultdict(float)
    for each, _ in told:
        for topic in each.topics:
            mentions[topic.name] += 1
            moods[topic.name] += topic.mood
    labels = Counter(each.label for each in analyses)

    def share(side: str) -> float:
        found = sum(weight for each, weight in told if each.label.endswith(side))
        return round(found / total, 4) if total else 0.0

    return Summary(
        total=len(analyses),
        told=len(told),
        average=round(average, 4),
        overall=label_for(average),
        labels={name: labels.get(name, 0) for name in LABELS},
        emotions={name: emotions[name] for name in EMOTIONS if emotions[name]},
        intents=dict(Counter(each.intent for each, _ in told).most_common()),
        topics=[
            {"name": name, "mood": round(moods[name] / count, 3), "mentions": count}
            for name, count in mentions.most_common(MOST_TOPICS)
        ],
        positive_ratio=share("positive"),
        negative_ratio=share("negative"),
    )
