"""What looking ahead costs: the calendar over 100,000 posts, and the sweep as scheduled rows grow.

Run as the `--plans` part of benchmarks.scheduling, inside its installation.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from benchmarks.scheduling import Figures, percentiles, persona_and_account_cached

CHUNK = 5_000
CALENDAR_POSTS = 100_000
SPAN = timedelta(days=3 * 365)


def fill(count: int, *, first: datetime, span: timedelta) -> None:
    """Store this many scheduled posts, evenly over `span` from `first` on."""
    from apps.scheduling.models import Delivery, Post
    from apps.scheduling.networks import publishers

    persona, account = persona_and_account_cached()
    publisher = publishers[account.network]
    for start in range(0, count, CHUNK):
        posts = [
            Post(
                persona=persona,
                text=f"Post {number}, with about as many words as people write on a morning.",
                scheduled_at=first + span * (number / count),
            )
            for number in range(start, min(start + CHUNK, count))
        ]
        Post.objects.bulk_create(posts)
        Delivery.objects.bulk_create(
            Delivery(
                post=post,
                account=account,
                due_at=post.scheduled_at,
                too_late_at=post.too_late_at,
                key=publisher.new_key(),
            )
            for post in posts
        )


def analyse() -> None:
    """Let the planner know the tables, as its housekeeping would have by then."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def timed(work: Callable[[], Any], times: int) -> dict[str, float]:
    """How long `work` takes, once it has run a first time."""
    work()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return percentiles(seconds)


def measure(quick: bool) -> dict[str, Figures]:
    """Grow one database step by step, and ask the same of it at each."""
    from django.utils import timezone

    from apps.scheduling import agenda, tasks
    from apps.scheduling.models import Post

    results: dict[str, Figures] = {}
    now = timezone.now()
    far = now + timedelta(days=30)
    steps = [1_000, 20_000, 100_000] if quick else [1_000, 100_000, 1_000_000]
    stored = 0
    for step in steps:
        # After the calendar's span, so that its month stays the same.
        first = far if stored < CALENDAR_POSTS else far + SPAN
        fill(step - stored, first=first, span=SPAN)
        stored = step
        analyse()

        def sweep() -> int:
            return sum(len(ids) for _, ids in tasks._upcoming(timezone.now()))

        results[f"sweep, {step:,} scheduled"] = {"rows": step, **timed(sweep, 50)}
        if step == CALENDAR_POSTS:
            middle = far + SPAN / 2
            for name, days in (("week", 7), ("month", 35)):
                since, until = middle, middle + timedelta(days=days)
                found = agenda.between(since, until)
                results[f"calendar, a {name} of {step:,} posts"] = {
                    "shown": len(found.entries),
                    "left_out": found.left_out,
                    **timed(partial(agenda.between, since, until), 30),
                }
    assert Post.objects.count() == stored
    return results
