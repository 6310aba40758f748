"""Weighs network and rules and calibrates them; `python -m training.fit DATA OUT --heads FILE`.

A few dozen numbers, fitted on validation files through the very code that runs in production, and
written into OUT's model.json. What it prints "each half by the other" is of texts that the
numbers were not fitted on. VADER's tweets, the valence tweets and film reviews are left alone.
"""

import argparse
import json
import random
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from apps.sentiment.engines.base import EMOTIONS, INTENTS, PLAIN_UP_TO, Analysis
from apps.sentiment.engines.blend import BlendEngine, sides_of
from apps.sentiment.engines.network import Network, Read
from apps.sentiment.engines.rules import RuleEngine
from apps.sentiment.evaluating import calibration_error, macro_error, macro_f1, macro_recall
from training import data
from training.heads import gold
from training.sentences import Writer

Array = NDArray[np.float64]
# A seed that training never wrote with.
SEED = 4711
# Readers of tweets see emotions more often than GoEmotions' raters did.
LENIENT = 0.8


def log_softmax(x: Array) -> Array:
    """Row by row."""
    x = x - x.max(-1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(-1, keepdims=True)))


class Views:
    """What the network and the rules say of some texts."""

    def __init__(self, network: Network, texts: list[str]) -> None:
        self.rules: list[Analysis] = RuleEngine().analyze_many(texts)
        self.reads: list[Read] = network.read(texts)
        logits = np.stack([np.asarray(each.logits, dtype=np.float64) for each in self.reads])
        start, self.by_head = 0, dict[str, Array]()
        for name, width in network.manifest["columns"].items():
            self.by_head[name] = logits[:, start : start + width]
            start += width
        cuts = network.manifest["cuts"]
        self.sides = np.stack(
            [
                log_softmax(self.by_head["three"]),
                log_softmax(self.by_head["polarity"]),
                np.array([sides_of(each.mood, cuts) for each in self.reads]),
                np.log(np.clip([each.probabilities for each in self.rules], 0.01, 1.0)),
            ],
            axis=1,
        )


def shares(y: Array) -> Array:
    """How much each text counts: half as in its file, half as if the classes were even.

    A sixth of the tweets that were labelled complain, a third of those of a later year did: what is
    fitted must hold between the two.
    """
    counts = np.bincount(y, minlength=3)
    there = np.count_nonzero(counts)
    return np.asarray(0.5 / len(y) + 0.5 / (there * counts[y]))


def z_of(weights: Array, bias: Array, views: Array) -> Array:
    """The logits of the three sides."""
    return np.asarray(np.einsum("v,nvc->nc", weights, views) + bias)


def sides(sets: list[tuple[Array, Array, float]], alone: bool) -> dict[str, Any]:
    """Weights and biases that give calibrated chances, and what to add to decide evenly."""
    heard = np.array([1.0, 1.0, 1.0, 0.0 if alone else 1.0])

    def cost(p: Array) -> float:
        total = 0.0
        for views, y, share in sets:
            z = log_softmax(z_of(p[:4] * heard, p[4:], views))
            total -= share * (shares(y) * z[np.arange(len(y)), y]).sum()
        return float(total + 1e-3 * (p**2).sum())

    start = np.array([0.4, 0.2, 0.2, 0.1, 0.0, 0.0, 0.0])
    best = minimize(cost, start, method="L-BFGS-B").x

    def evenness(shift: Array) -> float:
        total = 0.0
        for views, y, share in sets:
            said = (z_of(best[:4] * heard, best[4:], views) + shift).argmax(1)
            # Recall and F1 of each class, counted as above.
            counted, right = shares(y), 0.0
            for side in set(y.tolist()):
                both = counted[(y == side) & (said == side)].sum()
                own, told = counted[y == side].sum(), counted[said == side].sum()
                right += both / own + 2 * both / (own + told)
            total += share * right
        return total

    steps = np.arange(-0.4, 0.65, 0.05)
    shift = max((np.array([a, 0.0, b]) for a in steps for b in steps), key=evenness)
    return {
        "weights": (best[:4] * heard).round(4).tolist(),
        "bias": best[4:].round(4).tolist(),
        "decide": shift.round(2).tolist(),
    }


def emotions(
    felt: Array, strengths: Array, worded: list[Analysis], lenient: float = 1.0
) -> tuple[dict[str, float], list[str]]:
    """From which strength each emotion holds, and for which a word that says it is enough.

    The sum of micro- and macro-F1 decides, one emotion after the other, three times round: each by
    its own F1 alone, the rare ones would claim so much that the sum of all suffers.
    """
    starts = [float(start) for start in np.arange(0.1, 0.8, 0.02)]
    places = [(start, heed) for heed in (True, False) for start in starts]
    # Of each emotion at each place: twice what is right, and what is said and felt.
    both, either = np.zeros((2, len(EMOTIONS), len(places)))
    for index, name in enumerate(EMOTIONS):
        told = np.array([name in each.emotions for each in worded])
        for at, (start, heed) in enumerate(places):
            said = (strengths[:, index] >= start * lenient) | (told & heed)
            both[index, at] = 2 * (said & felt[:, index]).sum()
            either[index, at] = max(1, said.sum() + felt[:, index].sum())
    chosen = (both / either).argmax(1)
    rows = np.arange(len(EMOTIONS))
    for index in [*rows, *rows, *rows]:
        others = rows[rows != index]
        right, claimed = both[others, chosen[others]].sum(), either[others, chosen[others]].sum()
        height = (right + both[index]) / (claimed + either[index])
        height += both[index] / either[index] / len(EMOTIONS)
        # A threshold whose neighbours do as well is no accident of a few texts.
        smooth = [np.convolve(half, np.ones(7) / 7, "same") for half in np.split(height, 2)]
        edge = np.r_[np.full(3, -1.0), np.zeros(len(starts) - 6), np.full(3, -1.0)]
        chosen[index] = np.concatenate([half + edge for half in smooth]).argmax()
    least = {
        name: round(lenient * places[at][0], 3) for name, at in zip(EMOTIONS, chosen, strict=True)
    }
    return least, [name for name, at in zip(EMOTIONS, chosen, strict=True) if places[at][1]]


def emotions_by_halves(
    felt: Array, strengths: Array, worded: list[Analysis]
) -> tuple[float, float]:
    """Micro- and macro-F1 of each half of some texts by the thresholds of the other."""
    even = np.arange(len(felt)) % 2 == 0
    said = np.zeros_like(felt)
    for half in (even, ~even):
        least, words = emotions(felt[half], strengths[half], list(compress(worded, half)))
        for index, name in enumerate(EMOTIONS):
            told = np.array([name in each.emotions and name in words for each in worded])
            holds = (strengths[:, index] >= least[name]) | told
            said[~half, index] = holds[~half]
    both = 2 * (said & felt).sum(0)
    either = said.sum(0) + felt.sum(0)
    return float(both.sum() / either.sum()), float((both / np.maximum(1, either)).mean())


def sides_by_halves(sets: list[tuple[Array, Array, float]]) -> str:
    """How the first set is read where each half of it is fitted on the other."""
    views, gold_sides, share = sets[0]
    even = np.arange(len(gold_sides)) % 2 == 0
    said, sure = np.zeros(len(gold_sides), dtype=int), np.zeros(len(gold_sides))
    for half in (even, ~even):
        other = sides([(views[half], gold_sides[half], share), *sets[1:]], alone=False)
        z = z_of(np.array(other["weights"]), np.array(other["bias"]), views)
        verdict = (z + np.array(other["decide"])).argmax(1)
        chances = np.exp(log_softmax(z))[np.arange(len(z)), verdict]
        said[~half], sure[~half] = verdict[~half], chances[~half]
    pairs = list(zip(gold_sides.tolist(), said.tolist(), strict=True))
    right = (gold_sides == said).tolist()
    error = calibration_error(list(zip(sure.tolist(), right, strict=True)))
    return (
        f"macro-recall {macro_recall(pairs):.3f}, macro-F1 {macro_f1(pairs):.3f}, "
        f"calibration error {error:.3f}"
    )


def intents(unseen: Array) -> tuple[float, float]:
    """How much the rules' intent counts beside the network's, and the macro-F1 of that."""
    labels = [INTENTS.index(each) for _, each in gold("train")]
    ruled = [each.intent for each in RuleEngine().analyze_many(text for text, _ in gold("train"))]
    views = log_softmax(unseen)
    best = (-1.0, 0.0)
    for weight in (0.0, 0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5, 3.0):
        said = views.copy()
        said[np.arange(len(said)), [INTENTS.index(each) for each in ruled]] += weight
        pairs = list(zip(labels, said.argmax(1).tolist(), strict=True))
        best = max(best, (macro_f1(pairs), weight))
    return best[1], best[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--heads", type=Path, required=True, help="What training.heads wrote.")
    parser.add_argument("--permissive", action="store_true", help="No source for research.")
    options = parser.parse_args()
    network = Network(options.out)
    rng = random.Random(SEED)

    tweets = data.rows(options.data, data.TWEETS, "val")
    comments = data.rows(options.data, "goemotions", "val")
    for row in comments:
        row["text"] = row["text"].replace("[NAME]", "@user")
    rng.shuffle(comments)
    comments = comments[:3000]
    own = [(text, side) for text, side, _ in Writer(SEED).write(1_500) if side != 2]

    seen = Views(network, [row["text"] for row in tweets])
    heard = Views(network, [row["text"] for row in comments])
    wrote = Views(network, [text for text, _ in own])
    polarity = [data.polarity_of(row["label"]) for row in comments]
    clear = np.array([each is not None for each in polarity])
    sets = [
        (seen.sides, np.array([data.THREE.index(row["label"]) for row in tweets]), 0.85),
        (
            heard.sides[clear],
            np.array([data.THREE.index(each) for each in polarity if each is not None]),
            0.12,
        ),
        (wrote.sides, np.array([int(np.sign(side)) + 1 for _, side in own]), 0.03),
    ]
    fit: dict[str, Any] = {"sides": sides(sets, False), "alone": sides(sets, True)}

    print(f"tweets, each half by the other: {sides_by_halves(sets)}")

    # The mood's knots: where the five labels meet become the cuts of the score.
    cuts = network.manifest["cuts"]
    fit["score"] = {
        "moods": [cuts[0] - 4.0, *cuts, cuts[3] + 4.0],
        "scores": [-1.0, -0.6, -0.2, 0.2, 0.6, 1.0],
        "mood": 0.7,
        "lean": 0.1,
        "rules": 0.2,
        "very_positive": 0.6,
        "very_negative": 0.6,
    }
    if options.permissive:
        felt = np.array([data.plutchik_of(row["label"]) for row in comments]) > 0
        strengths = 1 / (1 + np.exp(-heard.by_head["emotions"]))
        fit["emotions"], fit["words"] = emotions(felt, strengths, heard.rules, LENIENT)
    else:
        rows = data.rows(options.data, "semeval2018_Ec", "val")
        tweeted = Views(network, [row["text"] for row in rows])
        felt = np.array([[each in row["label"] for each in EMOTIONS] for row in rows])
        strengths = 1 / (1 + np.exp(-tweeted.by_head["emotions"]))
        fit["emotions"], fit["words"] = emotions(felt, strengths, tweeted.rules)
        micro, macro = emotions_by_halves(felt, strengths, tweeted.rules)
        print(f"emotions, each half by the other: micro-F1 {micro:.3f}, macro-F1 {macro:.3f}")
    fit["foremost"] = not options.permissive
    kept = torch.load(options.heads)["unseen"].numpy().astype(np.float64)
    fit["intents"] = {"rules": (weighed := intents(kept))[0]}
    print(f"intents, unseen folds: macro-F1 {weighed[1]:.3f}")
    fit["unsure_below"] = 0.4

    path = options.out / "model.json"
    manifest = json.loads(path.read_text())
    manifest["fit"] = fit
    path.write_text(json.dumps(manifest, indent=1) + "\n")

    # How strong is "very": what errs least on the five points, through the whole engine.
    five = data.rows(options.data, "semeval_5point_CE", "val")
    said = BlendEngine(options.out).analyze_many(row["text"] for row in five)
    wanted = [data.FIVE.index(row["label"]) for row in five]

    def missed(up: float, down: float) -> float:
        pairs = []
        for each, goal in zip(said, wanted, strict=True):
            step = 2 if each.label == "neutral" else 3 if each.score > 0 else 1
            step += int(each.score >= up) - int(each.score <= -down)
            pairs.append((goal, step))
        return macro_error(pairs)

    steps = np.arange(0.3, 0.95, 0.025)
    up, down = min(((a, b) for a in steps for b in steps), key=lambda pair: missed(*pair))
    fit["score"]["very_positive"], fit["score"]["very_negative"] = (
        round(float(up), 3),
        round(float(down), 3),
    )
    path.write_text(json.dumps(manifest, indent=1) + "\n")
    print(json.dumps(fit, indent=1))
    print(
        f"MAE-M {missed(up, down):.3f}, with {PLAIN_UP_TO} {missed(PLAIN_UP_TO, PLAIN_UP_TO):.3f}"
    )


if __name__ == "__main__":
    main()
