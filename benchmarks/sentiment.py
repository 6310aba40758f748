"""How fast sentiment is: engines beside VADER and TextBlob, the API, and trends over many readings.

`python -m benchmarks.sentiment [--readings N] [--quick] [--only PART]` prints a table and, as its
last line, the same as JSON. Rivals are measured where they are installed (pip install
vaderSentiment textblob). Everything runs in a temporary folder, one process, one thread.
"""

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import servers

Figures = dict[str, float | int | str]

# Words of comments, so that a text is as long as a tweet and not always the same.
PIECES = """I love this so much|the battery is terrible|not bad at all|where did you buy it?
thanks 😍|@friend look at this|it used to be good, but now I hate it|#sohappy|it was on a table
see you in Lisbon tomorrow|the new camera is amazing!!!|my parents did not like it|sooooo good
could be better|honestly the worst service ever|can't wait for the next one|what a day 😂😂
check the link in my bio|it arrived on Tuesday in a box|I think the sound is fine
please make a video about lenses""".replace("\n", "|").split("|")


def texts(count: int, seed: int = 3) -> list[str]:
    """Comments of about eighty characters."""
    rng = random.Random(seed)
    return [". ".join(rng.choices(PIECES, k=rng.randint(2, 5))) for _ in range(count)]


def per_minute(read: Callable[[str], Any], sample: list[str], rounds: int = 3) -> int:
    """Texts a minute on one core, the best of several rounds; a warm-up is not counted."""
    for text in sample[:200]:
        read(text)
    best = 0.0
    for _ in range(rounds):
        started = time.process_time()
        for text in sample:
            read(text)
        best = max(best, len(sample) / (time.process_time() - started))
    return int(best * 60)


def resident() -> int:
    """This process's memory in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def all_at_once(sample: list[str]) -> int:
    """Texts a minute on one core of the full engine in batches, the better of two rounds."""
    from apps.sentiment.engines.blend import BlendEngine

    best = 0.0
    for _ in range(2):
        # A new one each round: an engine remembers what it has read.
        engine = BlendEngine()
        engine.analyze("good")
        started = time.process_time()
        engine.analyze_many(sample)
        best = max(best, len(sample) / (time.process_time() - started))
    return int(best * 60)


def engines(sample: list[str]) -> Figures:
    """Each engine's speed in the same run."""
    from apps.sentiment import judging

    found: Figures = {}
    for name in ("rules", "blend"):
        before = resident()
        started = time.perf_counter()
        judging.ENGINES[name].analyze("good")
        found[f"{name}_load_s"] = round(time.perf_counter() - started, 3)
        found[f"{name}_load_mb"] = round((resident() - before) / 1e6, 1)
    found["rules_per_minute"] = per_minute(judging.ENGINES["rules"].analyze, sample)
    found["blend_per_minute"] = all_at_once(sample)
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        found["vader_per_minute"] = per_minute(SentimentIntensityAnalyzer().polarity_scores, sample)
    except ImportError:
        found["vader_per_minute"] = "not installed"
    try:
        from textblob import TextBlob

        found["textblob_per_minute"] = per_minute(
            lambda text: TextBlob(text).sentiment, sample[: len(sample) // 4]
        )
    except ImportError:
        found["textblob_per_minute"] = "not installed"
    return found


def percentile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)


def through_the_api(rounds: int) -> Figures:
    """One text and a hundred comments, through the whole stack of a request but the socket."""
    from rest_framework.test import APIClient

    from apps.core.models import User

    client = APIClient()
    client.force_authenticate(User.objects.get(username="bench"))
    paths = {"one_text": "analyze-text", "100_comments": "analyze-comments"}
    found: Figures = {}
    for name, path in paths.items():
        taken = []
        for number in range(rounds):
            # Never the same texts twice: what was read is remembered.
            sample = texts(100, seed=1_000 + number)
            body = (
                {"text": f"{sample[0]} {number}"}
                if name == "one_text"
                else {"comments": [{"text": f"{each} {number}"} for each in sample]}
            )
            started = time.perf_counter()
            answer = client.post(f"/api/v1/sentiment/{path}", body, format="json")
            taken.append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.content
        found[f"{name}_p50_ms"] = percentile(taken[3:], 0.5)
        found[f"{name}_p95_ms"] = percentile(taken[3:], 0.95)
    return found


def trends(count: int) -> Figures:
    """Trend reports over a year of readings, most of them one persona's."""
    from django.utils import timezone

    from apps.core.models import User
    from apps.personas.models import Persona
    from apps.sentiment import days
    from apps.sentiment.engines.base import label_for
    from apps.sentiment.models import Reading
    from apps.sentiment.recording import Subject, utc_date

    persona = Persona.objects.create(name="Bench", handle="bench")
    rng = random.Random(1)
    now = timezone.now()
    started = time.perf_counter()
    for chunk in range(0, count, 5_000):
        rows = []
        for number in range(chunk, min(count, chunk + 5_000)):
            score = max(-1.0, min(1.0, rng.gauss(0.1 + 0.2 * number / count, 0.5)))
            rows.append(
                Reading(
                    persona=persona,
                    at=now - timedelta(days=364 * (1 - number / count)),
                    score=score,
                    label=label_for(score),
                    confidence=0.7,
                    intent="statement",
                    language="en",
                    emotions={"joy": 0.6} if score > 0.3 else {},
                    topics=[{"name": rng.choice(("camera", "battery", "lens")), "mood": score}],
                    engine="rules",
                    version="1",
                    engine_score=score,
                )
            )
        Reading.objects.bulk_create(rows)
    filling = time.perf_counter() - started
    started = time.perf_counter()
    dates = {utc_date(now - timedelta(days=each)) for each in range(366)}
    days.sum_up(Subject(persona.pk), dates)
    summing = time.perf_counter() - started

    from rest_framework.test import APIClient

    # As the web process does, it keeps what is loaded out of the garbage collector's way.
    import gator.asgi  # noqa: F401

    client = APIClient()
    client.force_authenticate(User.objects.get(username="bench"))
    taken = []
    for _ in range(61):
        started = time.perf_counter()
        answer = client.get(f"/api/v1/sentiment/trends/{persona.pk}?days=365")
        taken.append(time.perf_counter() - started)
        assert answer.status_code == 200
    assert answer.json()["sentiment_trend"]["readings"] > 0.99 * count
    return {
        "readings": count,
        "filling_s": round(filling, 1),
        "summing_a_year_s": round(summing, 1),
        "trend_365_days_p50_ms": percentile(taken[1:], 0.5),
        "trend_365_days_max_ms": percentile(taken[1:], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("engines", "api", "trends"), help="One part.")
    parser.add_argument("--quick", action="store_true", help="Few rounds and 20,000 readings.")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        os.environ |= {
            "GATOR_VAR": str(folder),
            "GATOR_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "gator.settings",
            "LOG_LEVEL": "ERROR",
            "THROTTLE_USER": "1000000/min",
        }
        os.environ.pop("DATABASE_URL", None)

        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        settings.ALLOWED_HOSTS.append("testserver")
        stack.enter_context(servers.running_valkey(settings.GATOR_VAR))
        call_command("migrate", verbosity=0)
        found: Figures = {"machine": platform.machine(), "python": platform.python_version()}
        from apps.core.models import User

        User.objects.create_superuser("bench", password="x")
        if options.only in (None, "engines"):
            found |= engines(texts(500 if options.quick else 4_000))
        if options.only in (None, "api"):
            found |= through_the_api(20 if options.quick else 200)
        if options.only in (None, "trends"):
            found |= trends(20_000 if options.quick else options.readings)
    for name, value in found.items():
        print(f"{name:28} {value:>14,}" if isinstance(value, int | float) else f"{name:28} {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
