"""An engine's word, then people's: corrections outrank it and teach about texts like theirs."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Max

from apps.core.plugins import Plugins
from apps.sentiment.engines.base import Analysis, Engine, label_for
from apps.sentiment.likeness import Neighbours, digest
from apps.sentiment.models import Correction

ENGINES = Plugins[Engine]("SENTIMENT_ENGINES")
HUMAN = "human"
# The score that a label stands for when a person gives it.
SCORES = {
    "very_negative": -0.8,
    "negative": -0.4,
    "neutral": 0.0,
    "positive": 0.4,
    "very_positive": 0.8,
}
# Measured on 55 subjects (docs/sentiment-model-card.md): all neighbours count a little, and one
# that is nearly the same text decides almost alone.
MOST_NEIGHBOURS, LEAST_LIKENESS, CAUTION = 50, 0.03, 1.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """An analysis as corrected, and what the engine alone had said."""

    analysis: Analysis
    engine_score: float
    corrected: bool


def engine() -> Engine:
    """The engine that settings.SENTIMENT_ENGINE names."""
    return ENGINES[settings.SENTIMENT_ENGINE]


class _Memory:
    """The corrections there are, ready to be compared with; rebuilt when there are others."""

    def __init__(self) -> None:
        self._state: tuple[int, datetime | None] = (-1, None)
        self._lock = threading.Lock()
        self.exact: dict[str, tuple[str, str]] = {}
        self.near = Neighbours([])

    def refresh(self) -> None:
        now = Correction.objects.aggregate(count=Count("pk"), last=Max("made_at"))
        state = (now["count"], now["last"])
        with self._lock:
            if state == self._state:
                return
            rows = list(
                Correction.objects.values_list("digest", "label", "intent", "text", "engine_score")
            )
            self.exact = {each: (label, intent) for each, label, intent, _, _ in rows}
            self.near = Neighbours(
                (text, SCORES[label] - score) for _, label, _, text, score in rows
            )
            self._state = state


_memory = _Memory()


def judge_many(texts: Sequence[str]) -> list[Judgement]:
    """Read texts and let corrections have their say; answers in the order of the questions."""
    analyses = engine().analyze_many(texts)
    _memory.refresh()
    if not len(_memory.near):
        return [Judgement(each, each.score, False) for each in analyses]
    return [_corrected(text, each) for text, each in zip(texts, analyses, strict=True)]


def _corrected(text: str, analysis: Analysis) -> Judgement:
    said = _memory.exact.get(digest(text))
    if said is not None:
        label, intent = said
        score = analysis.score if analysis.label == label else SCORES[label]
        human = replace(
            analysis,
            score=score,
            label=label,
            intent=intent or analysis.intent,
            confidence=1.0,
            abstained=False,
            engine=HUMAN,
        )
        return Judgement(human, analysis.score, True)
    score = shifted(text, analysis.score, _memory.near)
    if score == analysis.score:
        return Judgement(analysis, analysis.score, False)
    return Judgement(replace(analysis, score=score, label=label_for(score)), analysis.score, False)


def shifted(text: str, score: float, errors: Neighbours) -> float:
    """A score moved by the errors that people found in texts like this one."""
    near = errors.nearest(text, MOST_NEIGHBOURS, LEAST_LIKENESS)
    weights = [likeness / (1.05 - min(likeness, 1.0)) for likeness, _ in near]
    shift = sum(w * away for w, (_, away) in zip(weights, near, strict=True))
    moved = score + shift / (sum(weights) + CAUTION)
    return round(max(-1.0, min(1.0, moved)), 4)
