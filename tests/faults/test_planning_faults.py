"""Threads, series and queues while everything that carries them is killed: each part, each time and
each slot once, in order, and none left out."""

import threading
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.personas.models import Persona
from apps.scheduling import planning, recurrence, services, slots
from apps.scheduling.drafting import Part
from apps.scheduling.models import Delivery, Occurrence, Post, QueueSlot, Series, SocialAccount
from apps.scheduling.recurrence import Rule
from tests.faults.killing import (
    GROWN,
    Fault,
    accounts,
    comes_to_rest,
    cut_database_connections,
    hurt,
    kill,
    on_postgres,
    publishers_of,
    report,
    stored,
    wipe_valkey,
)
from tests.faults.processes import House

pytestmark = pytest.mark.faults

State = Delivery.State
UTC = ZoneInfo("UTC")
MINUTE = timedelta(minutes=1)
PARTS = 3


def schedule_thread(where: list[SocialAccount], *, number: int, at: datetime) -> None:
    services.schedule_post(
        services.Draft(
            persona=where[0].persona,
            accounts=where,
            text=f"Thread {number} part 1",
            parts=[Part(text=f"Thread {number} part {part}") for part in range(2, PARTS + 1)],
            scheduled_at=at,
        ),
        by=None,
    )


def make_series(account: SocialAccount, *, number: int, at: datetime) -> Series:
    """A daily series whose first time is `at`; its posts are left to the task."""
    series = planning.create_series(
        planning.Plan(
            name=f"Series {number}",
            draft=services.Draft(
                persona=account.persona,
                accounts=[account],
                text=f"Series {number}",
                scheduled_at=at,
            ),
            rule=Rule(kind="daily", zone=UTC, starts_on=at.date(), at=at.time(), count=3),
        ),
        by=None,
    )
    planning.pause(series, by=None)
    Series.objects.filter(pk=series.pk).update(is_paused=False, prepared_until=timezone.now())
    return series


def give_slots(account: SocialAccount, *, begin: datetime, count: int) -> None:
    for number in range(count):
        at = begin + number * MINUTE
        weekday = recurrence.WEEKDAYS[at.weekday()]
        QueueSlot.objects.create(account=account, weekday=weekday, at=at.time())


def queue_at_once(account: SocialAccount, count: int) -> list[BaseException]:
    """Several people queue posts at the same moment."""
    failed: list[BaseException] = []
    start = threading.Barrier(count)

    def work(number: int) -> None:
        draft = services.Draft(
            persona=account.persona,
            accounts=[account],
            text=f"Queued {number}",
            scheduled_at=timezone.now(),
        )
        try:
            start.wait()
            slots.queue_post(draft, by=None)
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return failed


def check_thread(parts: list[Delivery], log: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """What is on the network is the beginning of the thread, in order, each part once."""
    kind = parts[0].account.network
    before: dict[str, Any] | None = None
    ended = False
    for part in parts:
        text = f"{part.post.text.removesuffix('1')}{part.part + 1}"
        there = log.get((kind, text), [])
        assert len(there) <= 1, (kind, text, len(there))
        if kind != "blind":
            assert (part.state, len(there)) == (State.PUBLISHED, 1), (kind, text, part.state)
        elif part.state == State.PUBLISHED:
            assert len(there) == 1, (kind, text)
        else:
            # Somebody is asked about one part; whatever follows waits for the answer.
            expected = State.SCHEDULED if ended else State.NEEDS_REVIEW
            assert part.state == expected, (kind, text, part.state)
            assert not (ended and there), (kind, text)
            ended = True
        if there:
            assert there[0]["reply_to"] == (str(before["id"]) if before else ""), (kind, text)
            assert before is None or before["at"] <= there[0]["at"]
            before = there[0]


def test_threads_series_and_queues_survive_everything_being_killed(
    house: House, luna: Persona, kills: int
) -> None:
    every_second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
    PeriodicTask.objects.filter(task="prepare_series").update(interval=every_second)
    house.network(rudeness=0.03)
    valkey = house.valkey()
    publishers = publishers_of(house)
    beat, worker = house.beat(), house.worker()
    where = accounts(luna)
    keyed, listable = where[0], where[1]

    pace = 2.0
    begin = timezone.now() + timedelta(seconds=5)
    number_of_threads = max(4, kills // 2)
    for number in range(number_of_threads):
        schedule_thread(where, number=number, at=begin + timedelta(seconds=number * pace * 1.8))
    first_minute = timezone.now().replace(second=0, microsecond=0) + 2 * MINUTE
    minutes = max(2, int(kills * pace / 60))
    made = [
        make_series(each, number=number * 2 + side, at=first_minute + number * MINUTE)
        for number in range(minutes)
        for side, each in enumerate((keyed, listable))
    ]
    give_slots(keyed, begin=first_minute, count=minutes + 20)
    assert queue_at_once(keyed, minutes) == []

    def prepare_anew() -> bool:
        # The task is due again, as after a change of the schedule.
        return bool(Series.objects.update(prepared_until=begin - 2 * MINUTE))

    faults = [
        Fault(0.06, "valkey", kill(valkey)),
        Fault(0.04, "valkey wiped", wipe_valkey(house)),
        Fault(0.06, "beat", kill(beat, grown=4)),
        Fault(0.14, "worker", kill(worker, grown=GROWN)),
        Fault(0.1 if on_postgres() else 0, "database connections", cut_database_connections),
        Fault(0.1 if on_postgres() else 0.2, "prepared anew", prepare_anew),
        Fault(0.5, "publisher", kill(*publishers, grown=GROWN)),
    ]
    done = hurt(faults, times=kills, pace=pace)

    until = first_minute + (minutes + 2) * MINUTE
    calm = time.monotonic()
    time.sleep(max(0.0, (until - timezone.now()).total_seconds()))
    # By the post's own time: a retry is due later, and must be waited for all the same.
    due = Delivery.objects.unfinished().filter(post__scheduled_at__lte=until)
    finished = comes_to_rest(due.in_turn().exclude(state=State.NEEDS_REVIEW))
    report(done, calm)
    assert finished, house.tails()

    log: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for post in stored(house):
        log.setdefault((post["kind"], post["text"]), []).append(post)

    # Threads: never half repeated, never out of order.
    for post_row in Post.objects.filter(text__startswith="Thread"):
        for account in where:
            rows = post_row.deliveries.filter(account=account).select_related("post", "account")
            check_thread(list(rows.order_by("part")), log)

    # Series: each of the three times prepared once, and the first one out once.
    for series in made:
        assert series.occurrences.count() == 3, series
        assert Post.objects.filter(text=series.name).count() == 3, series
        first = series.occurrences.order_by("at")[0]
        assert first.state == Occurrence.State.PREPARED
        assert first.post is not None
        row = first.post.deliveries.get()
        assert row.state == State.PUBLISHED, (series, row.state)
        assert len(log[row.account.network, series.name]) == 1, series

    # Queue: one post per slot, each out once and not before its slot.
    queued = list(Delivery.objects.filter(slot_at__isnull=False).select_related("post"))
    assert len({row.slot_at for row in queued}) == len(queued) == minutes
    for row in queued:
        assert row.state == State.PUBLISHED
        [there] = log["keyed", row.post.text]
        assert row.slot_at is not None
        assert there["at"] >= row.slot_at.timestamp()
