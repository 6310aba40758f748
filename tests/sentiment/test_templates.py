"""CheckList's kinds of sentences (Ribeiro et al. 2020), in templates of our own."""

from collections.abc import Iterator
from itertools import product

import pytest

from apps.sentiment.engines.rules import RuleEngine

ENGINE = RuleEngine()
ADJECTIVES = """
good great excellent amazing beautiful perfect fun fantastic nice lovely
bad terrible awful horrible boring ugly poor disappointing nasty dreadful
"""
GOOD, BAD = (line.split() for line in ADJECTIVES.strip().splitlines())
THINGS = ["food", "service", "flight", "video", "song", "hotel"]
SORTS = ["private", "American", "commercial", "Italian", "British", "international"]
LIKE = ["love", "like", "enjoy", "admire", "appreciate"]
DISLIKE = ["hate", "dislike", "despise", "regret", "dread"]

# Kind: the templates with what they must read as. G and B stand for a good and a bad word, T for
# a thing, U for what says neither, L and D for verbs of liking and disliking. "not -" is anything
# but negative, "0" is neutral.
KINDS: dict[str, list[tuple[str, str]]] = {
    "negated": [
        ("The T isn't G.", "-"),
        ("It was not a G T.", "-"),
        ("I don't think the T is G.", "-"),
        ("I don't think, given everything I saw, that the T is G.", "-"),
        ("The T isn't B.", "not -"),
        ("It was not a B T.", "not -"),
    ],
    "taken back": [
        ("I thought the T was G, but it wasn't.", "-"),
        ("I thought this T would be G, but it was not.", "-"),
        ("I thought the T was B, but it wasn't.", "not -"),
    ],
    "answered": [
        ("Do I think the T was G? No.", "-"),
        ("Was the T G? No", "-"),
        ("Do I think the T was B? No.", "not -"),
        ("Do I think the T was G? Yes.", "+"),
        ("Do I think the T was B? Yes.", "-"),
    ],
    "contrast": [
        ("The T looked G, but it was B.", "-"),
        ("The T looked B, but it was G.", "+"),
        ("Although the T was B, I had a G time.", "+"),
    ],
    "then and now": [
        ("I used to think the T was G, but now I think it is B.", "-"),
        ("I used to think the T was B, but now I think it is G.", "+"),
        ("I think the T is G, but I used to think it was B.", "+"),
        ("In the past I thought the T was B, but now it is G.", "+"),
        ("I used to D this T, now I L it.", "+"),
        ("I used to L this T, but now I D it.", "-"),
        ("I L this T, although in the past I would D it.", "+"),
        ("I think the T is B, but in the past I thought it was G.", "-"),
    ],
    "whose opinion": [
        ("Some people think the T is G, but I think it is B.", "-"),
        ("I think the T is G, but some people think it is B.", "+"),
        ("My friends say the T is B, but I find it G.", "+"),
        ("My parents L the T, but I D it.", "-"),
        ("I L the T, but my friends D it.", "+"),
    ],
    "no opinion": [
        ("This was a U T.", "0"),
        ("The T isn't U.", "0"),
        ("It was not a U T.", "0"),
        ("Do I think this is a U T? No.", "0"),
        ("Was the T U? Yes.", "0"),
    ],
}
WORDS = {"G": GOOD, "B": BAD, "T": THINGS, "U": SORTS, "L": LIKE, "D": DISLIKE}


def filled(template: str) -> Iterator[str]:
    places = template.replace(".", " ").replace(",", " ").split()
    names = [name for name in WORDS if any(part.strip("?") == name for part in places)]
    for words in product(*(WORDS[name] for name in names)):
        text = f" {template} "
        for name, word in zip(names, words, strict=True):
            for end in (" ", ".", ",", "?"):
                text = text.replace(f" {name}{end}", f" {word}{end}")
        yield text.strip()


def right(label: str, wanted: str) -> bool:
    """Whether a label is what a template must read as."""
    if wanted == "not -":
        return not label.endswith("negative")
    if wanted == "0":
        return label == "neutral"
    return label.endswith("positive" if wanted == "+" else "negative")


@pytest.mark.parametrize("kind", KINDS)
def test_at_most_one_of_twenty_fails(kind: str) -> None:
    failed, count = [], 0
    for template, wanted in KINDS[kind]:
        for text in filled(template):
            count += 1
            label = ENGINE.analyze(text).label
            if not right(label, wanted):
                failed.append(text)
    assert count >= 100
    assert len(failed) <= 0.05 * count, (len(failed), count, failed[:10])
