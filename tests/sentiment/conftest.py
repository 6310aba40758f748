"""Comments to read."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.personas.models import Persona
from apps.sentiment import services
from apps.sentiment.services import Written

GOOD = [
    "I love the camera",
    "Great video, thank you",
    "This is amazing 😍",
    "So happy with the lens",
]
BAD = ["I hate the battery", "The battery is terrible", "Awful service, never again", "So sad 😢"]
PLAIN = ["I am at the station", "Where did you buy the tripod?", "It is a tripod", "Tuesday then"]


def chatter_of(days: int, per_day: int, *, start: float, end: float) -> list[Written]:
    """Comments of which the good part goes from `start` to `end` over so many days."""
    rng = random.Random(5)
    now = timezone.now()
    found = []
    for day in range(days):
        share = start + (end - start) * day / max(1, days - 1)
        for number in range(per_day):
            pool = PLAIN if rng.random() < 0.2 else GOOD if rng.random() < share else BAD
            found.append(
                Written(
                    network="wall",
                    remote_id=f"{day}-{number}",
                    text=f"{rng.choice(pool)} {rng.choice(pool)}",
                    author=f"fan{rng.randrange(500)}",
                    written_at=now - timedelta(days=days - 1 - day, minutes=number),
                )
            )
    return found


@pytest.fixture
def chatter(luna: Persona) -> Persona:
    """Luna, with thirty days of comments that get better."""
    services.read_now(persona=luna, comments=chatter_of(30, 12, start=0.3, end=0.9))
    return luna
