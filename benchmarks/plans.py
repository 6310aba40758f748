"""What looking ahead costs: the calendar over 100,000 posts, and each tick as scheduled rows grow
from 1,000 to 1,000,000.

Run as the `--plans` part of benchmarks.scheduling, inside its installation. SQLite's planner has no
statistics, as in an installation; PostgreSQL's are gathered, as its autovacuum does.
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
DAY = timedelta(days=1)
TOGETHER = 50
ACCOUNTS = 30
SERIES = 200


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


def repeat(times: int) -> None:
    """Store every post with its delivery so many times more, in SQL: objects would take an hour."""
    from django.db import connection

    from apps.scheduling.models import Delivery, Post

    on_sqlite = connection.vendor == "sqlite"
    new_id = "lower(hex(randomblob(16)))" if on_sqlite else "gen_random_uuid()"
    new_key = new_id if on_sqlite else "gen_random_uuid()::text"
    with connection.cursor() as cursor:

        def copy(model: Any, source: str, new: dict[str, str]) -> None:
            columns = [field.column for field in model._meta.concrete_fields]
            values = [new.get(column, f"known.{column}") for column in columns]
            table = model._meta.db_table
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {', '.join(values)} FROM {table} known {source}"
            )

        table = Post._meta.db_table
        cursor.execute(f"CREATE TEMP TABLE first_ones AS SELECT id FROM {table}")
        for _ in range(times):
            cursor.execute(
                f"CREATE TEMP TABLE pairs AS SELECT id AS old, {new_id} AS new FROM first_ones"
            )
            copy(Post, "JOIN pairs ON pairs.old = known.id", {"id": "pairs.new"})
            copy(
                Delivery,
                "JOIN pairs ON pairs.old = known.post_id",
                {"id": new_id, "post_id": "pairs.new", "key": new_key},
            )
            cursor.execute("DROP TABLE pairs")
        cursor.execute("DROP TABLE first_ones")


def add_others() -> None:
    """More personas, accounts and series, so that no table has a single row."""
    from django.utils import timezone

    from apps.personas.models import Persona
    from apps.scheduling.models import Series, SocialAccount

    personas = [Persona(name=f"P{number}", handle=f"p{number}") for number in range(ACCOUNTS)]
    Persona.objects.bulk_create(personas)
    SocialAccount.objects.bulk_create(
        SocialAccount(persona=persona, network="keyed", handle=persona.handle, status="working")
        for persona in personas
    )
    now = timezone.now()
    Series.objects.bulk_create(
        Series(
            name=f"S{number}",
            persona=personas[number % ACCOUNTS],
            text="Good morning",
            kind="daily",
            zone="UTC",
            starts_on=now.date(),
            at=now.time(),
            prepared_until=now + 400 * DAY,
        )
        for number in range(SERIES)
    )


def gather_statistics() -> None:
    """Let PostgreSQL's planner know the tables, as its autovacuum would have by then."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def timed(work: Callable[[], Any], times: int, before: Callable[[], Any] = lambda: None) -> Figures:
    """How long `work` takes, once it has run a first time; `before` each is not counted."""
    before()
    work()
    seconds = []
    for _ in range(times):
        before()
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return {**percentiles(seconds)}


def ticks() -> dict[str, Figures]:
    """What is done every few seconds, each with nothing to do, and fifty due posts sent."""
    from django.utils import timezone

    from apps.scheduling import publishing, recovery, tasks
    from apps.scheduling.models import Delivery
    from apps.scheduling.networks import publishers
    from apps.scheduling.publishers.base import Receipt

    scheduled = Delivery.objects.filter(state=Delivery.State.SCHEDULED)
    waiting = list(scheduled.order_by("-due_at").values_list("pk", flat=True)[:TOGETHER])
    due: list[Any] = []

    def make_due() -> None:
        now = timezone.now()
        fill(TOGETHER, first=now - timedelta(seconds=2), span=timedelta(seconds=1))
        due[:] = scheduled.filter(due_at__lte=now).values_list("pk", flat=True)

    def publish_due() -> None:
        assert len(publishing.publish(due)) == TOGETHER

    publisher = publishers["keyed"]
    publisher.publish = lambda account, outgoing: Receipt(remote_id=outgoing.key)  # type: ignore[method-assign]
    try:
        return {
            "sweep": timed(lambda: list(tasks._upcoming(timezone.now())), 50),
            "a wake-up that comes too early": timed(lambda: publishing.publish(waiting), 50),
            "reaper": timed(recovery.reap, 50),
            "tick of the series": timed(tasks.prepare_series, 50),
            f"{TOGETHER} due posts, claim to record": timed(publish_due, 10, make_due),
        }
    finally:
        del publisher.publish


def calendar(middle: datetime) -> dict[str, Figures]:
    """A week and a month, of everybody and of one persona, in a process such as the web's."""
    import gator.asgi  # noqa: F401  it keeps what is loaded out of the garbage collector's way
    from apps.scheduling import agenda

    persona, _ = persona_and_account_cached()
    results: dict[str, Figures] = {}
    for name, days in (("week", 7), ("month", 35)):
        for whose, pk in (("", None), (" of one persona", persona.pk)):
            look = partial(agenda.between, middle, middle + days * DAY, persona=pk)
            results[f"a {name}{whose}"] = {"shown": len(look().entries), **timed(look, 100)}
    return results


def measure(quick: bool) -> dict[str, Figures]:
    """Grow one database step by step, and ask the same of it at each."""
    from django.utils import timezone

    from apps.scheduling.models import Delivery

    results: dict[str, Figures] = {}
    add_others()
    far = timezone.now() + 30 * DAY
    steps = (1_000, 10_000, CALENDAR_POSTS, 1_000_000)
    for step in steps[:3] if quick else steps:
        waiting = Delivery.objects.filter(state=Delivery.State.SCHEDULED)
        stored = waiting.count()
        if step <= CALENDAR_POSTS:
            fill(step - stored, first=far, span=SPAN)
        else:
            repeat(step // stored - 1)
        gather_statistics()
        assert waiting.count() == step, waiting.count()
        results |= {f"{name}, {step:,} scheduled": figures for name, figures in ticks().items()}
        if step == CALENDAR_POSTS:
            found = calendar(far + SPAN / 2)
            results |= {f"calendar, {name} of {step:,}": each for name, each in found.items()}
    return results
