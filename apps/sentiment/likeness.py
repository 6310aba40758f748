"""How alike two texts are: fingerprints for copies, weighted words for what is merely similar."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from apps.sentiment.engines import grammar
from apps.sentiment.engines.tokens import EMOJI, TAG, WORD, shortened, tokenize

# Words read of one text: enough to know it by.
_WORDS_READ = 400
FUNCTION_WEIGHT = 0.01


def _words(text: str) -> list[str]:
    found = []
    for token in tokenize(text[:20_000]):
        if token.kind == WORD:
            short = shortened(token.word)
            found.append(short[-1] if short else token.word[:60])
        elif token.kind == TAG:
            found.append(token.surface[1:61].lower())
        elif token.kind == EMOJI:
            found.append(token.surface[0])
        if len(found) >= _WORDS_READ:
            break
    return found


def fingerprint(text: str) -> tuple[int, int]:
    """A number that copies share, and how many different words it rests on.

    Names, links, digits, marks, capitals, order and elongation do not count, so that the usual
    disguises of a copy keep its number.
    """
    words = sorted(set(_words(text)))
    digest = hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True), len(words)


def digest(text: str) -> str:
    """SHA-256 of a text as people see it: white space and case do not count."""
    seen = " ".join(text.split()).casefold()
    return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()


def features(text: str) -> dict[str, float]:
    """A text as weighted words and pairs of words, of length one."""
    words = _words(text)
    count: Counter[str] = Counter()
    for word in words:
        count[word] += FUNCTION_WEIGHT if word in grammar.FUNCTION else 1.0  # type: ignore[assignment]
    for first, second in zip(words, words[1:], strict=False):
        plain = first in grammar.FUNCTION and second in grammar.FUNCTION
        count[f"{first} {second}"] += FUNCTION_WEIGHT if plain else 0.7  # type: ignore[assignment]
    weights = {name: math.sqrt(value) for name, value in count.items()}
    length = math.sqrt(sum(value * value for value in weights.values())) or 1.0
    return {name: value / length for name, value in weights.items()}


class Neighbours:
    """Texts with a number each, found again by likeness."""

    def __init__(self, rows: Iterable[tuple[str, float]]) -> None:
        self.numbers: list[float] = []
        self._where: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for text, number in rows:
            place = len(self.numbers)
            self.numbers.append(number)
            for name, weight in features(text).items():
                self._where[name].append((place, weight))

    def __len__(self) -> int:
        return len(self.numbers)

    def nearest(self, text: str, most: int, least: float) -> Sequence[tuple[float, float]]:
        """Up to `most` pairs of likeness (at least `least`) and number, the likest first."""
        likeness: defaultdict[int, float] = defaultdict(float)
        for name, weight in features(text).items():
            for place, other in self._where.get(name, ()):
                likeness[place] += weight * other
        near = [(value, place) for place, value in likeness.items() if value >= least]
        near.sort(reverse=True)
        return [(value, self.numbers[place]) for value, place in near[:most]]
