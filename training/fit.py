"""Weighs network and rules and calibrates them; `python -m training.fit DATA OUT --heads FILE`.

A few dozen numbers, fitted on validation files through the very code that runs in production, and
written into OUT's model.json. VADER's tweets, the valence tweets and film reviews are left alone,
so that there is something to check the fit on.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from apps.sentiment.engines.base import EMOTIONS, INTENTS, PLAIN_UP_TO, Analysis
from apps.sentiment.engines.blend import BlendEngine
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
        self.moods = np.array([each.mood for each in self.reads])
        self.sides = np.stack(
            [
                log_softmax(self.by_head["three"]),
                log_softmax(self.by_head["polarity"]),
                np.log(np.clip([each.probabilities for each in self.rules], 0.01, 1.0)),
            ],
            axis=1,
        )


def sides(sets: list[tuple[Array, Array, float]], alone: bool) -> dict[str, Any]:
    """Weights and biases that give calibrated chances, and what to add to decide evenly."""

    def z_of(p: Array, views: Array) -> Array:
        weights = p[:3] * (np.array([1, 1, 0]) if alone else 1)
        return np.asarray(np.einsum("v,nvc->nc", weights, views) + p[3:6])

    def cost(p: Array) -> float:
        total = 0.0
        for views, y, share in sets:
            total -= share * log_softmax(z_of(p, views))[np.arange(len(y)), y].mean()
        return float(total + 1e-3 * (p**2).sum())

    best = minimize(cost, np.array([0.7, 0.2, 0.1, 0.0, 0.0, 0.0]), method="L-BFGS-B").x

    def evenness(shift: Array) -> float:
        total = 0.0
        for views, y, share in sets:
            said = (z_of(best, views) + np.array([shift[0], 0.0, shift[1]])).argmax(1)
            pairs = list(zip(y.tolist(), said.tolist(), strict=True))
            total += share * (macro_recall(pairs) + 0.5 * macro_f1(pairs))
        return total

    grid = [np.array([a, b]) for a in np.arange(-0.2, 1.3, 0.1) for b in np.arange(-0.4, 0.7, 0.1)]
    shift = max(grid, key=evenness)
    weights = best[:3] * (np.array([1, 1, 0]) if alone else 1)
    return {
        "weights": weights.round(4).tolist(),
        "bias": best[3:6].round(4).tolist(),
        "decide": [round(float(shift[0]), 2), 0.0, round(float(shift[1]), 2)],
    }


def emotions(
    felt: Array, strengths: Array, worded: list[Analysis], lenient: float
) -> tuple[dict[str, float], list[str]]:
    """From which strength each emotion holds, and for which a word that says it is enough."""
    least, words = {}, []
    for index, name in enumerate(EMOTIONS):
        told = np.array([name in each.emotions for each in worded])
        best = (-1.0, 0.5, True)
        for heed in (True, False):
            for start in np.arange(0.1, 0.62, 0.02):
                said = (strengths[:, index] >= start * lenient) | (told & heed)
                both = 2 * (said & felt[:, index]).sum()
                f1 = float(both / max(1, said.sum() + felt[:, index].sum()))
                best = max(best, (f1, float(start), heed), key=lambda each: each[0])
        least[name] = round(lenient * best[1], 3)
        words += [name] if best[2] else []
        print(f"{name}: F1 {best[0]:.3f} from {least[name]}, words {best[2]}")
    return least, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--heads", type=Path, required=True, help="What training.heads wrote.")
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
        (seen.sides, np.array([data.THREE.index(row["label"]) for row in tweets]), 0.65),
        (
            heard.sides[clear],
            np.array([data.THREE.index(each) for each in polarity if each is not None]),
            0.2,
        ),
        (wrote.sides, np.array([int(np.sign(side)) + 1 for _, side in own]), 0.15),
    ]
    fit: dict[str, Any] = {"sides": sides(sets, False), "alone": sides(sets, True)}

    # Figures on the halves that the numbers were not fitted on.
    views, gold_sides, _ = sets[0]
    even = np.arange(len(gold_sides)) % 2 == 0
    said_sides, sure = np.zeros(len(gold_sides), dtype=int), np.zeros(len(gold_sides))
    for half in (even, ~even):
        other = sides([(views[half], gold_sides[half], 0.65), *sets[1:]], False)
        z = np.einsum("v,nvc->nc", np.array(other["weights"]), views) + np.array(other["bias"])
        verdict = (z + np.array(other["decide"])).argmax(1)
        chances = np.exp(log_softmax(z))[np.arange(len(z)), verdict]
        said_sides[~half], sure[~half] = verdict[~half], chances[~half]
    pairs = list(zip(gold_sides.tolist(), said_sides.tolist(), strict=True))
    right = (gold_sides == said_sides).tolist()
    error = calibration_error(list(zip(sure.tolist(), right, strict=True)))
    print(
        f"tweets, each half by the other: macro-recall {macro_recall(pairs):.3f}, "
        f"macro-F1 {macro_f1(pairs):.3f}, calibration error {error:.3f}"
    )

    # The mood's knots: where the five labels meet become the cuts of the score.
    cuts = network.manifest["cuts"]
    fit["score"] = {
        "moods": [cuts[0] - 4.0, *cuts, cuts[3] + 4.0],
        "scores": [-1.0, -0.6, -0.2, 0.2, 0.6, 1.0],
        "mood": 0.5,
        "lean": 0.3,
        "rules": 0.2,
        "very_positive": 0.6,
        "very_negative": 0.6,
    }
    heads = torch.load(options.heads, weights_only=False)
    if "emotions_texts" in heads:
        felt = np.array(
            [[each in row["label"] for each in EMOTIONS] for row in heads["emotions_texts"]]
        )
        worded = RuleEngine().analyze_many(row["text"] for row in heads["emotions_texts"])
        strengths, lenient = 1 / (1 + np.exp(-heads["emotions_unseen"].numpy())), 1.0
    else:
        felt = np.array([data.plutchik_of(row["label"]) for row in comments]) > 0
        worded = heard.rules
        strengths, lenient = 1 / (1 + np.exp(-heard.by_head["emotions"])), LENIENT
    fit["emotions"], fit["words"] = emotions(felt, strengths, worded, lenient)

    kept = heads["unseen"]
    labels = [INTENTS.index(each) for _, each in gold("train")]
    ruled = [
        INTENTS.index(each.intent)
        for each in RuleEngine().analyze_many(t for t, _ in gold("train"))
    ]
    views = log_softmax(kept.numpy().astype(np.float64))
    best_intent = (-1.0, 0.0)
    for weight in (0.0, 0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5, 3.0):
        said = views.copy()
        said[np.arange(len(said)), ruled] += weight
        pairs = list(zip(labels, said.argmax(1).tolist(), strict=True))
        best_intent = max(best_intent, (macro_f1(pairs), weight))
    fit["intents"] = {"rules": best_intent[1]}
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
    print(f"intents, unseen folds: macro-F1 {best_intent[0]:.3f}")


if __name__ == "__main__":
    main()
