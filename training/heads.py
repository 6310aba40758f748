"""Fits the intents on what the trained encoder puts out; `python -m training.heads DATA RUN`.

The six intents are learned from our own comments (`own/intents/train.jsonl`; a third is kept for
testing beside it) and, with less weight, from GoEmotions' comments whose labels imply one.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from apps.sentiment.engines.base import INTENTS
from training import data, network
from training.export import trained
from training.train import encode, padded

GOLD = Path(__file__).parent / "own" / "intents"
WEAK, MOST_WEAK = 0.15, 300


def gold(split: str) -> list[tuple[str, str]]:
    """Our comments, each with what at least two of its three labels say."""
    lines = (GOLD / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")
    return [(row["text"], row["label"]) for row in map(json.loads, filter(None, lines))]


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


def fitted(x: Tensor, y: Tensor, weights: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """A linear layer under a softmax over classes."""
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / scale
    layer = torch.nn.Linear(x.shape[1], y.shape[1])
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        said = layer(x)
        each = -(y * F.log_softmax(said, -1)).sum(1)
        loss = (weights * each).sum() / weights.sum() + penalty * (layer.weight**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    weight = layer.weight.detach() / scale
    return weight, layer.bias.detach() - weight @ mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
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
            weight, bias = fitted(x[~out], y[~out], weights[~out], penalty)
            unseen[out[: len(own)]] = x[out] @ weight.T + bias
        right = float((unseen.argmax(1) == y[: len(own)].argmax(1)).float().mean())
        print(f"intents, penalty {penalty}: {right:.3f} of five folds right")
        best = max(best, (right, penalty, unseen), key=lambda each: each[0])
    weight, bias = fitted(x, y, weights, best[1])
    torch.save({"intents": (weight, bias), "unseen": best[2]}, options.run / "heads.pt")


if __name__ == "__main__":
    main()
