"""A network in a few lines: answers in turn, and keeps what it was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import Attachment, Outgoing

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass
class Network:
    """`answers` by "METHOD /path"; a list is used up in order, its last answer stays."""

    answers: dict[str, Answer | list[Answer]]
    asked: list[httpx.Request] = field(default_factory=list)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        name = f"{request.method} {request.url.path}"
        assert name in self.answers, f"Nobody expected {name}."
        answer = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    @property
    def names(self) -> list[str]:
        """What was asked, in order: "METHOD path"."""
        return [f"{each.method} {each.url.path.rsplit('/', 1)[-1]}" for each in self.asked]

    def body(self, position: int = -1) -> Any:
        """The JSON of one request."""
        return json.loads(self.asked[position].content)


def ok(answer: Any, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=answer, headers=headers)


def refusal(status: int, answer: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=answer, headers=named)


def photo(**changes: Any) -> Attachment:
    """A photo of fog, one byte large."""
    given: dict[str, Any] = {
        "name": "fog.jpg",
        "mime": "image/jpeg",
        "size": 1,
        "width": 800,
        "height": 600,
        "alt": "Fog over the river",
        "sha256": "0" * 64,
        "url": "https://gator.example/media/fog.jpg",
        "open": lambda: BytesIO(b"F"),
    }
    return Attachment(**{**given, **changes})


def clip(content: bytes = b"MOVIE", **changes: Any) -> Attachment:
    """A video of ten seconds of fog, which can be read only piece by piece."""
    given: dict[str, Any] = {
        "name": "fog.mp4",
        "mime": "video/mp4",
        "size": len(content),
        "width": 720,
        "height": 1280,
        "duration": 10.0,
        "url": "https://gator.example/media/fog.mp4",
        "open": lambda: Pieces(content),
    }
    return photo(**{**given, **changes})


class Pieces(BytesIO):
    """A file of which nobody may take more than a piece into memory."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 <= size <= 20_000_000, "A video is not read in one go."
        return super().read(size)


def post(**changes: Any) -> Outgoing:
    """A post made at noon."""
    given: dict[str, Any] = {"key": "3kkeytestpost", "text": "Good morning", "created_at": NOON}
    return Outgoing(**{**given, **changes})


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is ten seconds after the one before."""
    now = iter(range(0, 100_000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
