"""What to do next, each piece with the comments it rests on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.sentiment.engines.base import EMOTIONS
from apps.sentiment.models import Reading
from apps.sentiment.recording import Subject
from apps.sentiment.trends import DECLINING, Trend

# Advice looks at the newest readings; older ones are the trend's business.
READ = 3_000
LEAST_COMMENTS = 3
CITED = 5
BAD, GOOD = -0.2, 0.2


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation, how many comments speak for it, and the clearest of them."""

    kind: str
    text: str
    count: int
    comments: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    comment: UUID | None
    score: float
    intent: str
    topics: frozenset[str]
    emotions: Any
    weight: float


def _rows(subject: Subject, start: datetime, end: datetime) -> list[_Row]:
    found = (
        Reading.objects.filter(source=Reading.Source.COMMENT, abstained=False, **subject.columns)
        .between(start, end)
        .order_by("-at")
        .values_list("comment_id", "score", "intent", "topics", "emotions", "weight")[:READ]
    )
    return [
        _Row(comment, score, intent, frozenset(each["name"] for each in topics), felt, weight)
        for comment, score, intent, topics, felt, weight in found
    ]


def _cite(rows: list[_Row]) -> tuple[UUID, ...]:
    return tuple([row.comment for row in rows if row.comment is not None][:CITED])


def advise(subject: Subject, start: datetime, end: datetime, trend: Trend) -> list[Advice]:
    """Up to six pieces of advice, what is most urgent first."""
    # A copy counts once: what a flood repeats is one voice.
    rows = [row for row in _rows(subject, start, end) if row.weight >= 0.5]
    found: list[Advice] = []
    bad = sorted((row for row in rows if row.score <= BAD), key=lambda row: row.score)
    good = sorted((row for row in rows if row.score >= GOOD), key=lambda row: -row.score)
    if trend.direction == DECLINING and trend.slope is not None:
        since = f" since {trend.change_points[-1].date}" if trend.change_points else ""
        text = f"The mood is declining{since}. Read the worst comments before you post again."
        found.append(Advice("declining", text, len(bad), _cite(bad)))
    complaints = [row for row in bad if row.intent == "complaint"]
    found += _by_topic(
        "complaints", complaints, "{count} comments complain about {topic}: answer or fix it.", 2
    )
    asking = [row for row in rows if row.intent == "question"]
    found += _by_topic(
        "questions", asking, "{count} people ask about {topic}: make a post that answers.", 1
    )
    wishes = [row for row in rows if row.intent == "recommendation"]
    if len(wishes) >= LEAST_COMMENTS:
        text = f"{len(wishes)} comments suggest something: read them for ideas."
        found.append(Advice("suggestions", text, len(wishes), _cite(wishes)))
    found += _by_topic(
        "more_of", good, "{count} comments are happy about {topic}: do more of it.", 2
    )
    for emotion in EMOTIONS:
        if emotion not in ("anger", "fear", "disgust", "sadness"):
            continue
        felt = [row for row in bad if row.emotions.get(emotion, 0) >= 0.5]
        if len(felt) >= max(LEAST_COMMENTS, 0.2 * len(rows)):
            text = f"{len(felt)} of {len(rows)} comments show {emotion}: answer them in person."
            found.append(Advice(emotion, text, len(felt), _cite(felt)))
    return found[:6]


def _by_topic(kind: str, rows: list[_Row], words: str, most: int) -> list[Advice]:
    about: dict[str, list[_Row]] = {}
    for row in rows:
        for topic in row.topics:
            about.setdefault(topic, []).append(row)
    ranked = sorted(about.items(), key=lambda item: -len(item[1]))[:most]
    return [
        Advice(kind, words.format(count=len(behind), topic=topic), len(behind), _cite(behind))
        for topic, behind in ranked
        if len(behind) >= LEAST_COMMENTS
    ]
