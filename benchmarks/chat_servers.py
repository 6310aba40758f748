"""The servers under the chat benchmark: Gator and its rivals, each alone on one core."""

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chat_load import Dialect, event

ROOT = Path(__file__).resolve().parent.parent
RIVALS = ["python-socketio[asyncio_client]", "channels[daphne]", "channels-redis", "redis",
          "uvicorn", "uvloop", "httptools", "websockets"]  # fmt: skip
SERVER_CORE, CLIENT_CORE = 0, 1


def rivals_python(home: Path) -> str:
    """A virtual environment with the rivals in `home`; `uv` fetches them."""
    python = home / "bin" / "python"
    if not python.exists():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "-p", "3.11", home], check=True)
        subprocess.run([uv, "pip", "install", "-q", "-p", python, *RIVALS], check=True)
    return str(python)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], port: int, env: dict[str, str], core: int | None = SERVER_CORE
) -> Iterator[int]:
    """A server on its own core (None: on any); gives its pid."""
    pinned = ["taskset", "-c", str(core)] if core is not None and (os.cpu_count() or 1) > 1 else []
    server = subprocess.Popen(
        [*pinned, *command],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[:4]} did not start")
            time.sleep(0.1)
        time.sleep(1)
        yield server.pid
    finally:
        server.kill()
        server.wait()


def gator_command(port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "gator.asgi:application", "--port", str(port),
            "--loop", "uvloop", "--ws", "apps.chat.wire:GatorProtocol", "--no-access-log",
            "--backlog", "8192", "--ws-per-message-deflate", "false"]  # fmt: skip


GATOR_ENV = {
    "CHAT_RATE": "1000000",
    "CHAT_BURST": "1000000",
    "CHAT_SOCKETS_PER_USER": "20000",
    "LOG_LEVEL": "WARNING",
}


@contextmanager
def without_disk() -> Iterator[dict[str, str]]:
    """What makes Gator store in memory (a copy of the installation's database in /dev/shm): beside
    it one sees what waiting for the disk costs, and that the rivals do without."""
    with tempfile.TemporaryDirectory(prefix="gator-bench-", dir="/dev/shm") as folder:
        path = Path(folder) / "gator.sqlite3"
        source = sqlite3.connect(Path(os.environ["GATOR_VAR"]) / "gator.sqlite3")
        copy = sqlite3.connect(path)
        source.backup(copy)
        source.close()
        copy.close()
        yield {"DATABASE_URL": f"sqlite:///{path}"}


def gator(port: int, tokens: list[str], room_of: Any, name: str = "Gator") -> Dialect:
    """Gator: every client joins `room_of(number)`."""
    return Dialect(
        name=name,
        port=port,
        path="/ws/",
        headers=lambda n: {"Authorization": f"Bearer {tokens[n]}"},
        opening=lambda n: [event("join_conversation", conversation_id=room_of(n))],
        ready=b"conversation_joined",
        say=lambda n, text: event(
            "send_message", conversation_id=room_of(n), content=text, client_id=text[:60]
        ),
        mark=b'"new_message"',
    )


def gator_by_session(port: int, cookies: list[str]) -> Dialect:
    """Gator, signed in as a browser is; ready with the first event."""
    return Dialect(
        name="Gator, by session",
        port=port,
        path="/ws/",
        headers=lambda n: {"Cookie": cookies[n]},
        ready=b"online_users",
    )


def bare(port: int, room_of: Any) -> Dialect:
    return Dialect(
        name="websockets broadcast()",
        port=port,
        path="/",
        opening=lambda n: [event("join", room=room_of(n))],
        ready=b"joined",
        say=lambda n, text: event("say", room=room_of(n), content=text),
    )


def socketio(port: int, room_of: Any) -> Dialect:
    def answer(payload: bytes) -> bytes | None:
        if payload == b"2":
            return b"3"
        return b'42["join","%s"]' % room.encode() if payload.startswith(b"40{") else None

    room = str(room_of(0))
    return Dialect(
        name="python-socketio + Redis",
        port=port,
        path="/socket.io/?EIO=4&transport=websocket",
        opening=lambda n: [b"40"],
        answer=answer,
        ready=b"joined",
        say=lambda n, text: f'42["say","{room}","{text}"]'.encode(),
    )


def daphne(port: int, room_of: Any) -> Dialect:
    plain = bare(port, room_of)
    plain.name = "daphne, core layer, JSON consumer"
    return plain
