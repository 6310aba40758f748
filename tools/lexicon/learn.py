"""Rebuilds learned_valence.tsv: each word's mood starts at its rating and moves as far as the
training texts push it.

    python tools/lexicon/learn.py DATA [--out apps/sentiment/engines/data/learned_valence.tsv]

DATA holds `semeval2017_4A_tweeteval_sentiment`, `goemotions` and `uci_sentences`, each with a
train.jsonl of `text` and `label`. Texts of any NAME/val.jsonl beside them are left out, whatever
file they stand in: figures on those files are figures on unseen texts. Needs numpy and scipy
(requirements.txt beside this).

The rules read every text, so a word behind "not" or before "but" counts as they weigh it. The moods
are then the weights of an ordinal logistic regression with thresholds even around zero, under an
L2 penalty on how far each word leaves its rating. Names and words of time are left out: a name
has no mood, whatever people said of it in one year.
"""

import argparse
import collections
import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from apps.sentiment.engines import clauses, grammar, lexicon  # noqa: E402
from apps.sentiment.engines.tokens import WORD, tokenize  # noqa: E402
from training.data import held_out, key, raw  # noqa: E402

AT_LEAST = 12
KEEP_FROM = 0.4
TINY = 1e-6
# How dear it is to leave a rating, and to give an unrated word a mood.
RATED, UNRATED = 4.0, 5.0
POSITIVE = set(
    """admiration amusement approval caring excitement gratitude joy love optimism pride
    relief""".split()
)
NEGATIVE = set(
    """anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness
    remorse sadness""".split()
)
CALENDAR = set(
    """monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri
    sat sun january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec tomorrow today tonight yesterday morning
    afternoon evening night week weekend month year day days""".split()
)


def polarity(labels: list[str]) -> str | None:
    """The side that GoEmotions' labels are on; none when they disagree."""
    up, down = len(POSITIVE & set(labels)), len(NEGATIVE & set(labels))
    if up and not down:
        return "positive"
    if down and not up:
        return "negative"
    return "neutral" if labels == ["neutral"] else None


def rows(data: Path) -> list[tuple[str, str, str]]:
    """Source, text and one of three labels."""
    never = held_out(data)
    found = []
    for source in ("semeval2017_4A_tweeteval_sentiment", "goemotions", "uci_sentences"):
        with (data / source / "train.jsonl").open() as file:
            for line in file:
                row = json.loads(line)
                label = row["label"] if isinstance(row["label"], str) else polarity(row["label"])
                if label and key(raw(row["text"])) not in never:
                    found.append((source, row["text"], label))
    return found


def vocabulary(texts: list[str]) -> list[str]:
    """Words frequent enough to learn about, without function words, names and words of time."""
    count: collections.Counter[str] = collections.Counter()
    capital: collections.Counter[str] = collections.Counter()
    for text in texts:
        tokens = tokenize(text)
        seen = set()
        for before, token in zip([None, *tokens], tokens, strict=False):
            if token.kind == WORD:
                if before is not None and before.kind == WORD:
                    capital[token.word, token.surface[0].isupper()] += 1
                seen.add(token.word)
        count.update(seen)
    chosen = []
    for word, number in count.items():
        if number < AT_LEAST or len(word) < 3 or word in grammar.FUNCTION or word in CALENDAR:
            continue
        upper, lower = capital[word, True], capital[word, False]
        entry = lexicon.WORDS.get(word)
        if 2 * upper > lower and (entry is None or not entry.valence):
            continue
        if entry is not None and (entry.negates or word in grammar.BUT):
            continue
        if word.endswith("n't") or not word.isascii() or not word.replace("'", "").isalpha():
            continue
        chosen.append(word)
    return sorted(chosen)


def features(texts: list[str]) -> tuple[list[dict[int, float]], list[str], np.ndarray]:
    """For every text how much each word counts, as the rules weigh it."""
    words = vocabulary(texts)
    ratings = []
    owned = {word for line in grammar.lines("own_valence.txt") for word in line.split()[1:]}
    index: dict[int, int] = {}
    for number, word in enumerate(words):
        entry = lexicon.WORDS.setdefault(word, lexicon.Entry())
        ratings.append(entry.valence)
        if not entry.valence and word not in owned:
            entry.valence = TINY
        index[id(entry)] = number
    fixed = len(words)

    def mood(self: clauses.Clause) -> float:
        total = sum(unit.value for unit in self.units)
        return total if abs(total) > 0.01 else 0.0

    clauses.Clause.mood = mood  # type: ignore[method-assign]
    found = []
    for text in texts:
        reader = clauses.Reader(tokenize(text))
        clauses.weigh(reader.sentences)
        shouts = 1 + 0.1 * min(sum(min(s.mark.count("!"), 3) for s in reader.sentences), 3)
        row: dict[int, float] = {}
        for sentence in reader.sentences:
            for clause in sentence.clauses:
                for unit in clause.units:
                    number = index.get(id(unit.entry), -1)
                    if number >= 0 and unit.entry.valence and words[number] not in owned:
                        share = unit.value / unit.entry.valence
                        row[number] = row.get(number, 0.0) + share * shouts
                    else:
                        row[fixed] = row.get(fixed, 0.0) + unit.value * shouts
        found.append(row)
    return found, words, np.array([*ratings, 1.0])


def fit(
    x: csr_matrix, y: np.ndarray, weight: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Moods, the slope and the threshold of the ordinal regression."""
    cost = np.where(prior != 0, RATED, UNRATED)

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        w, a, t = p[:-2], np.exp(p[-2]), np.exp(p[-1])
        z = x @ w
        high = 1 / (1 + np.exp(-np.clip(a * z - t, -30, 30)))
        low = 1 / (1 + np.exp(-np.clip(-a * z - t, -30, 30)))
        middle = np.clip(1 - high - low, 1e-9, 1)
        chance = np.where(y > 0, high, np.where(y < 0, low, middle))
        value = -(weight * np.log(np.clip(chance, 1e-9, 1))).sum()
        dh, dl = high * (1 - high), low * (1 - low)
        dz = np.where(y > 0, -(1 - high), np.where(y < 0, 1 - low, (dh - dl) / middle)) * weight
        dt = np.where(y > 0, 1 - high, np.where(y < 0, 1 - low, -(dh + dl) / middle)) * weight
        away = w - prior
        away[-1] *= 1000
        value += 0.5 * (cost * away * (w - prior)).sum()
        gradient = np.concatenate(
            [x.T @ (dz * a) + cost * away, [(dz * z).sum() * a], [dt.sum() * t]]
        )
        return value, gradient

    start = np.concatenate([prior, [0.0], [0.0]])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return best.x[:-2], float(np.exp(best.x[-2])), float(np.exp(best.x[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=lexicon.DATA / "learned_valence.tsv")
    options = parser.parse_args()
    learned = lexicon.DATA / "learned_valence.tsv"
    if learned.exists() and learned.read_text().count("\n") > 9:
        raise SystemExit(f"Empty {learned} first: words start at their ratings.")
    data = rows(options.data)
    found, words, prior = features([text for _, text, _ in data])
    y = np.array([{"positive": 1, "neutral": 0, "negative": -1}[label] for *_, label in data])
    counts = collections.Counter((source, label) for source, _, label in data)
    sizes = {"semeval2017_4A_tweeteval_sentiment": 1.0, "goemotions": 0.6, "uci_sentences": 0.06}
    weight = np.array(
        [sizes[source] * 45_000 / 3 / counts[source, label] for source, _, label in data]
    )
    pointer, columns, values = [0], [], []
    for row in found:
        columns += row.keys()
        values += row.values()
        pointer.append(len(columns))
    x = csr_matrix((values, columns, pointer), shape=(len(found), len(prior)))
    moods, slope, threshold = fit(x, y, weight, prior)
    kept = [
        (word, mood)
        for word, mood, rating in zip(words, moods, prior, strict=False)
        if abs(mood) >= KEEP_FROM or rating
    ]
    with options.out.open("w") as file:
        file.write("# Learned by tools/lexicon/learn.py; NOTICE.md names the sources.\n")
        for word, mood in sorted(kept):
            file.write(f"{word}\t{mood if abs(mood) >= KEEP_FROM else 0:.2g}\n")
    print(f"{len(data)} texts, {len(words)} words weighed, {len(kept)} written")
    print(f"EDGE {threshold / slope:.3f} SPREAD {1 / slope:.3f}")


if __name__ == "__main__":
    main()
