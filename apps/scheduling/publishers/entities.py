"""What networks read as more than words in a text: links, mentions and hashtags.

Spans are in characters; a network that counts in something else converts them.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import regex

# Latin, Cyrillic and the signs of RFC 3986; other scripts end a link, as the networks have it.
_PATH = r"[\p{Latin}\p{Cyrillic}0-9!*';:=+,.$/%#\[\]\-–_~@|&?()]"
_LINK = regex.compile(
    r"(?<![A-Za-z0-9@$#_/])https?://"
    r"(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+"
    r"(?:xn--[a-z0-9-]+|[a-z]{2,}|\p{Cyrillic}{2,})"
    rf"(?::\d{{1,5}})?(?:[/?#]{_PATH}*+)?",
    regex.IGNORECASE,
)
_HASHTAG = regex.compile(r"(?<!\S)[#＃](\S{1,640})")
_ENDS_A_SENTENCE = ".,;:!?'\"]}"


class Span(NamedTuple):
    """A stretch of text and what it stands for."""

    start: int
    end: int
    value: str


def links(text: str) -> Iterator[Span]:
    """Every http and https link with a real host name, without the punctuation after it."""
    for match in _LINK.finditer(text):
        found = match.group()
        while found[-1] in _ENDS_A_SENTENCE or (
            found[-1] == ")" and found.count(")") > found.count("(")
        ):
            found = found[:-1]
        yield Span(match.start(), match.start() + len(found), found)


def hashtags(text: str) -> Iterator[Span]:
    """Every #tag that stands alone and is more than digits; the value has no #."""
    for match in _HASHTAG.finditer(text):
        tag = regex.sub(r"[\p{P}\p{C}]+$", "", match.group(1))
        if regex.search(r"[^\d\p{P}\p{C}\ufe0f]", tag) and not tag.startswith("\ufe0f"):
            yield Span(match.start(), match.start() + 1 + len(tag), tag)


def found(pattern: "regex.Pattern[str]", text: str) -> Iterator[Span]:
    """Every match as a span over all of it, standing for its first group."""
    for match in pattern.finditer(text):
        yield Span(match.start(), match.end(), match.group(1))


def apart_from(taken: list[Span], spans: Iterable[Span]) -> list[Span]:
    """Those of `spans` that overlap none of `taken`."""
    return [
        span
        for span in spans
        if not any(span.start < other.end and other.start < span.end for other in taken)
    ]
