"""What the fault tests of posts share: where posts go, what is done to the house, and its end."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from django.db import connection
from django.db.models import Max

from apps.personas.models import Persona
from apps.scheduling.models import Attempt, Delivery, DeliveryQuerySet, SocialAccount
from tests.faults.processes import House, Process
from tests.settings import TESTS_DATABASE

NETWORKS = ("keyed", "listable", "blind")
# A worker that has been up for less has done nothing yet that could be broken off.
GROWN = 2.5
PATIENCE = 180.0


def accounts(persona: Persona) -> list[SocialAccount]:
    """One account on each kind of network."""
    return [
        SocialAccount.objects.create(
            persona=persona, network=network, handle="luna", status=SocialAccount.Status.WORKING
        )
        for network in NETWORKS
    ]


def stored(house: House) -> list[dict[str, Any]]:
    """Everything that the stand-in network stored."""
    answer = httpx.get(f"http://127.0.0.1:{house.network_port}/log", trust_env=False, timeout=30)
    posts: list[dict[str, Any]] = answer.json()
    return posts


def publishers_of(house: House) -> list[Process]:
    """The publishing workers: on SQLite one process claims, two would only wait for each other."""
    return [house.publisher(number) for number in (1, 2)[: 2 if on_postgres() else 1]]


def on_postgres() -> bool:
    return TESTS_DATABASE == "postgres"


# -- What is done to it -------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """One way to hurt the house: its share of all, its name, and the deed; False: not now."""

    share: float
    name: str
    inflict: Callable[[], bool]


def kill(*processes: Process, grown: float = 0.0) -> Callable[[], bool]:
    """Kill one of these that is up for so many seconds, and start it again."""

    def inflict() -> bool:
        fitting = [each for each in processes if each.age() > grown]
        if not fitting:
            return False
        chosen = random.choice(fitting)
        chosen.kill()
        chosen.start()
        return True

    return inflict


def wipe_valkey(house: House) -> Callable[[], bool]:
    """Everything that was queued is gone."""

    def inflict() -> bool:
        house.redis().flushall()
        return True

    return inflict


def cut_database_connections() -> bool:
    """End half of the connections that Gator's processes hold; the test keeps its own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5"
        )
    return True


def hurt(faults: Sequence[Fault], *, times: int, pace: float) -> Counter[str]:
    """Inflict so many faults, `pace` seconds apart on average; says how many of which."""
    done: Counter[str] = Counter()
    while done.total() < times:
        time.sleep(random.uniform(0, 2 * pace))
        [fault] = random.choices(faults, [each.share for each in faults])
        if fault.inflict():
            done[fault.name] += 1
    return done


# -- How it ends --------------------------------------------------------------------------------


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def comes_to_rest(waiting: DeliveryQuerySet) -> bool:
    """Wait until none of these is left; False once nothing has moved for three minutes.

    Only time in which this process runs counts, because a machine may be busy with others.
    """
    idle, last = 0.0, time.monotonic()
    seen: tuple[int, Any] | None = None
    while idle < PATIENCE:
        now = waiting.count(), Delivery.objects.aggregate(latest=Max("changed_at"))["latest"]
        if not now[0]:
            return True
        idle = 0.0 if now != seen else idle + min(time.monotonic() - last, 1.0)
        seen, last = now, time.monotonic()
        time.sleep(0.2)
    return False


def report(done: Counter[str], calm: float) -> None:
    """Say what was done, and where every delivery and attempt ended."""
    print(f"\nkills: {done.total()}, {dict(done)}; calm after {time.monotonic() - calm:.0f} s")
    states = Counter(Delivery.objects.values_list("account__network", "state"))
    print(f"deliveries: {dict(states)}")
    print(f"attempts: {dict(Counter(Attempt.objects.values_list('outcome', flat=True)))}")
