"""How moods look in the admin."""

from typing import Any

from apps.core.shown import badge

TONES = {
    "very_positive": "good",
    "positive": "good",
    "neutral": "quiet",
    "negative": "bad",
    "very_negative": "bad",
}


def mood(label: str, score: float, *, abstained: bool = False) -> Any:
    """A label with its score."""
    if abstained:
        return badge("warn", "cannot tell", "The engine does not know this language, or wavers.")
    return badge(TONES[label], label.replace("_", " "), f"{score:+.2f}")
