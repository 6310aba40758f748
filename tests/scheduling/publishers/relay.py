"""A small Nostr relay on loopback: real WebSockets, every event's id and signature checked."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from apps.scheduling.publishers.nostr_event import is_genuine

Event = dict[str, Any]
Manner = Callable[["Relay", ServerConnection, Event], None]


@dataclass
class Relay:
    """What it stores, what it was told, and how it answers an event."""

    manner: Manner
    greeting: list[Any] | None = None
    url: str = ""
    events: dict[str, Event] = field(default_factory=dict)
    heard: list[Any] = field(default_factory=list)
    who: str = ""

    def serve(self, socket: ServerConnection) -> None:
        if self.greeting:
            say(socket, self.greeting)
        try:
            for text in socket:
                message = json.loads(text)
                self.heard.append(message)
                match message:
                    case ["EVENT", event]:
                        self.manner(self, socket, event)
                    case ["REQ", name, wanted]:
                        for event in self.events.values():
                            if event["id"] in wanted.get("ids", []):
                                say(socket, ["EVENT", name, event])
                        say(socket, ["EOSE", name])
                    case ["AUTH", event]:
                        self.who = event["pubkey"] if is_genuine(event) else ""
                        say(socket, ["OK", event["id"], bool(self.who), ""])
        except ConnectionClosed:
            pass

    @property
    def given(self) -> list[Event]:
        """The events it was handed, taken or not."""
        return [message[1] for message in self.heard if message[0] == "EVENT"]


def say(socket: ServerConnection, message: list[Any]) -> None:
    socket.send(json.dumps(message))


def takes(relay: Relay, socket: ServerConnection, event: Event) -> None:
    """As NIP-01 has it."""
    if not is_genuine(event):
        return say(socket, ["OK", event["id"], False, "invalid: bad signature"])
    if event["id"] in relay.events:
        return say(socket, ["OK", event["id"], True, "duplicate: already have this event"])
    relay.events[event["id"]] = event
    say(socket, ["OK", event["id"], True, ""])


def refuses(words: str) -> Manner:
    def manner(relay: Relay, socket: ServerConnection, event: Event) -> None:
        say(socket, ["OK", event["id"], False, words])

    return manner


def refuses_without_a_name(relay: Relay, socket: ServerConnection, event: Event) -> None:
    """As nostr-relay does."""
    say(socket, ["OK", "", False, "invalid: too old"])


def takes_and_breaks_off(relay: Relay, socket: ServerConnection, event: Event) -> None:
    """It has the event, and its answer is lost."""
    relay.events[event["id"]] = event
    socket.socket.close()


def wants_to_know_who(relay: Relay, socket: ServerConnection, event: Event) -> None:
    """NIP-42."""
    if relay.who == event["pubkey"]:
        return takes(relay, socket, event)
    say(socket, ["OK", event["id"], False, "auth-required: sign in first"])


def notices(words: str) -> Manner:
    """A relay from before OK: words for people, and no verdict."""

    def manner(relay: Relay, socket: ServerConnection, event: Event) -> None:
        say(socket, ["NOTICE", words])
        socket.close()

    return manner


@contextmanager
def running(manner: Manner = takes, greeting: list[Any] | None = None) -> Iterator[Relay]:
    """A relay on a port of its own until the end of the block."""
    relay = Relay(manner, greeting)
    server: Server
    with serve(relay.serve, "127.0.0.1", 0, compression=None) as server:
        relay.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield relay
    thread.join(timeout=5)
