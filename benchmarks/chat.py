"""Chat beside its rivals: CPU per delivery, latency, storing, connects, memory, answers.

`python -m benchmarks.chat [--quick]` prints a table and, as its last line, the same as JSON.
Everything runs in a temporary folder and on 127.0.0.1. Beside each figure stands the share of its
core that the load client used: well below 1, it was not the brake.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import chat_servers as servers
from benchmarks.chat_load import Counter, Dialect, Meter, Wire, connect, memory_of

Figures = dict[str, float | int | str]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)


@contextmanager
def installation() -> Iterator[Path]:
    """A migrated SQLite (synchronous=FULL) and Valkey."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        var = folder / "var"
        var.mkdir(mode=0o700)
        os.environ |= {
            "GATOR_VAR": str(var),
            "GATOR_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "gator.settings",
            "LOG_LEVEL": "WARNING",
        }
        import django

        django.setup()
        from django.core.management import call_command

        from tests.servers import running_valkey

        call_command("migrate", verbosity=0)
        stack.enter_context(running_valkey(var))
        yield folder


def people(count: int, room_size: int) -> tuple[list[str], list[str]]:
    """Tokens of new users, and for each the id of a room of `room_size`."""
    from apps.chat import services
    from apps.core.ids import uuid7
    from apps.core.models import User
    from tests.chat.clients import token_of

    mark = uuid7().hex[-8:]
    users = [User(username=f"{mark}-{n}", password="!") for n in range(count)]
    User.objects.bulk_create(users, batch_size=500)
    rooms: list[str] = []
    for start in range(0, count, room_size):
        members = users[start : start + room_size]
        row = services.open_group(by=members[0], title="bench", users=members[1:])
        rooms += [str(row.pk)] * len(members)
    return [token_of(user) for user in users], rooms


async def fan_out(dialect: Dialect, pid: int, members: int, rounds: int) -> Figures:
    """One room, one message outstanding: CPU per delivery, time to the last receiver."""
    counter = Counter(dialect.mark)
    wires = await connect(dialect, members, counter, together=50)
    for n in range(5):
        before = counter.seen
        wires[0].send(dialect.say(wires[0].number, f"bench-warm-{n}"))
        await counter.reach(before + members)
    await asyncio.sleep(1)
    last: list[float] = []
    with Meter(pid) as meter:
        for n in range(rounds):
            before, began = counter.seen, time.perf_counter()
            sender = wires[n % members]
            sender.send(dialect.say(sender.number, f"bench-{n}"))
            await counter.reach(before + members)
            last.append(time.perf_counter() - began)
    for wire in wires:
        wire.close()
    await asyncio.sleep(0.5)
    return {
        "server": dialect.name,
        "members": members,
        "us_per_delivery": round(meter.server / (members * rounds) * 1e6, 2),
        "last_p50_ms": percentile(last, 0.5),
        "last_p99_ms": percentile(last, 0.99),
        "client_share": round(meter.client_share, 2),
    }


async def small_rooms(
    dialect: Dialect, pid: int, count: int, size: int, seconds: float, rate: float
) -> Figures:
    """Many rooms at a fixed rate: echo latency, and CPU per delivery."""
    began: dict[bytes, float] = {}
    echoes: list[float] = []
    seen = 0

    def on_frame(wire: Wire, payload: bytes) -> None:
        nonlocal seen
        if dialect.mark not in payload:
            return
        seen += 1
        at = payload.find(b"bench-")
        key = payload[at : payload.index(b'"', at)]
        if key.endswith(b"-%d" % wire.number):
            echoes.append(time.perf_counter() - began[key])

    wires = await connect(dialect, count, on_frame, together=50)
    await asyncio.sleep(1)
    total = int(seconds * rate)
    start = time.perf_counter()
    with Meter(pid) as meter:
        for n in range(total):
            wait = start + n / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            wire = wires[n % count]
            text = f"bench-{n}-{wire.number}"
            began[text.encode()] = time.perf_counter()
            wire.send(dialect.say(wire.number, text))
        deadline = time.perf_counter() + 20
        while seen < total * size and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
    for wire in wires:
        wire.close()
    await asyncio.sleep(0.5)
    return {
        "server": dialect.name,
        "rooms_of": size,
        "offered_per_s": rate,
        "messages_per_s": round(total / meter.seconds),
        "lost": total * size - seen,
        "us_per_delivery": round(meter.server / max(seen, 1) * 1e6, 2),
        "echo_p50_ms": percentile(echoes, 0.5) if echoes else -1,
        "echo_p99_ms": percentile(echoes, 0.99) if echoes else -1,
        "client_share": round(meter.client_share, 2),
    }


async def crowd(dialect: Dialect, pid: int, count: int) -> Figures:
    """Many idle sockets: how fast they open, what each costs."""
    before = memory_of(pid)
    began = time.perf_counter()
    with Meter(pid) as meter:
        wires = await connect(dialect, count, lambda wire, payload: None, together=100)
    took = time.perf_counter() - began
    await asyncio.sleep(3)
    each = (memory_of(pid) - before) / count
    failures = sum(wire.closed for wire in wires)
    for wire in wires:
        wire.close()
    await asyncio.sleep(1)
    return {
        "sockets": count,
        "failures": failures,
        "connects_per_s": round(count / took),
        "kb_each": round(each / 1024, 1),
        "client_share": round(meter.client_share, 2),
    }


def storing(count: int) -> Figures:
    """Durable sends: group commit in full batches beside one insert and commit per message."""
    from django.db import transaction

    from apps.chat import ledger, messaging
    from apps.chat.models import Conversation
    from apps.core.models import User

    _, rooms = people(64, 4)
    owners = {
        str(row.pk): row.created_by_id for row in Conversation.objects.filter(pk__in=set(rooms))
    }
    assert User.objects.exists()

    def drafts(number: int) -> list[Any]:
        import uuid

        return [
            ledger.Draft(
                conversation_id=uuid.UUID(rooms[n % 64]),
                user_id=owners[rooms[n % 64]],
                content=f"bench {n}",
                client_id=uuid.uuid4().hex,
            )
            for n in range(number)
        ]

    some = drafts(max(count // 40, 50))
    began = time.perf_counter()
    for draft in some:
        with transaction.atomic():
            ledger.append([draft])
    alone = len(some) / (time.perf_counter() - began)
    many = drafts(count)
    began = time.perf_counter()
    for start in range(0, count, messaging.MOST_TOGETHER):
        messaging.store(many[start : start + messaging.MOST_TOGETHER])
    together = count / (time.perf_counter() - began)
    return {
        "one_by_one_per_s": round(alone),
        "group_commit_per_s": round(together),
        "ratio": round(together / alone, 1),
    }


def answering(count: int) -> Figures:
    """An offline answer, from the job's claim to its stored message, in one process."""
    from apps.chat import replying, services
    from apps.chat.models import Reply
    from apps.core.models import User
    from apps.personas.models import Fact, Persona

    fan = User.objects.create(username="bench-fan")
    persona = Persona.objects.create(name="Bench", handle="bench")
    Fact.objects.bulk_create(
        Fact(persona=persona, text=f"My boat number {n} is called Petrel {n}.") for n in range(100)
    )
    talk = services.open_conversation(user=fan, persona=persona)
    took = []
    for n in range(count):
        services.send_message(conversation=talk, by=fan, content=f"What is boat {n} called?")
        pk = Reply.objects.waiting().values_list("pk", flat=True).get()
        began = time.perf_counter()
        replying.write(pk)
        took.append(time.perf_counter() - began)
    return {"answers": count, "p50_ms": percentile(took, 0.5), "p95_ms": percentile(took, 0.95)}


def show(title: str, rows: list[Figures]) -> None:
    print(f"\n{title}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    print("  ".join(f"{name:>18}" for name in names))
    for row in rows:
        print("  ".join(f"{str(row.get(name, ''))[:34]:>18}" for name in names))


def rival(name: str, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """How a rival is started."""
    redis = f"unix://{os.environ['GATOR_VAR']}/run/valkey.sock?db=5"
    here = str(servers.ROOT / "benchmarks" / "rivals")
    env = {"RIVAL_REDIS": redis, "PYTHONPATH": here}
    python = servers.rivals_python(folder)
    if name == "bare":
        return [python, f"{here}/bare_websockets.py", str(port)], env
    if name == "socketio":
        return [
            python,
            "-m",
            "uvicorn",
            "socketio_server:app",
            "--port",
            str(port),
            "--loop",
            "uvloop",
            "--log-level",
            "warning",
            "--ws-per-message-deflate",
            "false",
        ], env
    return [python, "-m", "daphne", "-p", str(port), "-v", "0", "daphne_server:app"], env


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="Fewer rounds and sockets.")
    quick = parser.parse_args().quick
    cores = os.sched_getaffinity(0)
    results: dict[str, list[Figures]] = {}
    with installation() as folder:
        subprocess.run(
            [sys.executable, "manage.py", "check"],
            cwd=servers.ROOT,
            check=True,
            capture_output=True,
        )
        servers.rivals_python(folder)
        if len(cores) > 1:
            os.sched_setaffinity(0, {servers.CLIENT_CORE})
        rows = results["fan_out"] = []
        rounds = {100: 60 if quick else 400, 1000: 15 if quick else 100}
        makers: dict[str, Any] = {
            "bare": servers.bare,
            "socketio": servers.socketio,
            "daphne": servers.daphne,
        }
        for members, count in rounds.items():
            tokens, rooms = people(members, members)
            port = servers.free_port()
            with servers.running(servers.gator_command(port), port, servers.GATOR_ENV) as pid:
                rows.append(
                    uvloop.run(
                        fan_out(servers.gator(port, tokens, rooms.__getitem__), pid, members, count)
                    )
                )
            for name, make in makers.items():
                port = servers.free_port()
                command, env = rival(name, folder, port)
                part = count if name == "bare" else max(count // 4, 8)
                with servers.running(command, port, env) as pid:
                    rows.append(
                        uvloop.run(fan_out(make(port, lambda n: "room"), pid, members, part))
                    )
        show("One room, one message outstanding", rows)

        rows = results["small_rooms"] = []
        for size, rate in ((5, 500), (4, 2_000)):
            tokens, rooms = people(200, size)
            port = servers.free_port()
            with servers.running(servers.gator_command(port), port, servers.GATOR_ENV) as pid:
                rows.append(
                    uvloop.run(
                        small_rooms(
                            servers.gator(port, tokens, rooms.__getitem__),
                            pid,
                            200,
                            size,
                            2 if quick else 10,
                            rate,
                        )
                    )
                )
            port = servers.free_port()
            command, env = rival("bare", folder, port)
            with servers.running(command, port, env) as pid:
                rows.append(
                    uvloop.run(
                        small_rooms(
                            servers.bare(port, rooms.__getitem__),
                            pid,
                            200,
                            size,
                            2 if quick else 10,
                            rate,
                        )
                    )
                )
        show(
            "Small rooms at a fixed rate (Gator stores durably before it acks, the rival nothing)",
            rows,
        )

        count = 2_000 if quick else 10_000
        tokens, rooms = people(count, 5)
        port = servers.free_port()
        with servers.running(servers.gator_command(port), port, servers.GATOR_ENV) as pid:
            rows = results["crowd"] = [
                uvloop.run(crowd(servers.gator(port, tokens, rooms.__getitem__), pid, count))
            ]
        show("Idle sockets by token, each joined to its room", rows)
        os.sched_setaffinity(0, cores)
        results["storing"] = [storing(2_000 if quick else 20_000)]
        show("Storing on SQLite, synchronous=FULL", results["storing"])
        results["answering"] = [answering(20 if quick else 200)]
        show("Offline answers", results["answering"])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
