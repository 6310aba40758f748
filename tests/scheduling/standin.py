"""A network in this process that does what a test tells it, with the three kinds of safety."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.scheduling.publishers.base import (
    Account,
    Identity,
    Limits,
    Outgoing,
    Posted,
    Publisher,
    Receipt,
    Safety,
)


class StandIn(Publisher):
    """Keeps what was published; `behave` is called for each publish and may raise or wait."""

    label = "Stand-in"
    replies = True

    def __init__(self, safety: str = "keyed", characters: int | None = 300) -> None:
        self.safety = Safety(safety)  # type: ignore[misc]
        self.characters = characters
        self.there: list[tuple[str, str, datetime]] = []
        self.calls: list[Outgoing] = []
        self.behave: Callable[[Outgoing], Any] = lambda outgoing: None
        # Called after the post is there: a lost answer.
        self.answer: Callable[[Outgoing], Any] = lambda outgoing: None
        # Called for each removal and may raise.
        self.removal: Callable[[Posted], Any] = lambda posted: None
        # Called while it uploads, where it does.
        self.upload: Callable[[Outgoing], Any] = lambda outgoing: None
        self._lock = threading.Lock()

    def limits(self, account: Account) -> Limits:
        return Limits(characters=self.characters, images=4)

    def test(self, account: Account) -> Identity:
        return Identity(handle=account.handle, facts={"characters": 300})

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        self.calls.append(outgoing)
        self.behave(outgoing)
        with self._lock:
            known = [key for key, _, _ in self.there if key == outgoing.key]
            if not (known and self.safety is Safety.KEYED):
                self.there.append((outgoing.key, outgoing.full_text, timezone.now()))
        self.answer(outgoing)
        return Receipt(remote_id=outgoing.key, url=f"https://example.org/{outgoing.key}")

    def unpublish(self, account: Account, posted: Posted) -> None:
        self.removal(posted)
        self.there = [each for each in self.there if each[0] != posted.key]

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        for key, text, at in self.there:
            if text == outgoing.full_text and at >= since:
                return Receipt(remote_id=key, url=f"https://example.org/{key}")
        return None


class Blind(StandIn):
    """A network that neither knows keys nor lists posts."""

    find = Publisher.find
    unpublish = Publisher.unpublish

    def __init__(self) -> None:
        super().__init__(safety="blind")


class Uploading(StandIn):
    """A network that takes something beforehand."""

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        self.upload(outgoing)
        return {"uploaded": True}
