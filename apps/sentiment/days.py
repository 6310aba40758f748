"""Sums readings by day, so that a trend over a million of them reads a few hundred rows."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Sum

from apps.sentiment.figures import Sample
from apps.sentiment.models import Day, Reading
from apps.sentiment.recording import Subject
from apps.sentiment.trends import DayFigures

# A day's rarer topics are not worth their place.
MOST_TOPICS = 60


def sum_up(subject: Subject, dates: Iterable[date]) -> None:
    """Count these days anew from their readings; a day without any loses its row."""
    for day in sorted(set(dates)):
        with transaction.atomic():
            owner = subject.columns
            # Locked first, so that of two who sum one day the second sees all readings.
            Day.objects.select_for_update().filter(date=day, **owner).first()
            sums = _summed(subject, day)
            if sums is None:
                Day.objects.filter(date=day, **owner).delete()
            else:
                Day.objects.update_or_create(date=day, **owner, defaults=sums)


def _summed(subject: Subject, day: date) -> dict[str, Any] | None:
    start = datetime.combine(day, time(), UTC)
    rows = (
        Reading.objects.filter(
            **subject.columns,
            source=Reading.Source.COMMENT,
        )
        .between(start, start + timedelta(days=1))
        .values_list("score", "weight", "label", "intent", "emotions", "topics", "abstained")
    )
    count = unsure = 0
    sums = [0.0, 0.0, 0.0, 0.0]
    labels: defaultdict[str, float] = defaultdict(float)
    emotions: defaultdict[str, float] = defaultdict(float)
    intents: defaultdict[str, float] = defaultdict(float)
    topics: defaultdict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for score, w, label, intent, felt, about, abstained in rows.order_by().iterator(5_000):
        count += 1
        if abstained:
            # Kept in the count, but what cannot be told moves no mean.
            unsure += 1
            continue
        sums[0] += w
        sums[1] += w * w
        sums[2] += w * score
        sums[3] += w * score * score
        labels[label] += w
        intents[intent] += w
        for name, strength in felt.items():
            emotions[name] += w * strength
        for topic in about:
            entry = topics[topic["name"]]
            entry[0] += 1
            entry[1] += topic["mood"]
    if not count:
        return None
    most = sorted(topics.items(), key=lambda item: -item[1][0])[:MOST_TOPICS]
    return {
        "count": count,
        "weight": sums[0],
        "weight_squared": sums[1],
        "score": sums[2],
        "score_squared": sums[3],
        "labels": labels,
        "intents": intents,
        "emotions": emotions,
        "topics": dict(most),
        "abstained": unsure,
    }


def of(subject: Subject, start: date, end: date) -> list[DayFigures]:
    """The days from `start` up to and with `end`, in order."""
    rows = Day.objects.filter(
        **subject.columns,
        date__gte=start,
        date__lte=end,
    ).order_by("date")
    return [
        DayFigures(
            date=row.date,
            count=row.count - row.abstained,
            sample=Sample(row.weight, row.weight_squared, row.score, row.score_squared),
            labels=row.labels,
            emotions=row.emotions,
            topics=row.topics,
        )
        for row in rows
    ]


def moods_since(start: date, most: int) -> list[dict[str, Any]]:
    """Personas people wrote to since then, the most talked about first: `persona`, its `name`, the
    mean `score` of what could be read, and how many `comments` that were."""
    rows = (
        Day.objects.filter(date__gte=start, weight__gt=0)
        .exclude(persona=None)
        .values("persona", name=F("persona__name"))
        .annotate(
            comments=Sum(F("count") - F("abstained")), sum=Sum("score"), weighed=Sum("weight")
        )
        .order_by("-comments", "name")[:most]
    )
    return [
        {
            "persona": row["persona"],
            "name": row["name"],
            "score": row["sum"] / row["weighed"],
            "comments": row["comments"],
        }
        for row in rows
    ]
