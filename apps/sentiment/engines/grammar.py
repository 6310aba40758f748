"""English function words by the part they play in turning, bending or attributing an opinion."""

from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"


def lines(name: str) -> Iterator[str]:
    """The lines of a data file without comments and blanks."""
    with (DATA / name).open(encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line and not line.startswith("#"):
                yield line


def _blocks() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    part = ""
    for line in lines("grammar.txt"):
        if line.startswith("["):
            part = line[1:-1]
        else:
            found.setdefault(part, set()).update(line.split())
    return {name: frozenset(words) for name, words in found.items()}


_PARTS = _blocks()
NOT = _PARTS["not"]
# Negated, these can stand for a whole clause: "but it wasn't".
AUXILIARIES = _PARTS["auxiliaries"]
INVERTED = AUXILIARIES | _PARTS["inverted"]
SUBJECTS = _PARTS["subjects"]
# The clause after BUT weighs more than the one before; the one ALTHOUGH opens weighs less.
BUT = _PARTS["but"]
ALTHOUGH = _PARTS["although"]
JOINING = _PARTS["joining"]
THEN = _PARTS["then"]
NOW = _PARTS["now"]
I_WORDS = _PARTS["i"]
THEY_WORDS = _PARTS["they"]
OPINE = _PARTS["opine"]
YES = _PARTS["yes"]
NO = _PARTS["no"]
THANKS = _PARTS["thanks"]
DETERMINERS = _PARTS["determiners"]
BOOSTS = {
    **dict.fromkeys(_PARTS["stronger"], 1.3),
    **dict.fromkeys(_PARTS["strongest"], 1.5),
    **dict.fromkeys(_PARTS["weaker"], 0.6),
    "pretty": 1.15,
}
TAG_WORDS = _PARTS["tags"]
FUNCTION = _PARTS["function"]
NOT_TOPICS = _PARTS["not topics"]
