"""The protocol's module and its page say the same; every frame is read or refused, never broken."""

import json
import re
from pathlib import Path
from typing import Any, NotRequired, get_type_hints
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.chat import protocol
from apps.chat.connection import Connection
from apps.chat.protocol import BadFrame

PAGE = (Path(__file__).resolve().parents[2] / "docs/chat-protocol.md").read_text()

GOOD: dict[str, Any] = {
    "conversation_id": str(uuid4()),
    "persona_id": str(uuid4()),
    "message_id": str(uuid4()),
    "reply_id": str(uuid4()),
    "last_seq": 3,
    "last_change": 0,
    "seq": 7,
    "remove": True,
    "content": "Hello",
    "client_id": "c-1",
    "emoji": "🌊",
    "token": "abc",
    "user_ids": [str(uuid4())],
    "attachment_ids": [str(uuid4())],
}


def documented(heading: str) -> dict[str, set[str]]:
    """The types of one table of the page, with their fields."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| ", part, re.M)
    return {name: set(re.findall(r"`(\w+\??)`", fields)) for name, fields in rows}


def fields_of(shape: type) -> set[str]:
    hints = get_type_hints(shape, include_extras=True)
    return {
        name + ("?" if getattr(hint, "__origin__", None) is NotRequired else "")
        for name, hint in hints.items()
        if name not in ("type", "timestamp")
    }


def test_the_page_names_what_clients_send() -> None:
    assert documented("From client to server") == {
        name: fields_of(shape) for name, shape in protocol.CLIENT_EVENTS.items()
    }


def test_the_page_names_what_the_server_sends() -> None:
    assert documented("From server to client") == {
        name: fields_of(shape) for name, shape in protocol.SERVER_EVENTS.items()
    }


def test_the_page_names_every_error() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|$", PAGE.split("## Errors\n")[1], re.M)
    assert dict(rows) == protocol.ERROR_CODES


def test_every_client_event_has_a_handler() -> None:
    assert set(Connection._HANDLERS) == set(protocol.CLIENT_EVENTS)


@pytest.mark.parametrize("kind", protocol.CLIENT_EVENTS)
def test_every_frame_is_read_and_each_of_its_fields_is_checked(kind: str) -> None:
    shape = protocol.CLIENT_EVENTS[kind]
    names = {name.removesuffix("?"): name.endswith("?") for name in fields_of(shape)}
    whole = {"type": kind, **{name: GOOD[name] for name in names}}
    assert set(protocol.parse(json.dumps(whole))) == {"type", *names}
    for name, optional in names.items():
        without = {key: value for key, value in whole.items() if key != name}
        if optional:
            assert name not in protocol.parse(json.dumps(without))
            assert name not in protocol.parse(json.dumps({**whole, name: None}))
        else:
            with pytest.raises(BadFrame, match=name):
                protocol.parse(json.dumps(without))
        wrongs: list[Any] = [{}, [], [[]], 1.5, -1, name != "remove" or "yes", "x" * 5_000]
        for wrong in wrongs:
            if name == "user_ids" and wrong == [] or name == "attachment_ids" and wrong == []:
                continue
            with pytest.raises(BadFrame):
                protocol.parse(json.dumps({**whole, name: wrong}))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "binary"),
        ("", "malformed"),
        ("hello", "malformed"),
        ("[]", "malformed"),
        ("null", "malformed"),
        ('"ping"', "malformed"),
        ("{" * 100_000, "too_large"),
        ("[" * 60_000, "malformed"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "malformed"),
        ('{"type":"ping"}' + " " * 70_000, "too_large"),
        ("{}", "unknown_type"),
        ('{"type":"nope"}', "unknown_type"),
        ('{"type":["ping"]}', "unknown_type"),
        ('{"type":{"a":1}}', "unknown_type"),
        ('{"type":"typing_start","conversation_id":NaN}', "malformed"),
        ('{"type":"typing_start","conversation_id":"\\ud800"}', "malformed"),
        ('{"type":"read","conversation_id":"x","seq":1}', "bad_field"),
        ('{"type":"ping"}\x00', "malformed"),
        ("\ud800", "malformed"),
    ],
)
def test_hostile_frames_are_refused_by_name(text: str | None, code: str) -> None:
    with pytest.raises(BadFrame) as refused:
        protocol.parse(text)
    assert refused.value.code == code
    assert json.loads(protocol.error_event(refused.value))["code"] == code


@given(st.text() | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", *GOOD]), inner),
).map(json.dumps))  # fmt: skip
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    try:
        assert protocol.parse(text)["type"] in protocol.CLIENT_EVENTS
    except BadFrame as refused:
        assert refused.code in protocol.ERROR_CODES


def test_words_lose_what_no_reader_wants() -> None:
    assert protocol.clean_content(" a\x00b\r\nc\td\x07\x7f ") == "ab\nc\td"
