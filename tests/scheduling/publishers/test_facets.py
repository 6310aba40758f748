"""Bluesky marks bytes, not characters: every facet must cut out exactly the words it is for."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scheduling.publishers import facets

DIDS = {"bob.example": "did:plc:bob", "a-b.co.uk": "did:plc:ab"}


def marked(text: str) -> list[tuple[str, str]]:
    """Each facet as (the words it covers, what they stand for)."""
    found = []
    for facet in facets.of(text, DIDS):
        index, (feature,) = facet["index"], facet["features"]
        covered = text.encode()[index["byteStart"] : index["byteEnd"]].decode()
        found.append((covered, feature.get("uri") or feature.get("did") or feature.get("tag")))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", []),
        ("see https://a.example/x", [("https://a.example/x", "https://a.example/x")]),
        ("👨‍👩‍👧 https://a.example", [("https://a.example", "https://a.example")]),
        ("霧https://a.example。", [("https://a.example", "https://a.example")]),
        ("(https://a.example/x).", [("https://a.example/x", "https://a.example/x")]),
        (
            "https://en.example/wiki/Fog_(weather)",
            [("https://en.example/wiki/Fog_(weather)", "https://en.example/wiki/Fog_(weather)")],
        ),
        (
            "https://a.example/?q=1&r=2#z!",
            [("https://a.example/?q=1&r=2#z", "https://a.example/?q=1&r=2#z")],
        ),
        ("HTTPS://A.EXAMPLE", [("HTTPS://A.EXAMPLE", "HTTPS://A.EXAMPLE")]),
        ("https://münchen.example", [("https://münchen.example", "https://münchen.example")]),
        ("ftp://a.example https:// http://localhost/x", []),
        ("a #fog b", [("#fog", "fog")]),
        ("🌫️ #névoa!", [("#névoa", "névoa")]),
        ("#霧 #2026 #a1 # #! ##x", [("#霧", "霧"), ("#a1", "a1"), ("##x", "#x")]),
        ("no#tag https://a.example/#tag", [("https://a.example/#tag", "https://a.example/#tag")]),
        ("#" + "a" * 65, []),
        ("é @bob.example!", [("@bob.example", "did:plc:bob")]),
        ("@BOB.example.", [("@BOB.example", "did:plc:bob")]),
        ("(@a-b.co.uk)", [("@a-b.co.uk", "did:plc:ab")]),
        ("@nobody.example me@bob.example @bob", []),
        ("https://x.example/@bob.example", [("https://x.example/@bob.example",) * 2]),
        (
            "@bob.example 🦊 #fog https://a.example",
            [
                ("@bob.example", "did:plc:bob"),
                ("#fog", "fog"),
                ("https://a.example", "https://a.example"),
            ],
        ),
    ],
)
def test_facets_cover_their_words(text: str, expected: list[tuple[str, str]]) -> None:
    assert marked(text) == expected


PIECES = st.sampled_from(
    [
        "https://a.example/x",
        "#fog",
        "@bob.example",
        "🏳️‍🌈",
        "e\u0301",
        "霧",
        " ",
        "\n",
        ".",
        "(",
        ")",
        "@",
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=20).map("".join))
def test_facets_never_overlap_and_never_split_a_letter(text: str) -> None:
    end = 0
    for facet in facets.of(text, DIDS):
        index = facet["index"]
        assert end <= index["byteStart"] < index["byteEnd"] <= len(text.encode())
        text.encode()[index["byteStart"] : index["byteEnd"]].decode()
        end = index["byteEnd"]


@pytest.mark.parametrize(
    "text",
    [
        "https://" + "a" * 50_000,
        "https://" + "a." * 20_000,
        "https://a.example/" + ")" * 20_000,
        "@" + "a-" * 20_000,
        "#" * 50_000,
    ],
    ids=["one label", "many labels", "brackets", "mention", "hashtag"],
)
def test_a_hostile_text_is_read_quickly(text: str) -> None:
    start = time.monotonic()
    facets.of(text, {})
    assert time.monotonic() - start < 2
