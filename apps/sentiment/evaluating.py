"""Measures an engine on labelled files: every figure of the model card, with its interval."""

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.sentiment.engines.base import EMOTIONS, INTENTS, Analysis, Engine

THREE = ("negative", "neutral", "positive")
# Bootstrap resamples: enough for the second digit of a percent.
RESAMPLES = 400
# Never train.jsonl: figures on what was learned say nothing.
SPLITS = ("val.jsonl", "test.jsonl")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure on one set: its value, its 95 % interval, and on how many texts."""

    data: str
    measure: str
    value: float
    low: float
    high: float
    n: int


def evaluate(engine: Engine, folder: Path) -> Iterator[Figure]:
    """Every figure that the files of `folder` (NAME/val.jsonl, NAME/test.jsonl) allow."""
    for path in labelled(folder):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        rows = [row for row in rows if isinstance(row.get("text"), str)]
        said = engine.analyze_many([row["text"] for row in rows])
        # A test split tells more than the split on which numbers may have been chosen.
        name = path.parent.name + ("/test" if path.stem == "test" else "")
        yield from _of_set(name, rows, said)


def labelled(folder: Path) -> list[Path]:
    """The labelled files of a folder that no training may have seen."""
    return sorted(path for path in folder.glob("*/*.jsonl") if path.name in SPLITS)


def _of_set(name: str, rows: list[Any], said: list[Analysis]) -> Iterator[Figure]:
    labels = [row.get("label") for row in rows]
    known = {each for each in labels if isinstance(each, str)}
    pairs: list[tuple[Any, Any]]
    if known and known <= {*THREE, "very_positive", "very_negative"}:
        pairs = [(plain(gold), plain(each.label)) for gold, each in zip(labels, said, strict=True)]
        yield _figure(name, "macro-recall", pairs, macro_recall)
        yield _figure(name, "macro-F1", pairs, macro_f1)
        sure = [
            (each.confidence, plain(gold) == plain(each.label))
            for gold, each in zip(labels, said, strict=True)
        ]
        yield _figure(name, "calibration error", sure, calibration_error)
        told = [pair for pair, each in zip(pairs, said, strict=True) if not each.abstained]
        yield Figure(name, "answered", len(told) / len(pairs), math.nan, math.nan, len(pairs))
    if known and known <= set(INTENTS):
        meant: list[tuple[Any, Any]] = [
            (gold, each.intent) for gold, each in zip(labels, said, strict=True)
        ]
        yield _figure(name, "intents macro-F1", meant, macro_f1)
        complaints = [(gold == "complaint", found == "complaint") for gold, found in meant]
        yield _figure(name, "complaint or not, macro-F1", complaints, macro_f1)
        for intent in INTENTS:
            one = [(gold == intent, found == intent) for gold, found in meant]
            yield _figure(name, f"{intent} F1", one, binary_f1)
    if "very_positive" in known:
        steps = {name: index - 2 for index, name in enumerate(_FIVE)}
        pairs = [(steps[gold], steps[each.label]) for gold, each in zip(labels, said, strict=True)]
        yield _figure(name, "MAE-M (5 labels)", pairs, macro_error)
    if all("score" in row for row in rows) and rows:
        scores: list[tuple[Any, Any]] = [
            (float(row["score"]), each.score) for row, each in zip(rows, said, strict=True)
        ]
        if len({gold for gold, _ in scores}) > 5:
            yield _figure(name, "Pearson r", scores, pearson)
    if known and known <= set(_NAMED) and len(known) > 1:
        named = [(gold, _named(each)) for gold, each in zip(labels, said, strict=True)]
        yield _figure(name, "one emotion, macro-F1", named, macro_f1)
    if labels and all(isinstance(each, list) for each in labels):
        there = {each for found in labels for each in found}
        shared = [each for each in EMOTIONS if each in there]
        if len(shared) >= 3:
            sets: list[tuple[Any, Any]] = [
                (set(gold) & set(shared), set(each.emotions) & set(shared))
                for gold, each in zip(labels, said, strict=True)
            ]
            yield _figure(name, "emotions micro-F1", sets, micro_f1)
            yield _figure(name, "emotions macro-F1", sets, macro_f1_of_sets)
            for emotion in shared:
                one = [(emotion in gold, emotion in found) for gold, found in sets]
                yield _figure(name, f"{emotion} F1", one, binary_f1)


# TweetEval's four as Plutchik has them: to him optimism is anticipation with joy.
_NAMED = {
    "anger": ("anger",),
    "joy": ("joy",),
    "sadness": ("sadness",),
    "optimism": ("anticipation", "trust"),
}


def _named(analysis: Analysis) -> str:
    """The foremost of TweetEval's four emotions in an answer; empty where none is told."""
    if analysis.foremost:
        return analysis.foremost
    strengths = {
        name: max(analysis.emotions.get(each, 0.0) for each in ours)
        for name, ours in _NAMED.items()
    }
    best = max(strengths, key=lambda name: strengths[name])
    return best if strengths[best] > 0 else ""


_FIVE = ("very_negative", "negative", "neutral", "positive", "very_positive")


def plain(label: str) -> str:
    """A five-step label as one of three."""
    return label.removeprefix("very_")


def _figure(
    data: str, measure: str, pairs: Sequence[Any], function: Callable[[Sequence[Any]], float]
) -> Figure:
    # The percentile bootstrap (Efron 1979), with a fixed seed so that figures can be compared.
    rng = random.Random(7)
    values = sorted(
        function(rng.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES if pairs else 0)
    )
    low = values[int(0.025 * len(values))] if values else math.nan
    high = values[int(0.975 * len(values))] if values else math.nan
    return Figure(data, measure, function(pairs), low, high, len(pairs))


def binary_f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    """F1 of one class."""
    both = sum(gold and said for gold, said in pairs)
    either = sum(gold for gold, _ in pairs) + sum(said for _, said in pairs)
    return 2 * both / either if either else 0.0


def macro_f1(pairs: Sequence[tuple[Any, Any]]) -> float:
    """The mean F1 of the classes that occur."""
    classes = {gold for gold, _ in pairs}
    scores = [binary_f1([(gold == c, said == c) for gold, said in pairs]) for c in classes]
    return sum(scores) / len(scores) if scores else 0.0


def macro_recall(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean recall of the classes that occur."""
    recalls = []
    for c in {gold for gold, _ in pairs}:
        own = [said for gold, said in pairs if gold == c]
        recalls.append(sum(said == c for said in own) / len(own))
    return sum(recalls) / len(recalls) if recalls else 0.0


def macro_error(pairs: Sequence[tuple[int, int]]) -> float:
    """Mean absolute error in steps, averaged over the classes (SemEval's MAE-M)."""
    errors = []
    for c in {gold for gold, _ in pairs}:
        own = [abs(gold - said) for gold, said in pairs if gold == c]
        errors.append(sum(own) / len(own))
    return sum(errors) / len(errors) if errors else 0.0


def pearson(pairs: Sequence[tuple[float, float]]) -> float:
    """Pearson's correlation."""
    n = len(pairs)
    mean_x, mean_y = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    over = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    under = math.sqrt(
        sum((x - mean_x) ** 2 for x, _ in pairs) * sum((y - mean_y) ** 2 for _, y in pairs)
    )
    return over / under if under else 0.0


def micro_f1(pairs: Sequence[tuple[set[str], set[str]]]) -> float:
    """F1 over all labels of all texts."""
    both = sum(len(gold & said) for gold, said in pairs)
    either = sum(len(gold) + len(said) for gold, said in pairs)
    return 2 * both / either if either else 0.0


def macro_f1_of_sets(pairs: Sequence[tuple[set[str], set[str]]]) -> float:
    """The mean F1 of the labels that occur."""
    there = {each for gold, _ in pairs for each in gold}
    scores = [binary_f1([(each in gold, each in said) for gold, said in pairs]) for each in there]
    return sum(scores) / len(scores) if scores else 0.0


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error over ten equal bins of confidence (Guo et al. 2017)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(10)]
    for confidence, right in pairs:
        bins[min(9, int(confidence * 10))].append((confidence, right))
    error = 0.0
    for each in bins:
        if each:
            mean = sum(confidence for confidence, _ in each) / len(each)
            error += abs(mean - sum(right for _, right in each) / len(each)) * len(each)
    return error / len(pairs) if pairs else 0.0
