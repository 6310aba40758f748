"""Reads the training data: one example per text, with every label that any source gives it."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.sentiment.engines.base import EMOTIONS
from apps.sentiment.engines.masking import mask
from training.sentences import NEUTRAL_WORDS, Writer, rated_emoji, rated_words

TWEETS = "semeval2017_4A_tweeteval_sentiment"
FIVE = ("very_negative", "negative", "neutral", "positive", "very_positive")
THREE = ("negative", "neutral", "positive")
ACTS = ("STM", "QUE", "EXP", "SUG", "REQ", "THT", "OTH")
# fmt: off
FINE = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity",
    "desire", "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear",
    "gratitude", "grief", "joy", "love", "nervousness", "optimism", "pride", "realization",
    "relief", "remorse", "sadness", "surprise", "neutral",
)
# GoEmotions' 27 under Plutchik's eight, our reading of Demszky et al. (2020), appendix.
UNDER = {
    "joy": {"joy", "amusement", "excitement", "love", "pride", "relief", "optimism", "gratitude"},
    "sadness": {"sadness", "grief", "disappointment", "remorse", "embarrassment"},
    "anger": {"anger", "annoyance"},
    "fear": {"fear", "nervousness"},
    "surprise": {"surprise", "realization", "confusion"},
    "disgust": {"disgust"},
    "trust": {"approval", "caring", "admiration"},
    "anticipation": {"optimism", "desire", "excitement", "curiosity"},
}
GOOD = {"admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "joy",
        "love", "optimism", "pride", "relief"}
BAD = {"anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear",
       "grief", "nervousness", "remorse", "sadness"}
# fmt: on
# The sources whose terms allow any use; SOURCES.md beside the data has the terms.
PERMISSIVE = {TWEETS, "semeval_5point_CE", "goemotions", "tweet_acts", "uci_sentences", "emobank"}
# E-c has three emotions besides Plutchik's eight; EI-reg rates how strong four of the eight are.
OTHERS = ("love", "optimism", "pessimism")
RATED = ("anger", "fear", "joy", "sadness")
FOUR = ("anger", "joy", "optimism", "sadness")
# How often a pass draws each sentence of our own.
OWN_TIMES = 0.9
_SARCASM = re.compile(r"\s*#(?:sarcas\w*|irony|ironic)\b", re.IGNORECASE)


@dataclass(slots=True)
class Example:
    """One text and what is known of it; None where no source says."""

    text: str
    three: list[float] | None = None
    polarity: list[float] | None = None
    # The four questions "above this cut?", -1 where the label leaves it open.
    ordinal: list[float] | None = None
    fine: list[float] | None = None
    emotions: list[float] | None = None
    others: list[float] | None = None
    # How strong each of RATED is, -1 where nobody said.
    strengths: list[float] | None = None
    four: int | None = None
    acts: int | None = None
    irony: float | None = None
    # (which scale, value in [-1, 1])
    valence: tuple[int, float] | None = None
    times: float = 1.0
    ids: list[int] = field(default_factory=list)


def rows(folder: Path, name: str, split: str) -> list[dict[str, Any]]:
    """The rows of one file, their texts masked as in production."""
    path = folder / name / f"{split}.jsonl"
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    for row in found:
        row["text"] = raw(row["text"])
    return [row for row in found if row["text"].strip()]


def raw(text: str) -> str:
    """A text without the escapes that some sources' files left in it."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match.group(1), 16)), text)
    text = text.replace("\\n", " ").replace("\\r", " ").replace('\\"', '"').replace("\\t", " ")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def key(text: str) -> str:
    """What two copies of a text share whatever was done to their users, links and marks."""
    bare = re.sub(r"@\w+|https?\S*|http\b|&\w+;", " ", text.lower())
    return re.sub(r"\W+", " ", bare).strip()


def held_out(folder: Path) -> set[str]:
    """Every text of every validation file: none of them may be trained on."""
    found = set()
    for path in folder.glob("*/val.jsonl"):
        found |= {key(row["text"]) for row in rows(folder, path.parent.name, "val")}
    return found - {""}


def _steps(label: str) -> list[float]:
    return [float(FIVE.index(label) > cut) for cut in range(4)]


def _one(label: str) -> list[float]:
    return [float(label == each) for each in THREE]


PLAIN = {
    "negative": [-1.0, 0.0, 0.0, 0.0],
    "neutral": [1.0, 1.0, 0.0, 0.0],
    "positive": [1.0, 1.0, 1.0, -1.0],
}


def _tweets(folder: Path) -> Iterator[Example]:
    found: dict[str, Example] = {}
    for row in rows(folder, TWEETS, "train"):
        text, label = row["text"], row["label"]
        bare = _SARCASM.sub("", text)
        found[key(text)] = Example(
            bare, three=_one(label), ordinal=PLAIN[label], irony=1.0 if bare != text else None
        )
    for row in rows(folder, "semeval_5point_CE", "train"):
        known = found.get(key(row["text"]))
        if known is None:
            found[key(row["text"])] = Example(row["text"], ordinal=_steps(row["label"]))
        else:
            known.ordinal = _steps(row["label"])
        if row["label"].startswith("very_"):
            found[key(row["text"])].times = 2.0
    yield from found.values()


def polarity_of(labels: list[str]) -> str | None:
    """GoEmotions' labels as one of three; None where they point both ways or nowhere."""
    good, bad = bool(GOOD & set(labels)), bool(BAD & set(labels))
    if good != bad:
        return "positive" if good else "negative"
    return "neutral" if labels == ["neutral"] else None


def plutchik_of(labels: list[str]) -> list[float]:
    """GoEmotions' labels as Plutchik's eight."""
    return [float(bool(UNDER[each] & set(labels))) for each in EMOTIONS]


def _goemotions(folder: Path, permissive: bool) -> Iterator[Example]:
    for row in rows(folder, "goemotions", "train"):
        labels = row["label"]
        said = polarity_of(labels)
        text = row["text"].replace("[NAME]", "@user")
        yield Example(
            text,
            polarity=_one(said) if said else None,
            fine=[float(each in labels) for each in FINE],
            # Readers of tweets see other emotions than ours under GoEmotions' labels.
            emotions=plutchik_of(labels) if permissive else None,
            times=0.3 if labels == ["neutral"] else 0.6,
        )


def _small(folder: Path) -> Iterator[Example]:
    for row in rows(folder, "uci_sentences", "train"):
        said = _one(row["label"])
        yield Example(row["text"], said, said, PLAIN[row["label"]], times=0.75)
    for row in rows(folder, "emobank", "train"):
        yield Example(row["text"], valence=(0, float(row["score"])), times=0.35)
    for row in rows(folder, "tweet_acts", "train"):
        yield Example(row["text"], acts=ACTS.index(row["label"]), times=0.5)


def _own(seed: int) -> Iterator[Example]:
    said: list[float]
    for text, side, kind in Writer(seed).write(9_000):
        example = Example(text, irony=None)
        if side == 2:
            said, example.ordinal = [0.0, 0.4, 0.6], [1.0, 1.0, -1.0, 0.0]
        elif side == 0:
            said, example.ordinal = _one("neutral"), PLAIN["neutral"]
        else:
            label = "positive" if side > 0 else "negative"
            said = _one(label)
            example.ordinal = PLAIN[label]
            if kind == "plain":
                example.ordinal = _steps(("very_" if abs(side) > 10 else "") + label)
        example.three, example.polarity = said, said
        yield example
    for word, value in rated_words():
        label = "neutral" if abs(value) < 0.2 else "positive" if value > 0 else "negative"
        yield Example(word, _one(label), _one(label), None, valence=(1, value), times=0.35)
    for sign, value in rated_emoji():
        label = "neutral" if abs(value) < 0.3 else "positive" if value > 0 else "negative"
        yield Example(sign, _one(label), _one(label), PLAIN[label], valence=(1, value), times=2.0)
        if label != "neutral":
            text = f"{Writer(seed + ord(sign[0])).neutral()[0]} {sign}"
            yield Example(text, _one(label), _one(label), PLAIN[label])
    for word in NEUTRAL_WORDS:
        yield Example(word, _one("neutral"), _one("neutral"), PLAIN["neutral"], valence=(1, 0.0))


def _research(folder: Path) -> Iterator[Example]:
    """Sources for research: emotions, valence and irony of tweets, film reviews.

    SemEval-2018's files and TweetEval's emotions share tweets; each is read once, with all that any
    of them says.
    """
    found: dict[str, Example] = {}

    def known(row: dict[str, Any]) -> Example:
        return found.setdefault(key(row["text"]), Example(row["text"]))

    for row in rows(folder, "semeval2018_Ec", "train"):
        each = known(row)
        each.emotions = [float(name in row["label"]) for name in EMOTIONS]
        each.others = [float(name in row["label"]) for name in OTHERS]
        each.times = 1.25
    for row in rows(folder, "semeval2018_EIreg", "train"):
        each = known(row)
        each.strengths = each.strengths or [-1.0] * len(RATED)
        each.strengths[RATED.index(row["emotion"])] = float(row["intensity"])
    for row in rows(folder, "semeval2018_Vreg", "train"):
        known(row).valence = (2, float(row["score"]))
    for row in rows(folder, "tweeteval_emotion", "train"):
        known(row).four = FOUR.index(row["label"])
    yield from found.values()
    for row in rows(folder, "tweeteval_irony", "train"):
        yield Example(row["text"], irony=float(row["label"] == "irony"), times=0.75)
    for row in rows(folder, "sst5", "train"):
        yield Example(row["text"], ordinal=_steps(row["label"]), times=0.5)


def examples(folder: Path, *, permissive: bool, seed: int) -> list[Example]:
    """Everything to train on, none of it in a validation file."""
    never = held_out(folder)
    found = [*_tweets(folder), *_goemotions(folder, permissive), *_small(folder)]
    if not permissive:
        found += _research(folder)
    kept = [each for each in found if key(each.text) not in never]
    for each in _own(seed):
        each.times *= OWN_TIMES
        kept.append(each)
    random.Random(seed).shuffle(kept)
    return kept


def emoji_in(found: list[Example], least: int) -> list[str]:
    """The emoji that are common enough in the texts to deserve a word of their own."""
    from apps.sentiment.engines import masking

    counts: Counter[str] = Counter()
    for each in found:
        counts.update({sign for sign in each.text if masking.is_mark(sign)})
    return sorted(sign for sign, count in counts.items() if count >= least)


def masked(text: str, known: set[str]) -> str:
    """What the tokenizer gets."""
    return mask(text, known).text


def digest(folder: Path) -> str:
    """The SHA-256 of all files that were read."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*/*.jsonl")):
        total.update(path.read_bytes())
    return total.hexdigest()


def is_added(word: str) -> bool:
    """Whether a word of the vocabulary is an emoji of its own."""
    from apps.sentiment.engines import masking

    return len(word) == 1 and masking.is_mark(word)
