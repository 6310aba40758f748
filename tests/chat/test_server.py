"""Two real web processes with Redis between them, and real clients."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import websockets
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection

from apps.chat import replying, services
from apps.chat.models import Conversation, Reply
from apps.core.models import User
from apps.core.running.processes import dying_with
from apps.personas.models import Fact
from tests.chat.clients import DOCS, documented, token_of
from tests.servers import free_port
from tests.settings import TESTS_DATABASE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("chat-server")]
ROOT = DOCS.parents[1]


@pytest.fixture
def webs(transactional_db: None, tmp_path: Path) -> Iterator[list[int]]:
    """The ports of two web processes on the tests' own database and Valkey."""
    ports, processes = [free_port(), free_port()], []
    name = str(connection.settings_dict["NAME"])
    env = {
        **os.environ,
        "GATOR_CHAT_TEST_DATABASE": name,
        "DJANGO_SETTINGS_MODULE": "tests.chat.server_settings",
        "GATOR_TESTS_DATABASE": TESTS_DATABASE,
        "SECRET_KEY": settings.SECRET_KEY,
    }
    log = tmp_path / "web.log"
    for port in ports:
        with log.open("ab") as output:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "uvicorn", "gator.asgi:application", "--port",
                     str(port), "--ws", "apps.chat.wire:GatorProtocol",
                     "--ws-per-message-deflate", "false", "--no-access-log"],
                    cwd=ROOT, env=env, stdout=output, stderr=output,
                    preexec_fn=dying_with(os.getpid()),
                )
            )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        for port in ports:
            while True:
                try:
                    asyncio.run(_probe(port))
                    break
                except OSError:
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.1)
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def _probe(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


class Remote:
    """A websockets client that waits for events."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def send(self, kind: str, **fields: Any) -> None:
        plain = {key: str(v) if isinstance(v, UUID) else v for key, v in fields.items()}
        await self.socket.send(json.dumps({"type": kind, **plain}))

    async def event(self, *kinds: str, **fields: Any) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while True:
                event: dict[str, Any] = json.loads(await self.socket.recv())
                if event["type"] in kinds and all(event.get(k) == v for k, v in fields.items()):
                    return event


@asynccontextmanager
async def remote(port: int, user: User) -> Any:
    headers = {"Authorization": f"Bearer {token_of(user)}"}
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/ws/", additional_headers=headers, max_size=None
    ) as socket:
        yield Remote(socket)


def test_everything_crosses_between_two_processes(
    webs: list[int], group: Conversation, talk: Conversation, fan: User, other_fan: User
) -> None:
    assert talk.persona is not None
    Fact.objects.create(persona=talk.persona, text="My cat is called Biscuit.")

    async def run() -> None:
        async with remote(webs[0], fan) as one, remote(webs[1], other_fan) as two:
            await one.send("join_conversation", conversation_id=group.pk)
            await two.send("join_conversation", conversation_id=group.pk)
            await one.event("conversation_joined")
            await two.event("conversation_joined")
            # Both learn of each other within a heartbeat.
            await two.event("presence_update", user_id=str(fan.pk), online=True)
            await one.event("presence_update", user_id=str(other_fan.pk), online=True)
            await one.send("typing_start", conversation_id=group.pk)
            await two.event("typing_indicator", is_typing=True)
            for n in range(20):
                sender = one if n % 2 else two
                await sender.send(
                    "send_message", conversation_id=group.pk, content=f"m{n}", client_id=f"{n}"
                )
            for each in (one, two):
                seqs = [(await each.event("new_message"))["message"]["seq"] for _ in range(20)]
                assert seqs == list(range(1, 21))
            await two.send("get_online_status", user_ids=[str(fan.pk)])
            assert (await two.event("online_status"))["status"] == {str(fan.pk): True}
        async with remote(webs[0], fan) as one, remote(webs[1], fan) as two:
            for each in (one, two):
                await each.send("join_conversation", conversation_id=talk.pk, last_seq=0)
                await each.event("resumed")
            await one.send("send_message", conversation_id=talk.pk, content="Your cat's name?")
            await one.event("new_message")
            await sync_to_async(_answer)()
            for each in (one, two):
                await each.event("reply_started")
                await each.event("reply_delta")
                await each.event("reply_finished")

    asyncio.run(run())


def _answer() -> None:
    replying.write(Reply.objects.get().pk)


def deaf_client(port: int, user: User, group: Conversation) -> socket.socket:
    """A socket that joins and then reads nothing, with next to no buffer of its own."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.settimeout(10)
    deaf.connect(("127.0.0.1", port))
    lines = [
        "GET /ws/ HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {token_of(user)}",
    ]
    deaf.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert b" 101 " in deaf.recv(20)
    join = {"type": "join_conversation", "conversation_id": str(group.pk)}
    frame = json.dumps(join).encode()
    deaf.sendall(b"\x81" + bytes([0x80 | len(frame)]) + b"\0\0\0\0" + frame)
    return deaf


def test_a_client_that_does_not_read_is_cut_and_costs_nobody_else(
    webs: list[int], group: Conversation, fan: User, other_fan: User
) -> None:
    async def shout() -> float:
        slowest = 0.0
        async with remote(webs[0], fan) as one:
            await one.send("join_conversation", conversation_id=group.pk)
            await one.event("conversation_joined")
            for n in range(150):
                began = time.monotonic()
                for part in range(10):
                    await one.send(
                        "send_message",
                        conversation_id=group.pk,
                        content="x" * 3_900,
                        client_id=f"{n}.{part}",
                    )
                for _ in range(10):
                    await one.event("ack")
                slowest = max(slowest, time.monotonic() - began)
        return slowest

    with deaf_client(webs[0], other_fan, group) as deaf:
        time.sleep(0.5)
        assert asyncio.run(shout()) < 3
        read = 0
        # It ends long before everything that was said has come.
        with suppress(ConnectionResetError):
            while data := deaf.recv(65_536):
                read += len(data)
        assert read < 6_000_000


def test_the_documented_python_client(
    webs: list[int], group: Conversation, fan: User, other_fan: User
) -> None:
    services.send_message(conversation=group, by=other_fan, content="first")

    async def run() -> list[str]:
        url = f"ws://127.0.0.1:{webs[0]}/ws/"
        chat = documented().Chat(url, token_of(fan), str(group.pk))
        await chat.send("second")
        got = []
        async with asyncio.timeout(15):
            async for message in chat.messages():
                got.append(message["content"])
                if len(got) == 2:
                    break
        return got

    assert asyncio.run(run()) == ["first", "second"]


def _node() -> list[str] | None:
    """The command of a node that has WebSocket: 22 by itself, 20 when asked."""
    if shutil.which("node") is None:
        return None
    for flags in ([], ["--experimental-websocket"]):
        command = ["node", "--no-warnings", *flags]
        asked = subprocess.run(
            [*command, "-p", "typeof WebSocket"], capture_output=True, check=False
        )
        if asked.stdout == b"function\n":
            return command
    return None


def test_the_documented_javascript_client(
    webs: list[int], group: Conversation, fan: User, other_fan: User
) -> None:
    if (node := _node()) is None:
        pytest.skip("the JavaScript client needs node 20.10 or newer")
    services.send_message(conversation=group, by=fan, content="first")
    url = f"ws://127.0.0.1:{webs[0]}/ws/"
    command = [*node, str(DOCS / "chat-client.mjs"), url, token_of(other_fan), str(group.pk)]
    with subprocess.Popen([*command, "second"], stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout is not None
            lines = [client.stdout.readline().strip() for _ in range(2)]
        finally:
            client.kill()
    assert lines == ["1 fan: first", "2 other_fan: second"]
