"""A load client for chat: many WebSockets in one process, at the cost of a few microseconds each.

It reads frames by their two-byte headers, counts those that carry a message, and parses nothing
else; its own CPU is measured beside every figure, so that one sees that it was not the brake.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

OnFrame = Callable[["Wire", bytes], None]


@dataclass(kw_only=True)
class Dialect:
    """How one server is spoken to."""

    name: str
    port: int
    path: str
    # Per client: extra headers; what to send once open; what says that it is ready.
    headers: Callable[[int], dict[str, str]] = field(default=lambda n: {})
    opening: Callable[[int], list[bytes]] = field(default=lambda n: [])
    ready: bytes = b""
    say: Callable[[int, str], bytes] = field(default=lambda n, text: text.encode())
    mark: bytes = b"bench-"
    # Answers of the protocol itself, as in Engine.IO's pings.
    answer: Callable[[bytes], bytes | None] = field(default=lambda payload: None)


class Wire(asyncio.Protocol):
    """One socket."""

    def __init__(self, dialect: Dialect, number: int, on_frame: OnFrame) -> None:
        self.dialect = dialect
        self.number = number
        self.on_frame = on_frame
        self.transport: Any = None
        self.ready = asyncio.get_running_loop().create_future()
        self.closed = False
        self._buffer = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        lines = [
            f"GET {self.dialect.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.dialect.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *(f"{k}: {v}" for k, v in self.dialect.headers(self.number).items()),
        ]
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            if b" 101 " not in buffer[:20]:
                self.fail(ConnectionError(buffer[:80].decode(errors="replace")))
                return
            self._open = True
            buffer = buffer[end + 4 :]
            for frame in self.dialect.opening(self.number):
                self.send(frame)
            if not self.dialect.ready:
                self.ready.set_result(None)
        at = 0
        total = len(buffer)
        while total - at >= 2:
            length = buffer[at + 1] & 0x7F
            head = 2
            if length == 126:
                if total - at < 4:
                    break
                length = int.from_bytes(buffer[at + 2 : at + 4])
                head = 4
            elif length == 127:
                if total - at < 10:
                    break
                length = int.from_bytes(buffer[at + 2 : at + 10])
                head = 10
            if total - at < head + length:
                break
            payload = buffer[at + head : at + head + length]
            opcode = buffer[at] & 0x0F
            at += head + length
            if opcode == 1:
                self._text(payload)
            elif opcode == 9:
                self._frame(0x8A, payload)
            elif opcode == 8:
                self.fail(ConnectionError(f"closed {int.from_bytes(payload[:2])}"))
        self._buffer = buffer[at:] if at < total else b""

    def _text(self, payload: bytes) -> None:
        if not self.ready.done() and self.dialect.ready in payload:
            self.ready.set_result(None)
        if (answer := self.dialect.answer(payload)) is not None:
            self.send(answer)
        self.on_frame(self, payload)

    def send(self, payload: bytes) -> None:
        self._frame(0x81, payload)

    def _frame(self, opcode: int, payload: bytes) -> None:
        # A mask of zeros is a mask: the server unmasks as always, we need not compute.
        length = len(payload)
        if length < 126:
            head = bytes((opcode, 0x80 | length))
        elif length < 65_536:
            head = bytes((opcode, 0xFE)) + length.to_bytes(2)
        else:
            head = bytes((opcode, 0xFF)) + length.to_bytes(8)
        self.transport.write(head + b"\0\0\0\0" + payload)

    def fail(self, error: Exception) -> None:
        self.closed = True
        if not self.ready.done():
            self.ready.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(ConnectionError("lost"))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()


async def connect(
    dialect: Dialect,
    count: int,
    on_frame: OnFrame,
    *,
    together: int = 100,
    took: list[float] | None = None,
    rate: float = 0,
) -> list[Wire]:
    """`count` sockets, opened `together` at a time or at a `rate` per second, all ready; how long
    each `took`."""
    loop = asyncio.get_running_loop()
    wires: list[Wire] = []
    turns = asyncio.Semaphore(count if rate else together)
    start = time.perf_counter()

    async def one(number: int) -> None:
        if rate:
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        async with turns:
            began = time.perf_counter()
            _, wire = await loop.create_connection(
                lambda: Wire(dialect, number, on_frame), "127.0.0.1", dialect.port
            )
            await wire.ready
            wires.append(wire)
            if took is not None:
                took.append(time.perf_counter() - began)

    await asyncio.gather(*(one(n) for n in range(count)))
    return wires


class Counter:
    """Counts marked frames, and says when there are enough."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.seen = 0
        self._wanted = 0
        self._enough: asyncio.Future[None] | None = None

    def __call__(self, wire: Wire, payload: bytes) -> None:
        if self.mark in payload:
            self.seen += 1
            if self.seen == self._wanted and self._enough is not None:
                self._enough.set_result(None)

    async def reach(self, number: int, timeout: float = 30) -> None:
        if self.seen >= number:
            return
        self._wanted = number
        self._enough = asyncio.get_running_loop().create_future()
        await asyncio.wait_for(self._enough, timeout)
        self._enough = None


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and all its threads have used, to the nanosecond.

    /proc counts in steps of 10 ms, which a short stretch of work is over before.
    """
    # clock_getcpuclockid(3): the clock of another process, for all its threads together.
    return time.clock_gettime((~pid << 3) | 2)


def memory_of(pid: int) -> int:
    """Private memory of a process in bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        lines = [line.split() for line in file]
    return (
        sum(int(row[1]) for row in lines if row[0] in ("Private_Clean:", "Private_Dirty:")) * 1024
    )


class Meter:
    """CPU of the server, CPU of this client, and the clock, over a stretch of work."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __enter__(self) -> "Meter":
        self._server, self._client = cpu_of(self.pid), time.process_time()
        self._at = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.monotonic() - self._at
        self.server = cpu_of(self.pid) - self._server
        self.client = time.process_time() - self._client

    @property
    def client_share(self) -> float:
        return self.client / self.seconds if self.seconds else 0.0


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}, separators=(",", ":")).encode()
