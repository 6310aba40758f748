"""Whatever is killed, every client ends with every message once, in order; answers too."""

import asyncio
import random
import socket
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection

from apps.chat import services
from apps.chat.models import Message, Reply
from apps.core.models import User
from apps.personas.models import Fact, Persona
from tests.chat.clients import documented, token_of
from tests.faults.processes import House, Process
from tests.servers import free_port

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

SENDERS, EACH = 4, 250
# However fast the machine: this many strikes fall while messages are being sent.
FEWEST = 10
SECONDS = 240


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def drop_connections() -> None:
    """End every other connection to the database."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def two_webs(house: House) -> tuple[list[Process], list[int]]:
    ports = [free_port(), free_port()]
    webs = [house.chat_web(n, port) for n, port in enumerate(ports)]
    # On a busy machine a process takes its time to start.
    deadline = time.monotonic() + 120
    while not all(map(accepts, ports)):
        assert time.monotonic() < deadline, house.tails()
        time.sleep(0.1)
    return webs, ports


class Chaos:
    """Kills and restarts, one thing at a time, until everybody is done."""

    def __init__(self, victims: list[Process], most: int) -> None:
        self.victims, self.most = victims, most
        self.strikes = 0

    async def run(self, done: asyncio.Event) -> None:
        while not done.is_set() and self.strikes < self.most:
            await asyncio.sleep(random.uniform(0.5, 1.5))
            victim = random.choice([*self.victims, None])
            if victim is None:
                await sync_to_async(drop_connections)()
            else:
                victim.kill()
                await asyncio.sleep(random.uniform(0, 0.5))
                victim.start()
                # A web process takes some seconds to start: leave some time to work.
                await asyncio.sleep(2.0)
            self.strikes += 1

    async def turn_of(self, number: int) -> None:
        """Wait until the messages before this one have seen their share of the strikes."""
        while self.strikes * EACH < number * min(FEWEST, self.most):
            await asyncio.sleep(0.05)


def test_a_thousand_messages_arrive_once_and_in_order(
    house: House, fan: User, other_fan: User, kills: int
) -> None:
    house.env |= {
        "CHAT_TEST_HUB_LOSS": "0.3",
        "CHAT_RATE": "1000",
        "CHAT_BURST": "1000",
        # The tokens below are signed with ours.
        "SECRET_KEY": settings.SECRET_KEY,
    }
    users = [User.objects.create_user(f"sender{n}") for n in range(SENDERS)]
    group = services.open_group(by=fan, title="Storm", users=[other_fan, *users])
    valkey = house.valkey()
    webs, ports = two_webs(house)
    chaos = Chaos([*webs, valkey], kills)
    seen: list[list[dict[str, Any]]] = []

    async def talk(number: int, user: User, *, sends: int) -> None:
        url = f"ws://127.0.0.1:{ports[number % 2]}/ws/"
        chat = documented().Chat(url, token_of(user), str(group.pk))
        got: list[dict[str, Any]] = []
        seen.append(got)

        async def listen() -> None:
            async for message in chat.messages():
                got.append(message)

        listener = asyncio.create_task(listen())
        try:
            for n in range(sends):
                await chaos.turn_of(n)
                await chat.send(f"{user.username} {n}")
                await asyncio.sleep(0.05)
            while len(got) < SENDERS * EACH or chat.pending:
                assert not listener.done(), listener
                await asyncio.sleep(0.1)
        finally:
            listener.cancel()
            await asyncio.wait([listener])

    async def storm() -> None:
        done = asyncio.Event()
        trouble = asyncio.create_task(chaos.run(done))
        people = [talk(n, user, sends=EACH) for n, user in enumerate(users)]
        people += [talk(n, user, sends=0) for n, user in enumerate((fan, other_fan))]
        try:
            await asyncio.wait_for(asyncio.gather(*people), SECONDS)
        except TimeoutError:
            counts = [len(got) for got in seen]
            raise AssertionError(f"{counts} of {SENDERS * EACH}\n{house.tails()}") from None
        finally:
            done.set()
        await trouble
        # A socket that was just opening is closed by the loop's next turns.
        await asyncio.sleep(0.1)

    asyncio.run(storm())
    # Ours was ended with the others.
    connection.close()
    assert chaos.strikes >= min(FEWEST, kills)
    stored = list(
        Message.objects.filter(conversation=group).order_by("seq").values_list("seq", "content")
    )
    assert [seq for seq, _ in stored] == list(range(1, SENDERS * EACH + 1))
    assert len({content for _, content in stored}) == SENDERS * EACH
    for got in seen:
        assert [(m["seq"], m["content"]) for m in got] == stored
    # Each sender's own order is kept, as far as it was sent on one connection after the other.
    by_sender = {user.username: 0 for user in users}
    for _, content in stored:
        by_sender[content.split()[0]] += 1
    assert set(by_sender.values()) == {EACH}


def test_answers_survive_killed_workers(house: House, fan: User, luna: Persona) -> None:
    Fact.objects.create(persona=luna, text="My cat is called Biscuit.")
    talk = services.open_conversation(user=fan, persona=luna)
    house.valkey()
    worker = house.worker()
    house.beat()
    ids = []
    for n in range(10):
        message = services.send_message(conversation=talk, by=fan, content=f"Cat's name? {n}")
        ids.append(message.pk)
        if n % 3 == 0:
            time.sleep(random.uniform(0.2, 1.5))
            worker.kill()
            worker.start()
    # A reply in a dead worker's hands waits for its lease; here for a short one.
    deadline = time.monotonic() + 120
    while Reply.objects.unfinished().exists():
        assert time.monotonic() < deadline, house.tails()
        time.sleep(0.3)
    rows = Message.objects.filter(conversation=talk, persona=luna)
    assert rows.count() == 10
    assert Reply.objects.filter(state=Reply.State.DONE).count() == 10
