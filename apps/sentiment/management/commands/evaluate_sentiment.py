"""`manage.py evaluate_sentiment DIR`: every figure of the model card, with its interval."""

import json
import math
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.sentiment import evaluating, judging
from apps.sentiment.engines.base import Analysis


class Vader:
    """VADER's own package as a rival, where it is installed."""

    name, version = "vader", "3.3.2"

    def __init__(self) -> None:
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError:
            raise CommandError("pip install vaderSentiment to compare with it.") from None
        self._read = SentimentIntensityAnalyzer().polarity_scores

    def analyze(self, text: str) -> Analysis:
        score = float(self._read(text)["compound"])
        # VADER's own cuts.
        label = "positive" if score >= 0.05 else "negative" if score <= -0.05 else "neutral"
        return Analysis(score, label, 1.0, False, "en", "statement", 0, self.name, self.version)

    def analyze_many(self, texts: Any) -> list[Analysis]:
        return [self.analyze(text) for text in texts]


class Command(BaseCommand):
    """DIR holds NAME/val.jsonl or NAME/test.jsonl files of `text` with `label` or `score`."""

    help = "Measure an engine on labelled files, each figure with its 95 % interval."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--engine", help="One of SENTIMENT_ENGINES, or vader.")
        parser.add_argument("--json", action="store_true", help="JSON lines instead of a table.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not evaluating.labelled(options["folder"]):
            raise CommandError(f"{options['folder']} holds no NAME/val.jsonl or NAME/test.jsonl.")
        name = options["engine"]
        engine: Any = (
            Vader() if name == "vader" else judging.ENGINES[name] if name else judging.engine()
        )
        for each in evaluating.evaluate(engine, options["folder"]):
            if options["json"]:
                self.stdout.write(json.dumps(asdict(each)))
                continue
            interval = "" if math.isnan(each.low) else f"[{each.low:.3f}, {each.high:.3f}]"
            self.stdout.write(
                f"{each.data:36} {each.measure:20} {each.value:.3f} {interval:16} n={each.n}"
            )
