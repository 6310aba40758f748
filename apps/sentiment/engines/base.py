"""What an engine promises: a text in, an Analysis out, the same for rules and models."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

LABELS = ("very_negative", "negative", "neutral", "positive", "very_positive")
# Where the five labels meet, on the scale of scores; the seed's cuts.
NEUTRAL_UP_TO = 0.2
PLAIN_UP_TO = 0.6
EMOTIONS = (
    "joy",
    "sadness",
    "anger",
    "fear",
    "surprise",
    "disgust",
    "trust",
    "anticipation",
)
INTENTS = ("question", "appreciation", "complaint", "recommendation", "praise", "statement")
# Which of these a text is foremost, where somebody must choose one (TweetEval's four).
FOREMOST = ("anger", "joy", "optimism", "sadness")
UNKNOWN_LANGUAGE = "und"


def label_for(score: float) -> str:
    """The label of a score: cuts at +-0.2 and +-0.6, each cut belonging to the stronger label."""
    if score >= NEUTRAL_UP_TO:
        return "very_positive" if score >= PLAIN_UP_TO else "positive"
    if score <= -NEUTRAL_UP_TO:
        return "very_negative" if score <= -PLAIN_UP_TO else "negative"
    return "neutral"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of the text that moved the score, by how much, and why."""

    start: int
    end: int
    text: str
    weight: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """Something the text is about, and the mood around it in [-1, 1]."""

    name: str
    mood: float
    mentions: int = 1


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one engine reads in one text."""

    score: float
    label: str
    # The chance that negative, neutral or positive, whichever the label belongs to, is right.
    confidence: float
    # True where the engine cannot tell: a language it does not know, or evidence both ways.
    abstained: bool
    language: str
    intent: str
    word_count: int
    engine: str
    version: str
    probabilities: tuple[float, float, float] = (0.0, 1.0, 0.0)
    emotions: Mapping[str, float] = field(default_factory=dict)
    # One of FOREMOST, the likeliest even where none holds; empty where the engine has no view.
    foremost: str = ""
    topics: tuple[Topic, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Engine(Protocol):
    """Reads sentiment; never raises for any string."""

    name: str
    version: str

    def analyze(self, text: str) -> Analysis:
        """Read one text."""
        ...

    def analyze_many(self, texts: Iterable[str]) -> list[Analysis]:
        """Read several, answers in the order of the questions."""
        ...
