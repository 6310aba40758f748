"""The reports that pages and the API show: trend and comparison, with what they rest on."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.sentiment import advice, comparing, days, engaging, trends
from apps.sentiment.models import Competitor
from apps.sentiment.recording import Subject
from apps.sentiment.trends import Trend

TOPICS = 5
# A topic said once shows nothing.
LEAST_MENTIONS = 2


def span(number: int) -> tuple[datetime, datetime]:
    """The last so many days up to now."""
    now = timezone.now()
    return now - timedelta(days=number), now


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def _shown(trend: Trend) -> dict[str, Any]:
    line = trend.slope
    return {
        "direction": trend.direction,
        "average_sentiment": _rounded(trend.average),
        "sentiment_volatility": _rounded(trend.volatility),
        "volatility_by_chance": _rounded(trend.chance_volatility),
        "days": trend.days,
        "readings": trend.readings,
        "slope_per_day": None
        if line is None
        else {
            "value": _rounded(line.slope, 6),
            "low": _rounded(line.low, 6),
            "high": _rounded(line.high, 6),
            "p": _rounded(line.p),
        },
        "change_points": [
            {
                "date": point.date.isoformat(),
                "before": _rounded(point.before),
                "after": _rounded(point.after),
                "p": _rounded(point.p, 6),
            }
            for point in trend.change_points
        ],
    }


def trend_report(subject: Subject, start: datetime, end: datetime) -> dict[str, Any]:
    """Everything about one account's mood in a span of time."""
    found = days.of(subject, start.date(), end.date())
    trend = trends.trend(found)
    about = [each for each in trends.topics(found) if each[1] >= LEAST_MENTIONS]
    posts = engaging.posts(subject, start, end)
    together = engaging.correlation(posts)
    return {
        "time_range": {"start": start.isoformat(), "end": end.isoformat()},
        "sentiment_trend": _shown(trend),
        "emotion_trends": {
            name: {
                "direction": each.direction,
                "average": _rounded(each.average),
                "slope_per_day": _rounded(each.slope.slope, 6) if each.slope else None,
            }
            for name, each in trends.emotion_trends(found).items()
        },
        "engagement_correlation": {
            "coefficient": _rounded(together.coefficient) if together else None,
            "p": _rounded(together.p) if together else None,
            "n": together.n if together else sum(each.mood is not None for each in posts),
            "verdict": "insufficient_data"
            if together is None
            else "related"
            if together.p <= comparing.SIGNIFICANT
            else "no_clear_relation",
        },
        "top_positive_topics": _topics(about, 1),
        "top_negative_topics": _topics(about, -1),
        "recommendations": [
            {
                "kind": each.kind,
                "text": each.text,
                "count": each.count,
                "comments": [str(pk) for pk in each.comments],
            }
            for each in advice.advise(subject, start, end, trend)
        ],
        "daily": [
            {
                "date": each.date.isoformat(),
                "average": _rounded(each.sample.mean),
                "readings": each.count,
                "labels": {name: _rounded(value, 2) for name, value in each.labels.items()},
                "emotions": {
                    name: _rounded(value / each.sample.weight)
                    for name, value in each.emotions.items()
                    if each.sample.weight
                },
            }
            for each in found
        ],
    }


def _topics(about: list[tuple[str, int, float]], side: int) -> list[dict[str, Any]]:
    # Both how often and how strongly: ten mild mentions outweigh one furious one.
    ranked = sorted(about, key=lambda each: -side * each[1] * each[2])
    return [
        {"name": name, "mood": round(mood, 3), "mentions": count}
        for name, count, mood in ranked[:TOPICS]
        if side * mood > 0.1
    ]


def comparison_report(
    persona_id: UUID, competitors: list[Competitor], start: datetime, end: datetime
) -> dict[str, Any]:
    """A persona beside its rivals."""
    ours = comparing.standing(Subject(persona_id), start, end)
    theirs = [
        comparing.standing(Subject(competitor_id=each.pk), start, end) for each in competitors
    ]
    against = comparing.compare(ours, theirs)
    shown = []
    insights = []
    for competitor, each in zip(competitors, against, strict=True):
        gap = each.difference
        shown.append(
            {
                **_standing(each.standing, competitor.pk),
                "name": competitor.name,
                "difference": None
                if gap is None
                else {
                    "value": _rounded(gap.difference),
                    "low": _rounded(gap.low),
                    "high": _rounded(gap.high),
                    "p": _rounded(gap.p, 6),
                    "p_adjusted": _rounded(each.p_adjusted, 6),
                },
                "verdict": each.verdict,
            }
        )
        insights.append(_insight(competitor.name, each))
    return {
        "your_persona": _standing(ours, persona_id),
        "competitors": shown,
        "comparative_insights": insights,
        "time_range": {"start": start.isoformat(), "end": end.isoformat()},
        "analyzed_at": timezone.now().isoformat(),
    }


def _standing(each: comparing.Standing, pk: UUID) -> dict[str, Any]:
    return {
        "id": str(pk),
        "average_sentiment": _rounded(each.average),
        "engagement_rate": _rounded(each.engagement_rate, 6),
        "positive_ratio": _rounded(each.positive_ratio),
        "positive_interval": [_rounded(value) for value in each.positive_interval],
        "negative_ratio": _rounded(each.negative_ratio),
        "readings": each.readings,
        "posts": each.posts,
    }


def _insight(name: str, each: comparing.Against) -> str:
    n = each.standing.readings
    if each.difference is None or each.verdict == "insufficient_data":
        return f"{name}: too few comments to compare ({n} of theirs)."
    gap = each.difference
    figures = f"{gap.difference:+.2f}, 95 % interval {gap.low:+.2f} to {gap.high:+.2f}, n = {n}"
    if each.verdict == "no_clear_difference":
        return f"{name}: no difference that chance would not explain ({figures})."
    side = "happier" if each.verdict == "better" else "less happy"
    return f"Comments on you are {side} than those on {name} ({figures})."
