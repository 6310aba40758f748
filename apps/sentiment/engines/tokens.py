"""Cuts a text into words, hashtags, emoticons, emoji and marks, keeping where each one stood."""

import re
from functools import lru_cache

WORD, TAG, EMOTICON, EMOJI, STOP, COMMA, MENTION, URL, NUMBER = range(9)

# No part repeats a repetition, so the time is linear in the text's length.
_TOKEN = re.compile(
    r"""
     (?P<url>https?://\S+|www\.\S+)
    |(?P<mention>@\w+)
    |(?P<tag>\#\w+)
    |(?P<emoticon>
        (?<!\w)(?: [>]?[:;=][-~o^'’]?(?:[)(\]\[}{/\\|*@3]{1,9}|[DPpOo](?!\w))
                 | [xX]D+(?!\w) | D:(?!\S) | (?<!\S)[()][-']?[:;=](?!\S)
                 | \^_*\^ | -_+- | T_T | ;_; | </?3+ | \\o/ )
     )
    |(?P<word>[^\W\d_]+(?:['’-][^\W\d_]+)*)
    |(?P<number>\d[\d.,:]*%?)
    |(?P<stop>[.!?…\n\r]+)
    |(?P<comma>[,;:()"“”–—\[\]|/]+)
    |(?P<emoji>[^\w\s\x00-\x7f][\ufe0f\u200d\U0001f3fb-\U0001f3ff]*)
    """,
    re.VERBOSE,
)
_KINDS = {
    "word": WORD,
    "tag": TAG,
    "emoticon": EMOTICON,
    "emoji": EMOJI,
    "stop": STOP,
    "comma": COMMA,
    "mention": MENTION,
    "url": URL,
    "number": NUMBER,
}
_ELONGATED = re.compile(r"(.)\1{2,}")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
# Longer words and tags are no words of any lexicon; looking inside them would only cost time.
LONGEST_WORD = 40


class Token:
    """One piece of the text: its kind, its lower-case form, and where it stood."""

    __slots__ = ("end", "kind", "start", "surface", "word")

    def __init__(self, kind: int, surface: str, start: int, end: int) -> None:
        self.kind = kind
        self.surface = surface
        self.word = surface.lower().replace("’", "'") if kind == WORD else surface
        self.start = start
        self.end = end


def tokenize(text: str) -> list[Token]:
    """Every token of the text in its order."""
    kinds = _KINDS
    return [
        Token(kinds[match.lastgroup or "word"], match.group(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
    ]


@lru_cache(maxsize=20_000)
def shortened(word: str) -> tuple[str, ...]:
    """An elongated word as it may have been meant: "sooo" as "soo" and "so"; else nothing."""
    if len(word) > LONGEST_WORD * 5 or not _ELONGATED.search(word):
        return ()
    return _ELONGATED.sub(r"\1\1", word), _ELONGATED.sub(r"\1", word)


def split_humps(tag: str) -> list[str]:
    """A hashtag's words where capitals or underscores show them: "#SoHappy" as "so", "happy"."""
    return [part.lower() for part in _HUMPS.findall(tag[: LONGEST_WORD * 2])]


def split_known(tag: str, known: "frozenset[str] | dict[str, object]") -> list[str]:
    """A hashtag cut into the fewest known words; empty when it cannot be cut so."""
    if len(tag) > LONGEST_WORD:
        return []
    best: list[list[str] | None] = [[]] + [None] * len(tag)
    for end in range(1, len(tag) + 1):
        for start in range(max(0, end - 16), end):
            before = best[start]
            piece = tag[start:end]
            if before is None or (len(piece) == 1 and piece not in "ai") or piece not in known:
                continue
            there = best[end]
            if there is None or len(before) + 1 < len(there):
                best[end] = [*before, piece]
    return best[-1] or []
