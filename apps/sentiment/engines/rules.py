"""The rule engine: always there, needs nothing, and can say why."""

import math
from collections.abc import Iterable

from apps.sentiment.engines import clauses, intents, language, topics
from apps.sentiment.engines.base import EMOTIONS, Analysis, Evidence, label_for
from apps.sentiment.engines.tokens import WORD, tokenize

NAME, VERSION = "rules", "1"
# The sum at which neutral ends (0.85 of what tools/lexicon/learn.py fits recalls best on
# validation data), and the spread of the classes around it that is best calibrated on training
# data. No sum makes the rules surer than SUREST.
EDGE = 1.14
SPREAD = 0.8
SUREST = 0.9
# A sum of EDGE must score 0.2, where the labels meet: x / sqrt(x^2 + a) = 0.2.
_SQUASH = 24 * EDGE * EDGE
EMOTION_FROM = 0.35
# As strong as this both ways at once, a text is mixed: the engine says that it cannot tell.
MIXED_FROM = 2.5
MOST_EVIDENCE = 40
_CALMED_FROM, _CALM = 40, 60.0


def _logistic(x: float) -> float:
    if x < -30:
        return 0.0
    return 1 / (1 + math.exp(-x)) if x < 30 else 1.0


class RuleEngine:
    """Reads English by a lexicon, emoji and the grammar of clauses."""

    name = NAME
    version = VERSION

    def analyze_many(self, texts: Iterable[str]) -> list[Analysis]:
        """Read several texts."""
        return [self.analyze(text) for text in texts]

    def analyze(self, text: str) -> Analysis:
        """Read one text, in time linear in its length."""
        tokens = tokenize(text)
        reader = clauses.Reader(tokens)
        sentences = reader.sentences
        count = sum(token.kind == WORD for token in tokens)
        spoken = language.guess(reader.words, reader.known)
        # Words of another language only look like English ones; signs are understood everywhere.
        english = spoken == "en" or (spoken == "und" and reader.known > 0)
        if not english:
            for sentence in sentences:
                for clause in sentence.clauses:
                    clause.units = [unit for unit in clause.units if unit.first.kind != WORD]
        clauses.weigh(sentences)
        total, mixed, evidence = self._sum(text, sentences)
        score = total / math.sqrt(total * total + _SQUASH)
        low = _logistic((-EDGE - total) / SPREAD)
        high = 1 - _logistic((EDGE - total) / SPREAD)
        chances = (low, 1 - low - high, high)
        score = round(score, 4)
        label = label_for(score)
        likely = chances[1] if label == "neutral" else low if score < 0 else high
        foreign = not english and count > 0
        likely = min(likely, 0.4 if foreign else SUREST)
        found = topics.add_tags(
            topics.find(sentences, _SQUASH) if english else (), topics.hashtags(tokens), score
        )
        return Analysis(
            score=score,
            label=label,
            confidence=round(likely, 3),
            abstained=foreign or (mixed and label == "neutral"),
            language=spoken,
            intent=intents.find(reader.words, sentences, score, count == 0),
            word_count=count,
            engine=NAME,
            version=VERSION,
            probabilities=chances,
            emotions=self._emotions(sentences),
            topics=found,
            evidence=evidence,
        )

    def _sum(
        self, text: str, sentences: list[clauses.Sentence]
    ) -> tuple[float, bool, tuple[Evidence, ...]]:
        total = good = 0.0
        shouts = 0
        units = []
        for sentence in sentences:
            shouts += min(sentence.mark.count("!"), 3)
            for clause in sentence.clauses:
                for unit in clause.units:
                    if unit.value:
                        total += unit.value
                        good += max(unit.value, 0.0)
                        units.append(unit)
        mixed = good >= MIXED_FROM and good - total >= MIXED_FROM
        if shouts and total:
            total *= 1 + 0.1 * min(shouts, 3)
        # Long texts add up more words of every kind; without this each would be extreme.
        if len(units) > _CALMED_FROM:
            total *= _CALM / (_CALM + len(units) - _CALMED_FROM)
            units.sort(key=lambda unit: -abs(unit.value))
            units = sorted(units[:MOST_EVIDENCE], key=lambda unit: unit.first.start)
        return (
            total,
            mixed,
            tuple(
                Evidence(
                    start=unit.first.start,
                    end=unit.last.end,
                    text=text[unit.first.start : unit.last.end],
                    weight=round(unit.value, 2),
                    reason=", ".join(unit.reasons),
                )
                for unit in units
            ),
        )

    def _emotions(self, sentences: list[clauses.Sentence]) -> dict[str, float]:
        left = [1.0] * len(EMOTIONS)
        for sentence in sentences:
            for clause in sentence.clauses:
                weight = clause.weight
                if weight < 0.3:
                    continue
                for unit in clause.units:
                    if unit.negated:
                        continue
                    for index, strength in unit.entry.emotions:
                        left[index] *= 1 - 0.8 * strength * min(weight, 1.0)
        return {
            EMOTIONS[index]: round(1 - rest, 3)
            for index, rest in enumerate(left)
            if 1 - rest >= EMOTION_FROM
        }
