"""Makes a text what the model was trained on; training and production both read through here.

Users become `@user` and links `http`, so that the model learns no names; emoji stand alone, as a
word of the vocabulary where it knows them and by their Unicode name where it does not; long
repetitions shrink. Every character keeps where it came from, so that evidence can point there.
"""

import re
import unicodedata
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache
from html import unescape

# No part repeats a repetition, so the time is linear in the text's length.
_PART = re.compile(
    r"""
     (?P<url>https?://\S+|www\.\S+|\bt\.co/\S+)
    |(?P<user>@\w+)
    |(?P<entity>&(?:[a-zA-Z]{2,8}|\#[0-9]{2,6});)
    |(?P<tag>\#\w+)
    |(?P<mark>[^\w\s\x00-\u2000\u2010-\u203b\u2041-\u20ff\u3000-\u303f\ud800-\udfff\uff00-\uffef]
        [\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]*)
    |(?P<letters>([^\W\d_])\7{2,})
    |(?P<signs>([^\w\s])\9{3,})
    |(?P<space>\s{2,}|[\x00-\x1f\x7f-\x9f\ud800-\udfff]+)
    """,
    re.VERBOSE,
)
# A hashtag's words, where capitals show them: "#SoHappy" as "# So Happy".
_HUMP = re.compile(r"[#]|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_SHORT: dict[str, Callable[[str], str]] = {
    "url": lambda whole: "http",
    "user": lambda whole: "@user",
    "entity": unescape,
    "letters": lambda whole: whole[:2],
    "signs": lambda whole: whole[:3],
}
MOST_NAME_WORDS, LONGEST_ROW = 4, 2


@dataclass(frozen=True, slots=True)
class Masked:
    """A text as the model sees it, and for each of its characters the span it stands for."""

    text: str
    spans: tuple[tuple[int, int], ...]


@lru_cache(maxsize=4_000)
def _named(sign: str) -> str:
    words = unicodedata.name(sign, "").lower().replace("-", " ").split()
    return " ".join(words[:MOST_NAME_WORDS]) or sign


def mask(text: str, known: Container[str] = ()) -> Masked:
    """The text masked; `known` holds the emoji that the vocabulary has words for."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []

    def put(piece: str, start: int, end: int) -> None:
        pieces.append(piece)
        spans.extend([(start, end)] * len(piece))

    last = row = 0
    before = ""
    for match in _PART.finditer(text):
        start, end = match.span()
        if start > last:
            pieces.append(text[last:start])
            spans.extend((at, at + 1) for at in range(last, start))
            before = ""
        last = end
        kind = match.lastgroup
        whole = match.group()
        if kind == "mark":
            row = row + 1 if whole[0] == before else 1
            before = whole[0]
            if row <= LONGEST_ROW:
                put(f" {before if before in known else _named(before)} ", start, end)
            continue
        if kind == "space":
            put(" ", start, end)
            continue
        before = ""
        if kind == "tag":
            for hump in _HUMP.finditer(whole):
                put(" ", start + hump.start(), start + hump.end())
                pieces.append(hump.group())
                spans.extend((start + at, start + at + 1) for at in range(*hump.span()))
        else:
            put(_SHORT[kind or ""](whole), start, end)
    pieces.append(text[last:])
    spans.extend((at, at + 1) for at in range(last, len(text)))
    return Masked("".join(pieces), tuple(spans))


def is_mark(sign: str) -> bool:
    """Whether a character is an emoji or a sign like one."""
    match = _PART.match(sign)
    return match is not None and match.lastgroup == "mark"
