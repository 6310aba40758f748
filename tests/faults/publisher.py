"""Publishers for the stand-in network of tests/faults/network.py, one per kind of safety."""

from datetime import datetime
from typing import Any

import httpx

from apps.core import http
from apps.scheduling.publishers.base import (
    Account,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Publisher,
    Receipt,
    Safety,
    Temporary,
    Unconfirmed,
)

DEADLINE_SECONDS = 3.0


class Keyed(Publisher):
    """The stand-in recognises a key it has seen."""

    label = "Keyed stand-in"
    safety = Safety.KEYED
    replies = True

    def __init__(self, server: str) -> None:
        self.server = server
        self.client = http.client(timeout=httpx.Timeout(2.5, connect=1))

    def limits(self, account: Account) -> Limits:
        return Limits(characters=500)

    def test(self, account: Account) -> Identity:
        return Identity(handle=account.handle)

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        body = {
            "kind": self.safety.value,
            "key": outgoing.key,
            "text": outgoing.full_text,
            "reply_to": outgoing.reply_to.id if outgoing.reply_to else "",
        }
        try:
            answer = self._call("POST", "/publish", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Temporary(f"refused: {error}") from error
        except httpx.HTTPError as error:
            raise Unconfirmed(f"{type(error).__name__}: {error}") from error
        if answer.status_code == 429:
            raise Temporary("rate limit", retry_after=1, whole_account=True)
        if answer.status_code >= 500:
            raise Unconfirmed(f"HTTP {answer.status_code}")
        if answer.status_code >= 400:
            raise Permanent(f"HTTP {answer.status_code}")
        return Receipt(remote_id=str(answer.json()["id"]), url=f"{self.server}/{outgoing.key}")

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(
            method,
            self.server + path,
            extensions={"deadline": DEADLINE_SECONDS},
            **options,
        )


class Listable(Keyed):
    """The stand-in ignores keys and lists what was posted."""

    label = "Listable stand-in"
    safety = Safety.LISTABLE

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        try:
            answer = self._call("GET", "/posts", params={"since": since.timestamp()})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Temporary(str(error)) from error
        for post in answer.json():
            if post["text"] == outgoing.full_text:
                return Receipt(remote_id=str(post["id"]), url=f"{self.server}/{post['id']}")
        return None


class Blind(Keyed):
    """The stand-in ignores keys and lists nothing."""

    label = "Blind stand-in"
    safety = Safety.BLIND
