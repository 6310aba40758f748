"""One conversation with one Nostr relay over a WebSocket (NIP-01; NIP-42 where it asks who we are).

What a relay says becomes one of the four errors. It sees signed events and filters, never a key.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from threading import Timer
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apps.core import http
from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Permanent,
    PublishError,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.calling import bounded
from apps.scheduling.publishers.nostr_event import Event, Signer

LARGEST_MESSAGE = 1_000_000
# More than any relay has to say before its answer.
MOST_MESSAGES = 200
MOST_EVENTS = 100
AUTHENTICATION = 22242


class Relay:
    """A relay that is connected, until the deadline of this conversation."""

    def __init__(self, url: str, socket: ClientConnection, signer: Signer, deadline: float) -> None:
        self.url, self._socket, self._signer, self._deadline = url, socket, signer, deadline
        self._challenge = self._notice = ""

    def submit(self, event: Event) -> None:
        """Hand an event in; returns once the relay has it, whether from now or from before."""
        self._send(["EVENT", event])
        taken, said = self._verdict(event)
        if not taken and said.startswith("auth-required:") and self._challenge:
            self._authenticate()
            self._send(["EVENT", event])
            taken, said = self._verdict(event)
        if not taken and not said.startswith("duplicate:"):
            raise self._refusal(said)

    def ask(self, wanted: Mapping[str, Any]) -> list[Event]:
        """The stored events that fit a filter."""
        question = ["REQ", "gator", wanted]
        found: list[Event] = []
        self._send(question)
        for message in self._messages():
            match message:
                case ["EVENT", "gator", dict(event)] if len(found) < MOST_EVENTS:
                    found.append(event)
                case ["EOSE", "gator"]:
                    return found
                case ["CLOSED", "gator", str(said)]:
                    if not said.startswith("auth-required:") or not self._challenge:
                        raise self._refusal(said)
                    self._authenticate()
                    self._send(question)
        self._silent()

    def _authenticate(self) -> None:
        tags = [["relay", self.url], ["challenge", self._challenge]]
        # A challenge is answered once: a relay that asks for ever is refused.
        self._challenge = ""
        answer = self._signer.event(
            kind=AUTHENTICATION, content="", tags=tags, created_at=int(time.time())
        )
        self._send(["AUTH", answer])
        taken, said = self._verdict(answer)
        if not taken:
            raise self._refusal(said or "restricted: it does not take our signature")

    def _verdict(self, event: Event) -> tuple[bool, str]:
        """Whether the relay took an event, and its words."""
        for message in self._messages():
            match message:
                # nostr-relay refuses without naming the event; there is only this one.
                case ["OK", str(number), bool(taken), *said] if number == event["id"] or (
                    not number and not taken
                ):
                    return taken, str(said[0])[:1_000] if said else ""
        self._silent()

    def _messages(self) -> Iterator[Any]:
        """What the relay says from now on; its challenge and its notices are kept aside."""
        for _ in range(MOST_MESSAGES):
            try:
                text = self._socket.recv(timeout=max(0.0, self._deadline - time.monotonic()))
                message = json.loads(text)
            except (TimeoutError, ConnectionClosed):
                return
            except (ValueError, RecursionError):
                continue
            match message:
                case ["AUTH", str(challenge)]:
                    self._challenge = challenge[:1_000]
                case ["NOTICE", str(words)]:
                    self._notice = words
                case _:
                    yield message

    def _send(self, message: Any) -> None:
        try:
            self._socket.send(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
        except (ConnectionClosed, OSError):
            self._silent()

    def _silent(self) -> NoReturn:
        words = f" It said: {bounded(self._notice)}" if self._notice else ""
        raise Unconfirmed(f"{self.url} did not answer.{words}", code="no_answer")

    def _refusal(self, said: str) -> PublishError:
        """What a refusal means, by the word that NIP-01 puts before its colon."""
        kind = said.partition(":")[0].strip()
        words = f"{self.url}: {bounded(said) or 'refused without a word'}"
        match kind:
            case "rate-limited":
                return Temporary(words, code="rate_limited", whole_account=True)
            case "error":
                return Temporary(words, code="relay_error")
            case "auth-required" | "restricted":
                return NeedsReconnect(words, code="restricted")
            case _:
                known = kind in ("blocked", "invalid", "pow")
                return Permanent(words, code=kind if known else "refused")


@contextmanager
def connected(url: str, signer: Signer, *, seconds: float) -> Iterator[Relay]:
    """A relay to talk to for so long; raises Temporary or Permanent where it cannot be reached."""
    deadline = time.monotonic() + seconds
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "wss"
    try:
        plain = http.open_socket(host, parts.port or (443 if secure else 80), seconds=seconds / 2)
        opened = connect(
            url,
            sock=plain,
            ssl=ssl.create_default_context() if secure else None,
            proxy=None,
            compression=None,
            ping_interval=None,
            open_timeout=max(0.1, deadline - time.monotonic()),
            close_timeout=1,
            max_size=LARGEST_MESSAGE,
            user_agent_header=f"Gator/{settings.VERSION}",
        )
    except http.AddressRefused as error:
        raise Permanent(bounded(error), code="private_address") from None
    except InvalidStatus as error:
        status = error.response.status_code
        if status == 429 or status >= 500:
            raise Temporary(f"{url} answers HTTP {status}.", code="unreachable") from None
        raise Permanent(f"{url} is no relay: HTTP {status}.", code="bad_address") from None
    except (httpx.ConnectError, OSError, InvalidHandshake, EOFError) as error:
        words = f"{url} could not be reached: {bounded(error) or type(error).__name__}"
        raise Temporary(words, code="unreachable") from None
    with opened as socket:
        # A relay that reads nothing would hold a write for ever.
        watch = Timer(max(0.1, deadline - time.monotonic()) + 1, _cut, [socket])
        watch.daemon = True
        watch.start()
        try:
            yield Relay(url, socket, signer, deadline)
        finally:
            watch.cancel()


def _cut(socket: ClientConnection) -> None:
    with suppress(OSError):
        socket.socket.shutdown(SHUT_RDWR)
