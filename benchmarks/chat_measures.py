"""What is measured of a chat server, whichever it is: deliveries, echoes, crowds, the deaf."""

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median

from benchmarks.chat_load import Counter, Dialect, Meter, Wire, connect, memory_of

Figures = dict[str, float | int | str]
TURNS = 20


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)


@dataclass
class _Room:
    """One server's room of the fan-out, and what was measured of it so far."""

    dialect: Dialect
    pid: int
    counter: Counter
    wires: list[Wire]
    costs: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    async def say(self, number: int) -> None:
        sender = self.wires[number % len(self.wires)]
        before, began = self.counter.seen, time.perf_counter()
        sender.send(self.dialect.say(sender.number, f"bench-{number}"))
        await self.counter.reach(before + len(self.wires))
        self.last.append(time.perf_counter() - began)


async def fan_out(servers: list[tuple[Dialect, int]], members: int, rounds: int) -> list[Figures]:
    """One room, one message outstanding: CPU per delivery, time to the last receiver.

    The servers take turns of a few messages each, so that what else the machine does falls on all
    of them alike; the CPU is the median of the turns.
    """
    rooms: list[_Room] = []
    for dialect, pid in servers:
        counter = Counter(dialect.mark)
        wires = await connect(dialect, members, counter, together=50)
        rooms.append(_Room(dialect, pid, counter, wires))
    number, each = 0, max(rounds // TURNS, 1)
    for turn in range(-1, rounds // each):
        for room in rooms:
            with Meter(room.pid) as meter:
                for _ in range(each):
                    number += 1
                    await room.say(number)
            if turn < 0:
                # The first turn only warms up.
                room.last.clear()
                continue
            room.costs.append(meter.server / (members * each) * 1e6)
            room.shares.append(meter.client_share)
    for wire in (wire for room in rooms for wire in room.wires):
        wire.close()
    await asyncio.sleep(0.5)
    return [
        {
            "server": room.dialect.name,
            "members": members,
            "us_per_delivery": round(median(room.costs), 2),
            "last_p50_ms": percentile(room.last, 0.5),
            "last_p99_ms": percentile(room.last, 0.99),
            "client_share": round(median(room.shares), 2),
        }
        for room in rooms
    ]


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


async def crowd(dialect: Dialect, pid: int, count: int, rate: float = 0) -> Figures:
    """Many idle sockets: how fast they open, what each costs; at a `rate` per second, or as fast
    as a hundred at a time go."""
    before = memory_of(pid)
    took: list[float] = []
    began = time.perf_counter()
    with Meter(pid) as meter:
        wires = await connect(
            dialect, count, lambda wire, payload: None, together=100, took=took, rate=rate
        )
    whole = time.perf_counter() - began
    await asyncio.sleep(3)
    each = (memory_of(pid) - before) / count
    failures = sum(wire.closed for wire in wires)
    for wire in wires:
        wire.close()
    await asyncio.sleep(1)
    return {
        "server": dialect.name,
        "sockets": count,
        "failures": failures,
        "offered_per_s": rate or "all",
        "connects_per_s": round(count / whole),
        "us_of_cpu_each": round(meter.server / count * 1e6),
        "open_p50_ms": percentile(took, 0.5),
        "open_p99_ms": percentile(took, 0.99),
        "kb_each": round(each / 1024, 1),
        "client_share": round(meter.client_share, 2),
    }


async def stalled(dialect: Dialect, pid: int, members: int, megabytes: int) -> Figures:
    """One of a room reads nothing while the others are told some megabytes."""
    counter = Counter(dialect.mark)
    wires = await connect(dialect, members, counter, together=50)
    deaf, others = wires[0], wires[1:]
    text = "x" * 3_000

    async def told(messages: int) -> list[float]:
        last = []
        for n in range(messages):
            before, began = counter.seen, time.perf_counter()
            sender = others[n % len(others)]
            sender.send(dialect.say(sender.number, f"bench-{time.monotonic_ns()}{text}"))
            await counter.reach(before + len(others))
            last.append(time.perf_counter() - began)
        return last

    # Until nothing grows any more: what any load leaves behind is not the cost of a deaf client.
    for _ in range(20):
        before = memory_of(pid)
        await told(160)
        if memory_of(pid) - before < 50_000:
            break
    deaf.transport.pause_reading()
    await asyncio.sleep(0.5)
    before = most = memory_of(pid)
    last: list[float] = []
    for _ in range(megabytes * 4):
        last += await told(80)
        most = max(most, memory_of(pid))
    for wire in wires:
        wire.close()
    await asyncio.sleep(0.5)
    return {
        "members": members,
        "told_mb": megabytes,
        "cost_mb": round((most - before) / 1e6, 2),
        "others_p50_ms": percentile(last, 0.5),
        "others_p99_ms": percentile(last, 0.99),
    }
