"""Fits small heads on what the trained encoder puts out; `python -m training.heads DATA RUN`.

The six intents are learned from our own comments (`own/intents/train.jsonl`; a third is kept for
testing beside it) and, with less weight, from GoEmotions' comments whose labels imply one.
`--research` also fits Plutchik's eight on SemEval-2018 E-c, whose terms are for research.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from apps.sentiment.engines.base import EMOTIONS, INTENTS
from training import data, network
from training.export import trained
from training.train import encode, padded

GOLD = Path(__file__).parent / "own" / "intents"
WEAK, MOST_WEAK = 0.15, 300


def gold(split: str) -> list[tuple[str, str]]:
    """Our comments whose two labels agree."""
    lines = (GOLD / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    return [(row["text"], row["label"]) for row in rows if row["label"] == row["second"]]


def weak(folder: Path) -> list[tuple[str, str]]:
    """GoEmotions' comments whose one label says what they are for."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in INTENTS}
    for row in data.rows(folder, "goemotions", "train"):
        label = row["label"][0] if len(row["label"]) == 1 else ""
        text = row["text"].replace("[NAME]", "@user")
        asks = text.rstrip().endswith("?")
        intent = {"gratitude": "appreciation", "admiration": "praise"}.get(label)
        if label in ("curiosity", "confusion") and asks:
            intent = "question"
        if label == "neutral" and "?" not in text:
            intent = "statement"
        if label in ("annoyance", "disappointment", "disapproval") and not asks:
            intent = "complaint"
        if intent and len(found[intent]) < MOST_WEAK:
            found[intent].append((text, intent))
    return [pair for pairs in found.values() for pair in pairs]


@torch.no_grad()
def pooled(net: network.Network, texts: list[str], run: Path) -> Tensor:
    """What the heads see of each text."""
    words = (run / "vocab.txt").read_text(encoding="utf-8").splitlines()
    ids = encode(texts, words, run / "vocab.txt")
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = torch.zeros(len(ids), 2 * network.WIDTH)
    seen: list[Tensor] = []
    hook = net.heads.register_forward_pre_hook(lambda _, given: seen.append(given[0].float()))
    with torch.autocast("cpu", torch.bfloat16):
        for at in range(0, len(order), 64):
            some = order[at : at + 64]
            net(*padded([ids[i] for i in some]))
            found[some] = seen.pop()
    hook.remove()
    return found


def fitted(
    x: Tensor, y: Tensor, weights: Tensor, penalty: float, single: bool
) -> tuple[Tensor, Tensor]:
    """A linear layer: softmax over classes, or each label alone."""
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / scale
    layer = torch.nn.Linear(x.shape[1], y.shape[1])
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        said = layer(x)
        if single:
            each = -(y * F.log_softmax(said, -1)).sum(1)
        else:
            each = F.binary_cross_entropy_with_logits(said, y, reduction="none").sum(1)
        loss = (weights * each).sum() / weights.sum() + penalty * (layer.weight**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    weight = layer.weight.detach() / scale
    return weight, layer.bias.detach() - weight @ mean


def emotions(net: network.Network, folder: Path, run: Path) -> dict[str, object]:
    """Plutchik's eight from E-c's training tweets: the layer, and what it says of unseen folds."""
    never = data.held_out(folder)
    found = data.rows(folder, "semeval2018_Ec", "train")
    rows = [row for row in found if data.key(row["text"]) not in never]
    x = pooled(net, [row["text"] for row in rows], run)
    y = torch.tensor([[float(name in row["label"]) for name in EMOTIONS] for row in rows])
    folds = torch.arange(len(rows)) % 5
    best: tuple[float, float, Tensor] = (-1.0, 0.0, torch.zeros(0))
    for penalty in (1e-3, 3e-3, 1e-2):
        unseen = torch.zeros(len(rows), len(EMOTIONS))
        for fold in range(5):
            out = folds == fold
            weight, bias = fitted(x[~out], y[~out], torch.ones(int((~out).sum())), penalty, False)
            unseen[out] = x[out] @ weight.T + bias
        said = (unseen > -0.6).float()
        f1 = (2 * (said * y).sum(0) / (said.sum(0) + y.sum(0))).mean()
        print(f"emotions, penalty {penalty}: macro-F1 {float(f1):.3f} of five folds")
        best = max(best, (float(f1), penalty, unseen), key=lambda each: each[0])
    layer = fitted(x, y, torch.ones(len(rows)), best[1], single=False)
    # In the order of the rows, so that the fit can weigh rules and network on the same texts.
    return {"emotions": layer, "emotions_unseen": best[2], "emotions_texts": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--research", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(1)
    net = trained(options.run)
    own, weaker = gold("train"), weak(options.data)
    texts = [text for text, _ in own + weaker]
    x = pooled(net, texts, options.run)
    y = torch.tensor([[float(name == each) for name in INTENTS] for _, each in own + weaker])
    weights = torch.tensor([1.0] * len(own) + [WEAK] * len(weaker))
    # Five folds of our own comments say which penalty to take; each fold sees all the weak ones.
    folds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % 5 for text, _ in own]
    best = (0.0, 0.0, torch.zeros(0))
    for penalty in (4e-3, 1.6e-2, 6.4e-2):
        unseen = torch.zeros(len(own), len(INTENTS))
        for fold in range(5):
            out = torch.tensor([each == fold for each in folds] + [False] * len(weaker))
            weight, bias = fitted(x[~out], y[~out], weights[~out], penalty, single=True)
            unseen[out[: len(own)]] = x[out] @ weight.T + bias
        right = float((unseen.argmax(1) == y[: len(own)].argmax(1)).float().mean())
        print(f"intents, penalty {penalty}: {right:.3f} of five folds right")
        best = max(best, (right, penalty, unseen), key=lambda each: each[0])
    weight, bias = fitted(x, y, weights, best[1], single=True)
    state = {"intents": (weight, bias), "unseen": best[2]}
    if options.research:
        state |= emotions(net, options.data, options.run)
    torch.save(state, options.run / ("research.pt" if options.research else "heads.pt"))


if __name__ == "__main__":
    main()
