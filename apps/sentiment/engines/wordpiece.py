"""Cuts masked text into BERT's word pieces (Wu et al. 2016), keeping where each one stood.

Written out because the library for it brings a client of a model hub into a studio that must run
without one. `tests/sentiment/test_model.py` holds it to that library's pieces.
"""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

UNKNOWN, OPEN, CLOSE = 100, 101, 102
LONGEST_WORD = 100
_CHUNK = re.compile(r"\S+")
_CJK = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")

# A piece: where it starts and ends in its chunk, and its number.
Piece = tuple[int, int, int]


def _stands_alone(sign: str) -> bool:
    if sign.isascii():
        return not sign.isalnum()
    return unicodedata.category(sign)[0] == "P" or _CJK.match(sign) is not None


class WordPieces:
    """The pieces of texts by one vocabulary, BERT's uncased way."""

    def __init__(self, path: Path) -> None:
        words = path.read_text(encoding="utf-8").split("\n")
        self._numbers = {word: number for number, word in enumerate(words) if word}
        # Emoji that have a word of their own, for the masking.
        self.signs = frozenset(
            word for word in self._numbers if len(word) == 1 and ord(word) > 0x2000
        )
        self._chunk = lru_cache(maxsize=20_000)(self._cut)

    def knows(self, word: str) -> bool:
        """Whether a lower-case word of three letters or more is a word of the vocabulary."""
        return len(word) > 2 and word in self._numbers

    def pieces(self, text: str) -> list[Piece]:
        """Every piece of the text in its order."""
        found: list[Piece] = []
        for match in _CHUNK.finditer(text):
            at, chunk = match.start(), match.group()
            short = len(chunk) <= LONGEST_WORD
            for start, end, number in self._chunk(chunk) if short else self._cut(chunk):
                found.append((at + start, at + end, number))
        return found

    def _cut(self, chunk: str) -> tuple[Piece, ...]:
        found: list[Piece] = []
        start = 0
        for at, sign in enumerate(chunk):
            if _stands_alone(sign):
                self._word(chunk, start, at, found)
                self._word(chunk, at, at + 1, found)
                start = at + 1
        self._word(chunk, start, len(chunk), found)
        return tuple(found)

    def _word(self, chunk: str, start: int, end: int, found: list[Piece]) -> None:
        if start == end:
            return
        # Each letter of the plain form, and where its original stood.
        plain: list[str] = []
        places: list[int] = []
        for at in range(start, end):
            for part in unicodedata.normalize("NFD", chunk[at]):
                kind = unicodedata.category(part)
                if kind == "Mn" or (kind[0] == "C" and kind != "Cn") or part == "\ufffd":
                    continue
                for letter in part.lower():
                    plain.append(letter)
                    places.append(at)
        if not plain:
            return
        if len(plain) > LONGEST_WORD:
            found.append((start, end, UNKNOWN))
            return
        word = "".join(plain)
        pieces: list[Piece] = []
        at = 0
        while at < len(word):
            for to in range(len(word), at, -1):
                number = self._numbers.get(word[at:to] if at == 0 else f"##{word[at:to]}")
                if number is not None:
                    pieces.append((places[at], places[to - 1] + 1, number))
                    at = to
                    break
            else:
                found.append((start, end, UNKNOWN))
                return
        found.extend(pieces)
