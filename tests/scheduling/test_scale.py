"""What is done every few seconds costs the same however much is scheduled or was published."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.tasks import cleanup_old_tasks
from apps.personas.models import Persona
from apps.scheduling import (
    agenda,
    duplicates,
    following,
    publishing,
    queueing,
    recovery,
    removing,
    tasks,
)
from apps.scheduling.models import Delivery, Post, QueueSlot, SocialAccount

# PostgreSQL keeps statistics and takes another way through small tables: benchmarks/plans.py looks
# at it with large ones.
pytestmark = [pytest.mark.django_db, pytest.mark.once]

State = Delivery.State
DAY = timedelta(days=1)
MANY = 1_500


def store(account: SocialAccount, count: int, *, begin: datetime, state: str) -> list[Delivery]:
    """So many posts, one an hour from `begin` on."""
    posts = [
        Post(
            persona=account.persona,
            text=f"Post {number}",
            scheduled_at=begin + number * timedelta(hours=1),
        )
        for number in range(count)
    ]
    Post.objects.bulk_create(posts)
    return Delivery.objects.bulk_create(
        Delivery(
            post=post,
            account=account,
            state=state,
            due_at=post.scheduled_at,
            too_late_at=post.too_late_at,
            published_at=post.scheduled_at if state == State.PUBLISHED else None,
            remote_id="there",
            key=str(post.pk),
            fingerprint=post.pk.hex * 2,
        )
        for post in posts
    )


def steps(work: Callable[[], Any]) -> int:
    """How many hundred steps SQLite's machine takes for it: a measure without a clock."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection.connection.set_progress_handler(count, 100)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 100)
    return taken


def sweep(account: SocialAccount) -> Any:
    return list(tasks._upcoming(timezone.now()))


def look_whether_some_are_due(account: SocialAccount) -> Any:
    ids = Delivery.objects.order_by("-id").values_list("pk", flat=True)[:50]
    return publishing.publish(list(ids))


def reap(account: SocialAccount) -> Any:
    return recovery.reap(), recovery.reconcile(), removing.remove_due()


def follow_up(account: SocialAccount) -> Any:
    return following.follow_due()


def look_for_a_repetition(account: SocialAccount) -> Any:
    return duplicates.known([(account.pk, "a" * 64, timezone.now() + 700 * DAY)])


def next_free_slot(account: SocialAccount) -> Any:
    return queueing.next_free(account, since=timezone.now() + 800 * DAY)


def a_week_of_everybody(account: SocialAccount) -> Any:
    since = timezone.now() + 800 * DAY
    return agenda.between(since, since + 7 * DAY)


def a_week_of_one_persona(account: SocialAccount) -> Any:
    since = timezone.now() + 800 * DAY
    return agenda.between(since, since + 7 * DAY, persona=account.persona_id)


@pytest.fixture
def bluesky(luna: Persona) -> SocialAccount:
    """Luna's account on a network that tells how posts did."""
    return SocialAccount.objects.create(
        persona=luna, network="bluesky", handle="luna", status=SocialAccount.Status.WORKING
    )


@pytest.mark.parametrize(
    "work",
    [
        sweep,
        look_whether_some_are_due,
        reap,
        follow_up,
        look_for_a_repetition,
        next_free_slot,
        a_week_of_everybody,
        a_week_of_one_persona,
    ],
)
def test_it_reads_no_more_where_much_is_scheduled_and_much_was_published(
    bluesky: SocialAccount, work: Callable[[SocialAccount], Any]
) -> None:
    QueueSlot.objects.create(account=bluesky, weekday="mon", at="09:00")
    now = timezone.now()
    work(bluesky)
    store(bluesky, 20, begin=now + 60 * DAY, state=State.SCHEDULED)
    store(bluesky, 20, begin=now - 300 * DAY, state=State.PUBLISHED)
    few = steps(lambda: work(bluesky))
    store(bluesky, MANY, begin=now + 100 * DAY, state=State.SCHEDULED)
    store(bluesky, MANY, begin=now - 200 * DAY, state=State.PUBLISHED)
    assert steps(lambda: work(bluesky)) <= few + 5


def test_the_nightly_cleanup_tells_the_planner_how_the_tables_have_grown(
    bluesky: SocialAccount,
) -> None:
    store(bluesky, 20, begin=timezone.now() + DAY, state=State.SCHEDULED)
    cleanup_old_tasks()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stat FROM sqlite_stat1 WHERE tbl = 'scheduling_post' AND idx = %s",
            ["posts_of_a_persona"],
        )
        assert cursor.fetchone() == ("20 20 1",)
