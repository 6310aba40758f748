"""How long a fan waits: from sending to the first visible word of a model, and to a whole answer.

A web process and a worker as `up` starts them, and a stand-in for the model that takes a fixed time
to its first word. That time is taken off again, as the stand-in measured it.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks import chat_servers as servers
from benchmarks.chat_load import Wire, connect
from benchmarks.chat_measures import Figures, percentile

if TYPE_CHECKING:
    from apps.personas.models import Persona

MODEL_SECONDS = 0.2
WORDS = 20


class Model:
    """An OpenAI-compatible server that thinks for MODEL_SECONDS and streams a few words."""

    def __init__(self) -> None:
        self.thought: list[float] = []

    async def serve(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._answer, "127.0.0.1", port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked = time.perf_counter()
        [length] = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")]  # fmt: skip
        await reader.readexactly(length)
        await asyncio.sleep(MODEL_SECONDS)
        self.thought.append(time.perf_counter() - asked)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     b"Connection: close\r\n\r\n")  # fmt: skip
        for n in range(WORDS):
            chunk = {"choices": [{"delta": {"content": f"word{n} "}}]}
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


@contextmanager
def worker() -> Iterator[None]:
    """A worker for answers, as `up` starts it on PostgreSQL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "gator", "--quiet", "worker", "--queues=replies",
         "--concurrency=8", "--without-gossip", "--without-mingle"],
        cwd=servers.ROOT,
        env={**os.environ, "GATOR_ALLOWED_PRIVATE_HOSTS": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


class Fan:
    """A fan who asks, one question after the other, and notes when the words come."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.whole: list[float] = []
        self._asked = 0.0
        self._started = False
        self._done: asyncio.Future[None] | None = None

    def on_frame(self, wire: Wire, payload: bytes) -> None:
        if b'"reply_delta"' in payload and not self._started:
            self._started = True
            self.first.append(time.perf_counter() - self._asked)
        elif b'"reply_finished"' in payload and self._done is not None:
            self.whole.append(time.perf_counter() - self._asked)
            self._done.set_result(None)
        elif b'"reply_stopped"' in payload and self._done is not None:
            self._done.set_exception(RuntimeError(payload.decode()))

    async def ask(self, wire: Wire, text: str) -> None:
        self._done = asyncio.get_running_loop().create_future()
        self._started = False
        self._asked = time.perf_counter()
        wire.send(wire.dialect.say(wire.number, text))
        await asyncio.wait_for(self._done, 60)
        self._done = None


@asynccontextmanager
async def asking(port: int, token: str, conversation_id: str) -> Any:
    fan = Fan()
    dialect = servers.gator(port, [token], lambda n: conversation_id)
    [wire] = await connect(dialect, 1, fan.on_frame)
    try:
        yield fan, wire
    finally:
        wire.close()


async def answers(
    port: int, model_port: int, rows: list[tuple[str, str, str]], count: int
) -> list[Figures]:
    """`count` questions in each conversation (voice, token, id), one outstanding."""
    found: list[Figures] = []
    for voice, token, conversation_id in rows:
        model = Model()
        server = await model.serve(model_port)
        async with asking(port, token, conversation_id) as (fan, wire):
            # The first wakes the worker's thread and its connections.
            for n in range(8):
                await fan.ask(wire, f"What is boat {n} called?")
            for noted in (fan.first, fan.whole, model.thought):
                noted.clear()
            for n in range(count):
                await fan.ask(wire, f"And what is boat {n} called?")
        server.close()
        thought = model.thought or [0.0] * count
        first = [all_of - model_s for all_of, model_s in zip(fan.first, thought, strict=True)]
        found.append(
            {
                "voice": voice,
                "answers": count,
                "model_ms": round(sum(thought) / count * 1000, 1),
                "first_word_p50_ms": percentile(first, 0.5),
                "first_word_p95_ms": percentile(first, 0.95),
                "whole_p50_ms": percentile(fan.whole, 0.5),
                "whole_p95_ms": percentile(fan.whole, 0.95),
            }
        )
    return found


def conversations(model_port: int) -> list[tuple[str, str, str]]:
    """A fan's conversation with an offline persona, and one with a persona behind the stand-in."""
    from apps.chat import services
    from apps.core.models import User
    from apps.personas.models import VoiceSettings
    from tests.chat.clients import token_of

    fan = User.objects.create(username="bench-fan", password="!")
    offline = _persona("offline")
    model = _persona("model")
    VoiceSettings.objects.create(
        persona=model,
        voice="openai_compatible",
        base_url=f"http://127.0.0.1:{model_port}/v1",
        model="standin",
    )
    return [
        (
            name,
            token_of(fan),
            str(services.open_conversation(user=fan, persona=persona).pk),
        )
        for name, persona in {"offline": offline, "stand-in model": model}.items()
    ]


def _persona(name: str) -> "Persona":
    from apps.personas.models import Fact, Persona

    persona = Persona.objects.create(name=f"Bench {name}", handle=f"bench_{name}")
    Fact.objects.bulk_create(
        Fact(persona=persona, text=f"My boat number {n} is called Petrel {n}.") for n in range(100)
    )
    return persona
