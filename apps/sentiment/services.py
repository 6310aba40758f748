"""What the other apps may ask of sentiment: read a text, read many."""

from collections.abc import Iterable

from django.conf import settings

from apps.core.plugins import Plugins
from apps.sentiment.engines.base import Analysis, Engine

ENGINES = Plugins[Engine]("SENTIMENT_ENGINES")


def engine() -> Engine:
    """The engine that settings.SENTIMENT_ENGINE names."""
    return ENGINES[settings.SENTIMENT_ENGINE]


def analyze(text: str) -> Analysis:
    """Read one text; any string will do."""
    return engine().analyze(text)


def analyze_many(texts: Iterable[str]) -> list[Analysis]:
    """Read several texts, answers in the order of the questions."""
    return engine().analyze_many(texts)
