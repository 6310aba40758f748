"""`manage.py analyze < in.jsonl > out.jsonl`: a text a line in, an analysis a line out."""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from io import TextIOWrapper
from typing import IO, Any

from django.core.management.base import BaseCommand

from apps.sentiment import services

TOGETHER = 256
# A text of a million letters is read; a file without line ends is not.
LONGEST_LINE = 10_000_000


class Command(BaseCommand):
    """Reads JSON lines from standard input, keeps their order, and tells progress on stderr."""

    help = 'One {"text": ...} a line in, one analysis a line out, in the same order.'
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
        parser.add_argument("--evidence", action="store_true", help="Which words moved the score.")

    def handle(self, *args: Any, **options: Any) -> None:
        started = last = time.monotonic()
        count = wrong = 0
        if isinstance(sys.stdin, TextIOWrapper):
            # Bytes that are no UTF-8 must not stop a long file.
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        for chunk in _chunks(sys.stdin):
            for answer in _answers(chunk, evidence=options["evidence"]):
                wrong += "error" in answer
                self.stdout.write(json.dumps(answer))
            count += len(chunk)
            if not options["quiet"] and time.monotonic() - last > 1:
                last = time.monotonic()
                self.stderr.write(f"{count:,} read, {count / (last - started):,.0f} a second")
        self.stdout.flush()
        if not options["quiet"]:
            self.stderr.write(f"{count:,} read, {wrong:,} of them not understood")


def _chunks(stream: IO[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for line in stream:
        if line.strip():
            chunk.append(line)
        if len(chunk) == TOGETHER:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _answers(chunk: list[str], *, evidence: bool) -> Iterator[dict[str, Any]]:
    texts: list[str | None] = []
    long = f"This line is longer than {LONGEST_LINE:,} characters."
    for line in chunk:
        try:
            row = json.loads(line) if len(line) <= LONGEST_LINE else line
        except (ValueError, RecursionError):
            row = None
        text = row.get("text") if isinstance(row, dict) else None
        texts.append(text if isinstance(text, str) else None)
    found = iter(services.analyze_many([text for text in texts if text is not None]))
    for line, text in zip(chunk, texts, strict=True):
        if text is None:
            short = len(line) <= LONGEST_LINE
            yield {"error": 'This line is not {"text": "..."}.' if short else long}
            continue
        answer = asdict(next(found))
        answer["probabilities"] = [round(each, 4) for each in answer["probabilities"]]
        if not evidence:
            del answer["evidence"]
        yield answer
