"""Posts go out never lost and never twice while everything that carries them is killed."""

import time
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from apps.personas.models import Persona
from apps.scheduling import services
from apps.scheduling.models import Delivery, SocialAccount
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
    wait_until,
    wipe_valkey,
)
from tests.faults.processes import House

pytestmark = pytest.mark.faults

State = Delivery.State
LEASE, SETTLE, CALL = 8.0, 2.0, 3.0


def schedule(where: list[SocialAccount], *, number: int, at: datetime) -> None:
    services.schedule_post(
        services.Draft(
            persona=where[0].persona,
            accounts=where,
            text=f"Post number {number}",
            scheduled_at=at,
        ),
        by=None,
    )


def test_nothing_is_lost_or_doubled_while_everything_is_killed(
    house: House, luna: Persona, kills: int
) -> None:
    house.network(rudeness=0.03)
    valkey = house.valkey()
    publishers = publishers_of(house)
    beat = house.beat()
    where = accounts(luna)
    # Two posts due for every kill, so that most kills hit somebody at work.
    pace = 2.0
    begin = timezone.now() + timedelta(seconds=5)
    for number in range(kills):
        schedule(where, number=number, at=begin + timedelta(seconds=number * pace * 0.9))

    faults = [
        Fault(0.08, "valkey", kill(valkey)),
        Fault(0.04, "valkey wiped", wipe_valkey(house)),
        Fault(0.08, "beat", kill(beat, grown=4)),
        Fault(0.1 if on_postgres() else 0, "database connections", cut_database_connections),
        Fault(0.7 if on_postgres() else 0.8, "publisher", kill(*publishers, grown=GROWN)),
    ]
    done = hurt(faults, times=kills, pace=pace)

    calm = time.monotonic()
    finished = comes_to_rest(Delivery.objects.unfinished().exclude(state=State.NEEDS_REVIEW))
    report(done, calm)
    assert finished, house.tails()

    posts = Counter((post["kind"], post["text"]) for post in stored(house))
    for delivery in Delivery.objects.select_related("account", "post"):
        kind = delivery.account.network
        times = posts[kind, delivery.post.text]
        if kind == "blind":
            # Sent at most once; whoever cannot know says so and asks.
            assert delivery.state in (State.PUBLISHED, State.NEEDS_REVIEW), delivery.state
            assert times == 1 if delivery.state == State.PUBLISHED else times <= 1
        else:
            assert (delivery.state, times) == (State.PUBLISHED, 1), (kind, delivery.pk)
    early = [
        post
        for post in stored(house)
        if post["at"] < Delivery.objects.get(key=post["key"]).post.scheduled_at.timestamp()
    ]
    assert early == []


@pytest.mark.parametrize("network", ["keyed", "listable"])
def test_a_killed_worker_is_recovered_within_lease_settle_and_five_seconds(
    house: House, luna: Persona, network: str
) -> None:
    house.network(rudeness=0.0001)
    house.valkey()
    publisher, _ = house.publisher(1), house.beat()
    where = [each for each in accounts(luna) if each.network == network]
    assert wait_until(lambda: publisher.age() > 4, 10)
    schedule(where, number=1, at=timezone.now())
    delivery = Delivery.objects.get()
    assert wait_until(lambda: Delivery.objects.get().state == State.SENDING, 10), house.tails()
    publisher.kill()
    killed = time.monotonic()
    publisher.start()
    assert wait_until(
        lambda: Delivery.objects.get().state == State.PUBLISHED, LEASE + SETTLE + 15
    ), house.tails()
    took = time.monotonic() - killed
    print(f"\nrecovered after {took:.1f} s on a {network} network")
    assert took <= LEASE + SETTLE + 5
    assert len(stored(house)) == 1
    assert delivery.pk == Delivery.objects.get().pk


def test_a_flood_on_another_queue_delays_no_post(house: House, luna: Persona) -> None:
    house.network(rudeness=0)
    house.valkey()
    publisher, worker, _ = house.publisher(1), house.worker(), house.beat()
    assert wait_until(lambda: publisher.age() > 4 and worker.age() > 4, 10)
    # 5,000 tasks that find nothing to do, on the queue of long work.
    house.flood(5_000)
    where = [each for each in accounts(luna) if each.network == "keyed"]
    begin = timezone.now() + timedelta(seconds=1)
    for number in range(20):
        schedule(where, number=number, at=begin + timedelta(seconds=number / 2))
    assert wait_until(lambda: Delivery.objects.filter(state=State.PUBLISHED).count() == 20, 30), (
        house.tails()
    )
    late = sorted(
        (row.attempts.get().started_at - row.post.scheduled_at).total_seconds()
        for row in Delivery.objects.all()
    )
    print(f"\nlate under a flood: median {late[10] * 1000:.0f} ms, worst {late[-1] * 1000:.0f} ms")
    assert late[0] >= 0
    assert late[-1] < 2
