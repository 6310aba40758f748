"""Sockets through the whole ASGI application, with real sessions, a real database, real Valkey."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client

from apps.chat import databases, fanout, hub, services, tasks
from apps.chat.models import Conversation
from apps.core.models import User
from apps.personas.models import Persona
from gator.asgi import application

T = TypeVar("T")
WAIT = 5.0


async def db(work: Callable[[], T]) -> T:
    """Database work from an async test."""
    return await databases.run(work)


class Socket:
    """A client's end of a socket."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.raw = communicator
        self.seen: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        frame = {key: str(v) if isinstance(v, UUID) else v for key, v in fields.items()}
        await self.raw.send_to(text_data=json.dumps({"type": kind, **frame}))

    async def event(self, *kinds: str, **fields: Any) -> dict[str, Any]:
        """The next event of one of these types whose fields are these; others are passed by."""
        while True:
            text = await self.raw.receive_from(timeout=WAIT)
            event: dict[str, Any] = json.loads(text)
            self.seen.append(event)
            if event["type"] in kinds and all(
                event.get(key) == (str(v) if isinstance(v, UUID) else v)
                for key, v in fields.items()
            ):
                return event

    async def nothing(self, *kinds: str, within: float = 0.3) -> None:
        """No event of these types comes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while (left := end - loop.time()) > 0:
            if await self.raw.receive_nothing(timeout=left, interval=0.01):
                return
            event = json.loads(await self.raw.receive_from())
            self.seen.append(event)
            assert event["type"] not in kinds, event

    async def join(self, conversation_id: UUID, **fields: Any) -> dict[str, Any]:
        await self.send("join_conversation", conversation_id=conversation_id, **fields)
        return await self.event("conversation_joined", conversation_id=conversation_id)

    async def closed(self) -> int:
        """Wait until the server closes; its code."""
        while True:
            event = await self.raw.receive_output(timeout=WAIT)
            if event["type"] == "websocket.close":
                return int(event.get("code", 1000))


def cookie_of(user: User) -> bytes:
    """A real session's cookie."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}".encode()


Connect = Callable[..., Any]


@pytest.fixture
async def connect(transactional_db: None) -> AsyncIterator[Connect]:
    """`async with connect(user) as socket`; `headers` and `path` as a client would give them."""

    @asynccontextmanager
    async def opened(
        user: User | None = None,
        *,
        path: str = "/ws/",
        headers: list[tuple[bytes, bytes]] | None = None,
        subprotocols: list[str] | None = None,
    ) -> AsyncIterator[Socket]:
        sent = [(b"host", b"localhost"), *(headers or [])]
        if user is not None:
            sent.append((b"cookie", await db(lambda: cookie_of(user))))
        communicator = WebsocketCommunicator(
            application, path, headers=sent, subprotocols=subprotocols
        )
        accepted, chosen = await communicator.connect(timeout=WAIT)
        assert accepted
        socket = Socket(communicator)
        socket.subprotocol = chosen  # type: ignore[attr-defined]
        try:
            yield socket
        finally:
            await communicator.disconnect()

    try:
        yield opened
    finally:
        await hub.stop()
        await asyncio.to_thread(databases.close_all)


@pytest.fixture(autouse=True)
def _answers_by_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[UUID]]:
    """No worker runs in these tests: what would wake one is gathered instead."""
    woken: list[UUID] = []
    monkeypatch.setattr(tasks, "wake", woken.extend)
    yield woken
    fanout._client.cache_clear()


@pytest.fixture
def woken(_answers_by_hand: list[UUID]) -> list[UUID]:
    """The answers for which a worker would have been woken."""
    return _answers_by_hand


@pytest.fixture
def mo(db: None) -> User:
    """Staff who look after conversations."""
    user = User.objects.create_user("mo", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="chat"))
    return user


@pytest.fixture
def group(fan: User, other_fan: User) -> Conversation:
    """A group of fan and other_fan, owned by fan."""
    return services.open_group(by=fan, title="Fog", users=[other_fan])


@pytest.fixture
def talk(fan: User, luna: Persona) -> Conversation:
    """Fan's conversation with Luna; its first message is the disclosure."""
    return services.open_conversation(user=fan, persona=luna)
