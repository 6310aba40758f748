"""Text as X counts it, and known again when X lists it with short links."""

import time
from typing import Any

import pytest

from apps.scheduling.publishers import x_text


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Good morning", 12),
        ("Olá, náufrago", 13),
        ("e\u0301", 1),
        ("Доброе утро", 11),
        ("“fog” – and…", 13),
        ("霧がかかった朝", 14),
        ("안녕", 4),
        ("🌫", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("👍🏽🇵🇹🏳️‍🌈", 6),
        ("1️⃣", 2),
        ("❤️", 2),
        ("❤", 2),
        ("©", 1),
        ("a\nb", 3),
        ("https://a.example", 23),
        ("https://a.example/" + "x" * 500, 23),
        ("see https://a.example/x, please", 35),
        ("霧https://a.example/x", 25),
        ("example.com", 23),
        ("See example.com/fog.", 28),
        ("me@example.com", 14),
        ("The end.Then", 12),
        ("@bob@b.example", 14),
        ("#fog", 4),
    ],
)
def test_length_as_x_counts(text: str, length: int) -> None:
    assert x_text.length(text) == length


def listed(text: str, *urls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "1", "text": text, "entities": {"urls": list(urls)}, **more}


LINK = {"url": "https://t.co/a1", "expanded_url": "https://a.example/fog?x=1&y=2"}
PICTURE = {"url": "https://t.co/p1", "expanded_url": "https://x.com/luna/status/1/photo/1"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Good morning", listed("Good morning")),
        ("Good morning", {"id": "1", "text": "Good morning"}),
        ("Fish & chips <3", listed("Fish &amp; chips &lt;3")),
        ("See https://a.example/fog?x=1&y=2", listed("See https://t.co/a1", LINK)),
        ("Good morning", listed("Good morning https://t.co/p1", PICTURE)),
        ("", listed("https://t.co/p1", {**PICTURE, "media_key": "3_1"})),
        (
            "See a.example",
            listed(
                "See https://t.co/b", {"url": "https://t.co/b", "expanded_url": "http://a.example/"}
            ),
        ),
        ("e\u0301 fog", listed("é  fog")),
        ("L" + "o" * 300, listed("Looo", note_tweet={"text": "L" + "o" * 300})),
    ],
)
def test_our_text_is_known_again(ours: str, theirs: dict[str, Any]) -> None:
    assert x_text.same(ours, theirs)


@pytest.mark.parametrize(
    "theirs",
    [
        listed("Good morning!"),
        listed("Good"),
        listed("Good morning https://t.co/a1", LINK),
        listed(""),
        {},
        None,
        [],
        {"text": 7, "entities": {"urls": "x"}},
        {"text": "Good", "entities": {"urls": [None, {"url": 7}]}},
    ],
)
def test_another_text_is_not(theirs: Any) -> None:
    assert not x_text.same("Good morning", theirs)


@pytest.mark.parametrize("text", ["a." * 20_000, "https://" * 9_000, "👨‍" * 20_000, "a-" * 20_000])
def test_counting_takes_no_time_whatever_the_text(text: str) -> None:
    start = time.monotonic()
    x_text.length(text)
    assert time.monotonic() - start < 2
