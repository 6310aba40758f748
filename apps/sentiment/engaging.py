"""How posts do, and whether mood has to do with it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Avg

from apps.sentiment.figures import Correlation, spearman
from apps.sentiment.models import Engagement, Reading
from apps.sentiment.recording import Subject

# A share spreads a post and a save keeps it: both say more than a like, as does an answer.
WEIGHTS = {"likes": 1.0, "comments": 2.0, "shares": 3.0, "saves": 3.0}
# Where half of the score's range is reached, in weighted interactions.
HALF_WAY = 100.0
MOST_POSTS = 2_000


def score(*, likes: int, comments: int, shares: int, saves: int) -> float:
    """Engagement from 0 to 1: x / (x + 100) of the weighted interactions."""
    given = {"likes": likes, "comments": comments, "shares": shares, "saves": saves}
    x = sum(WEIGHTS[name] * value for name, value in given.items())
    return round(x / (x + HALF_WAY), 4)


@dataclass(frozen=True, slots=True)
class Post:
    """A post's interactions, its audience if known, and the mean mood of its comments if any."""

    interactions: int
    audience: int | None
    mood: float | None


def posts(subject: Subject, start: datetime, end: datetime) -> list[Post]:
    """The newest posts of a span with how their comments felt."""
    rows = list(
        Engagement.objects.filter(
            posted_at__gte=start, posted_at__lt=end, **subject.columns
        ).order_by("-posted_at")[:MOST_POSTS]
    )
    moods = _moods({row.post for row in rows if row.post})
    return [
        Post(row.interactions, row.audience, moods.get(row.post) if row.post else None)
        for row in rows
    ]


def best(subject: Subject, *, since: datetime, most: int) -> list[UUID]:
    """The ids of our posts that were liked most: by interactions, those with unhappy comments out.

    A post on several networks counts as the best of its places.
    """
    rows = Engagement.objects.filter(
        posted_at__gte=since, post__isnull=False, **subject.columns
    ).order_by("-posted_at")[:MOST_POSTS]
    scores: dict[UUID, float] = {}
    for row in rows:
        if row.post is not None and row.interactions:
            found = score(
                likes=row.likes, comments=row.comments, shares=row.shares, saves=row.saves
            )
            scores[row.post] = max(found, scores.get(row.post, 0.0))
    moods = _moods(scores)
    happy = [post for post in scores if moods.get(post, 0.0) >= 0]
    return sorted(happy, key=lambda post: scores[post], reverse=True)[:most]


def _moods(posts: Iterable[UUID]) -> dict[UUID, float]:
    """The mean mood of the comments under each post that has any."""
    rows = (
        Reading.objects.filter(post__in=list(posts), source=Reading.Source.COMMENT, abstained=False)
        .order_by()
        .values("post")
        .annotate(mood=Avg("score"))
        .values_list("post", "mood")
    )
    return {post: mood for post, mood in rows if post is not None}


def correlation(found: Iterable[Post]) -> Correlation | None:
    """Whether posts with happier comments get more interactions, by rank; None below five."""
    pairs = [(each.mood, math.log1p(each.interactions)) for each in found if each.mood is not None]
    return spearman([mood for mood, _ in pairs], [size for _, size in pairs])


def rate(found: Iterable[Post]) -> tuple[float | None, int]:
    """Mean interactions per follower and post, and over how many posts; None when unknown."""
    rates = [each.interactions / each.audience for each in found if each.audience]
    return (sum(rates) / len(rates) if rates else None), len(rates)
