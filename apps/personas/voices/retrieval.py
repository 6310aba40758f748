"""Finding what a persona knows about a question: BM25 over its own sentences, and how well it fits.

The score orders; the *coverage* decides whether to answer at all: which part of the question's
meaning, weighed by how rare its words are, the passage speaks of. A word the persona never used
is as rare as can be, so a question about something else stays unanswered.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?", re.UNICODE)
_STOP_WORDS = """
a an the of to in on at by for from with as is are am was were be been being do does did done
i you he she it we they me him her us them my your his its our their mine yours this that these
those there here and or but so if then than not no yes have has had having can could would will
shall should may might must what who whom whose which how why when where about into over just
very really any some ever tell know please hi hello hey s re ve ll d m t don didn doesn isn
aren wasn weren let get got also too up out all one im youre whats thats ok okay well oh
currently right now give say said think going go thing things lot much many use uses used using
kind sort type own day days usually often
anything something everything nothing anyone someone everyone most best more put happens
happen time times
"""
STOP = frozenset(_STOP_WORDS.split())
# Words that ask for the same thing. Each group becomes one word.
_GROUPS = """
live lives living lived based home reside resides located hometown
name named names called
job work works working worked occupation profession career living_as employed
age old birthday born birth year_old aged
favourite favorite love loves loved like likes liked prefer prefers enjoy enjoys fan best adore
eat eats eating ate eaten food dish meal cuisine
drink drinks drinking drank drunk beverage
hobby hobbies pastime spare leisure free
pet pets animal animals
family relatives
brother brothers sister sisters sibling siblings
music song songs band bands listen listens
movie movies film films cinema
book books read reads reading write writes wrote written novel novels author
study studies studied school university college educated education learn learned
start starts started begin begins began begun
buy bought sell sold purchase order shop store merch
price cost costs expensive
contact email mail reach write_to
country nationality
language languages speak speaks spoke spoken fluent
camera cameras gear equipment kit shoot shoots
photograph photographs photo photos picture pictures image images
travel travels travelled trip trips visit visited journey
partner boyfriend girlfriend husband wife married spouse dating relationship
children kids child son daughter
wake morning routine
colour color colours colors
break breaks broke broken
run runs ran running runner
wear wears wore worn shoe shoes clothes
teach teaches taught teacher
build builds built builder
make makes made
swim swims swam swum
win wins won
grow grows grew grown
draw draws drew drawn drawing
sing sings sang sung singer
drive drives drove driven
ride rides rode ridden
sleep sleeps slept
meet meets met
""".strip().splitlines()


def stem(word: str) -> str:
    """A word without its commonest English endings; close enough to compare two."""
    for ending, rest in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("ly", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)] + rest
    if word.endswith("es") and len(word) > 5:
        return word[:-2]
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1]
    return word.removesuffix("e") if len(word) > 4 else word


_SAME = {word: f"@{line.split()[0]}" for line in _GROUPS for word in line.split()}
# "orders" asks for the same as "order", whichever of them its group names.
_SAME_STEM = {stem(word): group for word, group in _SAME.items()}


# "My dog Taro" says what the dog is called without the word for it.
NAME = _SAME["name"]
_NAMES_ONE = re.compile(r"\b(?:[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Tt]heir) [a-z]+,? [A-Z]\w+", re.UNICODE)


def terms(text: str) -> list[str]:
    """The words that carry meaning, each as its group or stem."""
    found = []
    for word in _WORD.findall(text.lower().replace("\u2019", "'")):
        word = word.removesuffix("'s").removesuffix("n't").replace("'", "")
        if len(word) < 2 and not word.isdigit() or word in STOP:
            continue
        found.append(_SAME.get(word) or _SAME_STEM.get(stem(word)) or stem(word))
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a text, short ones kept with their neighbours' punctuation."""
    return [part.strip() for part in re.split(r"(?<=[.!?\u3002])\s+|\n+", text) if part.strip()]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Something to answer with; `key` is what it is found by, when that is not the text itself."""

    text: str
    source: str
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A passage with how well it fits."""

    passage: Passage
    score: float
    coverage: float


class Index:
    """The passages of one persona, ready to be asked."""

    K1, B = 1.2, 0.6

    def __init__(self, passages: Iterable[Passage], *, ignore: Sequence[str] = ()) -> None:
        self.passages = list(passages)
        # The persona's own name stands everywhere and says nothing.
        self._ignored = {word for name in ignore for word in terms(name)}
        self._counts = [
            Counter(t for t in terms(f"{each.key} {each.text}") if t not in self._ignored)
            for each in self.passages
        ]
        for each, count in zip(self.passages, self._counts, strict=True):
            if _NAMES_ONE.search(each.text):
                count.setdefault(NAME, 1)
        # A question that is known word for word is matched by its own words only.
        self._keys = [
            {t for t in terms(each.key) if t not in self._ignored} for each in self.passages
        ]
        lengths = [sum(count.values()) for count in self._counts]
        self._mean = (sum(lengths) / len(lengths) or 1.0) if lengths else 1.0
        self._lengths = lengths
        self._holders = Counter(term for count in self._counts for term in count)

    def weight(self, term: str) -> float:
        """How much a term tells: the rarer the more, most for one never seen."""
        n = len(self.passages)
        holders = self._holders.get(term, 0)
        return math.log(1 + (n - holders + 0.5) / (holders + 0.5))

    def search(self, question: str, *, most: int = 3) -> list[Found]:
        """The passages that fit best, the best first."""
        asked = [t for t in dict.fromkeys(terms(question)) if t not in self._ignored]
        if not asked:
            return []
        whole = sum(self.weight(t) for t in asked)
        found = []
        for place, count in enumerate(self._counts):
            hits = [t for t in asked if t in count]
            if not hits:
                continue
            norm = self.K1 * (1 - self.B + self.B * self._lengths[place] / self._mean)
            score = sum(self.weight(t) * count[t] * (self.K1 + 1) / (count[t] + norm) for t in hits)
            coverage = sum(self.weight(t) for t in hits) / whole
            key = self._keys[place]
            if key:
                # An answer belongs to its question: both must speak of the same.
                back = sum(self.weight(t) for t in key if t in asked) / sum(map(self.weight, key))
                score *= 1 + back
                coverage = max(coverage, (coverage + back) / 2) if back >= 0.6 else coverage
            found.append(Found(passage=self.passages[place], score=score, coverage=coverage))
        found.sort(key=lambda each: (each.coverage >= 0.99, each.score), reverse=True)
        return found[:most]
