"""The shipped engine: the trained network and the rules, weighed as validation data say."""

import hashlib
import logging
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.sentiment.engines.base import (
    EMOTIONS,
    FOREMOST,
    INTENTS,
    NEUTRAL_UP_TO,
    PLAIN_UP_TO,
    UNKNOWN_LANGUAGE,
    Analysis,
    Evidence,
    label_for,
)
from apps.sentiment.engines.network import WEIGHTS, BadWeights, Network, Read
from apps.sentiment.engines.rules import RuleEngine

log = logging.getLogger(__name__)
NAME, VERSION = "blend", "4"
# Texts whose analyses are kept, by digest; comments repeat ("nice", "first", emoji).
KEPT = 4_096
MOST_EVIDENCE = 40
LEAST_PART, ABOVE_USUAL = 0.05, 1.3
# Read together, so that memory stays flat however many texts are asked about.
CHUNK = 512
_WORDS = re.compile(r"[^\W\d_]+")
_WORDS_READ = 1_000


class BlendEngine:
    """Reads English by a small transformer and by rules; other languages by their emoji alone."""

    version = VERSION

    def __init__(self, folder: str | Path = WEIGHTS, *, alone: bool = False) -> None:
        """`alone` leaves the rules out of the verdict, to measure what they add."""
        self.name = "model" if alone else NAME
        self._network = Network(Path(folder))
        self._fit: dict[str, Any] = self._network.manifest["fit"]
        self._cuts: list[float] = self._network.manifest["cuts"]
        self._columns: dict[str, slice] = {}
        start = 0
        for name, width in self._network.manifest["columns"].items():
            self._columns[name] = slice(start, start + width)
            start += width
        self._alone = alone
        self._rules = RuleEngine()
        self._kept: OrderedDict[bytes, Analysis] = OrderedDict()
        self._lock = threading.Lock()

    def analyze(self, text: str) -> Analysis:
        """Read one text."""
        return self.analyze_many([text])[0]

    def analyze_many(self, texts: Iterable[str]) -> list[Analysis]:
        """Read several texts, equal ones once; answers in the order of the questions."""
        asked = list(texts)
        keys = [_key(text) for text in asked]
        known: dict[bytes, Analysis] = {}
        unread: dict[bytes, str] = {}
        with self._lock:
            for key, text in zip(keys, asked, strict=True):
                if key in self._kept:
                    self._kept.move_to_end(key)
                    known[key] = self._kept[key]
                else:
                    unread[key] = text
        waiting = list(unread.items())
        for start in range(0, len(waiting), CHUNK):
            some = waiting[start : start + CHUNK]
            analyses = self._read([text for _, text in some])
            known.update(zip((key for key, _ in some), analyses, strict=True))
        with self._lock:
            for key in unread:
                self._kept[key] = known[key]
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return [known[key] for key in keys]

    def _read(self, texts: Sequence[str]) -> list[Analysis]:
        ruled = [self._rules.analyze(text) for text in texts]
        # What holds no word of a language the network knows, the rules alone read.
        mine = [at for at, each in enumerate(ruled) if self._readable(each, texts[at])]
        try:
            said = self._network.read([texts[at] for at in mine])
        except (BadWeights, OSError) as error:
            # Reading must go on; each analysis says that the rules made it.
            log.error("The sentiment model is not used: %s", error)
            return ruled
        found = [replace(each, engine=self.name, version=VERSION) for each in ruled]
        for at, read in zip(mine, said, strict=True):
            found[at] = self._weigh(texts[at], ruled[at], read)
        return found

    def _readable(self, rules: Analysis, text: str) -> bool:
        if rules.word_count == 0:
            return any(not sign.isspace() for sign in text)
        if rules.language != UNKNOWN_LANGUAGE:
            return rules.language == "en"
        # Too few words to tell: the network reads them where it has a word for each of them.
        knows = self._network.pieces.knows
        return all(knows(word) for word in _WORDS.findall(text[:_WORDS_READ].lower()))

    def _weigh(self, text: str, rules: Analysis, read: Read) -> Analysis:
        # Plain numbers: for a handful of them numpy costs ten times the arithmetic.
        logits: list[float] = read.logits.tolist()
        said = {name: logits[columns] for name, columns in self._columns.items()}
        chances, decided = self._sides(rules, said, read.mood)
        score = self._score(rules, read, chances, decided)
        label = label_for(score)
        confidence = chances[decided]
        return replace(
            rules,
            score=score,
            label=label,
            confidence=round(confidence, 3),
            abstained=confidence < self._fit["unsure_below"],
            intent=self._intent(rules, said["intents"]),
            engine=self.name,
            version=VERSION,
            probabilities=(chances[0], chances[1], chances[2]),
            emotions=self._emotions(rules, said["emotions"]),
            foremost=self._foremost(said["four"]),
            evidence=_evidence(text, rules, read),
        )

    def _sides(
        self, rules: Analysis, said: dict[str, list[float]], mood: float
    ) -> tuple[list[float], int]:
        """The calibrated chances of negative, neutral and positive, and which of them it is."""
        fit = self._fit["alone" if self._alone else "sides"]
        views = (
            _log_softmax(said["three"]),
            _log_softmax(said["polarity"]),
            sides_of(mood, self._cuts),
            [math.log(min(max(chance, 0.01), 1.0)) for chance in rules.probabilities],
        )
        z = [
            bias + sum(w * view[side] for w, view in zip(fit["weights"], views, strict=True))
            for side, bias in enumerate(fit["bias"])
        ]
        chances = [math.exp(each) for each in _log_softmax(z)]
        leaning = [each + more for each, more in zip(z, fit["decide"], strict=True)]
        return chances, leaning.index(max(leaning))

    def _score(self, rules: Analysis, read: Read, chances: list[float], decided: int) -> float:
        fit = self._fit["score"]
        score: float = fit["mood"] * _between(read.mood, fit["moods"], fit["scores"])
        score += fit["lean"] * (chances[2] - chances[0])
        if not self._alone:
            score += fit["rules"] * rules.score
        # The side is decided by the chances; the score says how strongly, within that side.
        if decided == 1:
            score = max(-0.999 * NEUTRAL_UP_TO, min(0.999 * NEUTRAL_UP_TO, score))
        else:
            side = 1 if decided == 2 else -1
            very = fit["very_positive" if side > 0 else "very_negative"]
            strength = _between(
                side * score, (NEUTRAL_UP_TO, very, 1.0), (NEUTRAL_UP_TO, PLAIN_UP_TO, 1.0)
            )
            score = side * strength
        return round(score, 4)

    def _emotions(self, rules: Analysis, logits: list[float]) -> dict[str, float]:
        least, words = self._fit["emotions"], self._fit.get("words", EMOTIONS)
        found = {}
        for name, logit in zip(EMOTIONS, logits, strict=True):
            worded = name in words and not self._alone
            seen = rules.emotions.get(name, 0.0) if worded else 0.0
            strength = 1 / (1 + math.exp(-logit))
            # The network infers what no word says; where words are right by themselves, one is
            # enough.
            if seen or strength >= least[name]:
                found[name] = round(max(strength, seen), 3)
        return found

    def _foremost(self, logits: list[float]) -> str:
        # Trained on permissive sources alone, the network was never taught these four.
        return FOREMOST[logits.index(max(logits))] if self._fit["foremost"] else ""

    def _intent(self, rules: Analysis, logits: list[float]) -> str:
        views = _log_softmax(logits)
        if not self._alone:
            views[INTENTS.index(rules.intent)] += self._fit["intents"]["rules"]
        return INTENTS[views.index(max(views))]


def sides_of(mood: float, cuts: Sequence[float]) -> list[float]:
    """The chances of negative, neutral and positive that a mood stands for, as logarithms."""
    bad, not_good = (1 / (1 + math.exp(2 * (mood - cut))) for cut in cuts[1:3])
    return [math.log(max(each, 0.01)) for each in (bad, not_good - bad, 1 - not_good)]


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _log_softmax(logits: Sequence[float]) -> list[float]:
    most = max(logits)
    total = math.log(sum(math.exp(each - most) for each in logits))
    return [each - most - total for each in logits]


def _between(value: float, places: Sequence[float], heights: Sequence[float]) -> float:
    """The height at a value between places in rising order; beyond them the nearest one's."""
    if value <= places[0]:
        return heights[0]
    for at in range(1, len(places)):
        if value <= places[at]:
            share = (value - places[at - 1]) / (places[at] - places[at - 1])
            return heights[at - 1] + share * (heights[at] - heights[at - 1])
    return heights[-1]


def _evidence(text: str, rules: Analysis, read: Read) -> tuple[Evidence, ...]:
    """The rules' evidence, and the words beyond it on which the network's mood rests most."""
    words: list[tuple[int, int, float]] = []
    for start, end, part in read.parts:
        # Pieces of one word, and the words of an emoji's name, are one place in the text.
        if words and (start < words[-1][1] or _joined(text, words[-1][1], start)):
            first, last, sum_ = words[-1]
            words[-1] = (first, max(last, end), sum_ + part)
        else:
            words.append((start, end, part))
    # The network sees every word in its sentence, so a little of the mood is in each of them.
    usual = sum(abs(part) for _, _, part in words) / max(1, len(words))
    beyond = [
        Evidence(start, end, text[start:end], round(part, 2), "network")
        for start, end, part in words
        if abs(part) >= max(LEAST_PART, ABOVE_USUAL * usual)
        and any(sign.isalnum() for sign in text[start:end])
        and not any(each.start < end and start < each.end for each in rules.evidence)
    ]
    beyond.sort(key=lambda each: -abs(each.weight))
    room = max(0, MOST_EVIDENCE - len(rules.evidence))
    return tuple(sorted([*rules.evidence, *beyond[:room]], key=lambda each: each.start))


def _joined(text: str, end: int, start: int) -> bool:
    return end == start and start > 0 and _inside(text[start - 1]) and _inside(text[start])


def _inside(sign: str) -> bool:
    return sign.isalnum() or sign in "'’"
