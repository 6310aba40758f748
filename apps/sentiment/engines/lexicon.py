"""What each word, phrase and emoji means to the rules; read once from the files beside this."""

from functools import lru_cache

from apps.sentiment.engines import grammar
from apps.sentiment.engines.base import EMOTIONS
from apps.sentiment.engines.grammar import DATA, lines
from apps.sentiment.engines.tokens import LONGEST_WORD, shortened, split_humps, split_known


class Entry:
    """One word or phrase: mood from -4 to 4, what it does to others, the emotions it shows."""

    __slots__ = ("boost", "emotions", "function", "negates", "topical", "valence")

    def __init__(self) -> None:
        self.valence = 0.0
        self.boost = 0.0
        self.negates = False
        self.function = False
        self.topical = True
        self.emotions: tuple[tuple[int, float], ...] = ()


class Phrase:
    """The words that follow a first one to make a phrase, and what the whole means."""

    __slots__ = ("entry", "rest")

    def __init__(self, rest: tuple[str, ...], entry: Entry) -> None:
        self.rest = rest
        self.entry = entry


def valences() -> dict[str, float]:
    """Every word's mood: VADER's ratings, moved by what comments taught, and ours over both."""
    found: dict[str, float] = {}
    for name in ("vader_valence.tsv", "learned_valence.tsv"):
        if (DATA / name).exists():
            for line in lines(name):
                word, _, value = line.partition("\t")
                found[word] = float(value)
    for line in lines("own_valence.txt"):
        value, *words = line.split()
        found.update({word.replace("_", " "): float(value) for word in words})
    return found


def _emotions() -> dict[str, tuple[tuple[int, float], ...]]:
    found: dict[str, list[tuple[int, float]]] = {}
    index = 0
    for line in lines("emotions.txt"):
        if line.startswith("["):
            index = EMOTIONS.index(line[1:-1])
            continue
        for item in line.split():
            word, _, strength = item.partition(":")
            found.setdefault(word.replace("_", " "), []).append((index, float(strength or 1)))
    return {word: tuple(pairs) for word, pairs in found.items()}


def _build() -> tuple[dict[str, Entry], dict[str, list[Phrase]], dict[str, Entry]]:
    entries: dict[str, Entry] = {}

    def entry(word: str) -> Entry:
        return entries.setdefault(word, Entry())

    for word, valence in valences().items():
        entry(word).valence = valence
    for word, pairs in _emotions().items():
        entry(word).emotions = pairs
    for word in grammar.NOT:
        entry(word).negates = True
    for word, boost in grammar.BOOSTS.items():
        entry(word).boost = boost
    for word in grammar.FUNCTION | grammar.BUT | grammar.ALTHOUGH | grammar.THEY_WORDS:
        entry(word).function = True
    for word in grammar.NOT_TOPICS | grammar.OPINE | grammar.FUNCTION | grammar.NOT:
        entry(word).topical = False
    for word, each in entries.items():
        if word.endswith("n't"):
            each.negates = True
    phrases: dict[str, list[Phrase]] = {}
    for word in [each for each in entries if " " in each]:
        first, *rest = word.split()
        whole = entries.pop(word)
        if not whole.emotions:
            parts = [entries[part] for part in (first, *rest) if part in entries]
            alike = [part for part in parts if part.valence * whole.valence > 0]
            whole.emotions = tuple(pair for part in alike for pair in part.emotions)
        phrases.setdefault(first, []).append(Phrase(tuple(rest), whole))
    for group in phrases.values():
        group.sort(key=lambda phrase: -len(phrase.rest))
    emoji: dict[str, Entry] = {}
    for line in lines("emoji.txt"):
        value, emotion, characters = line.split()
        for character in characters:
            each = emoji.setdefault(character, Entry())
            each.valence = each.valence or float(value)
            pair = (EMOTIONS.index(emotion), 0.7)
            each.emotions = (*each.emotions, pair)
    return entries, phrases, emoji


WORDS, PHRASES, EMOJI = _build()
_HAPPY, _SAD, _LOVE, _MEH = Entry(), Entry(), Entry(), Entry()
_HAPPY.valence, _HAPPY.emotions = 2.0, ((0, 0.6),)
_SAD.valence, _SAD.emotions = -2.0, ((1, 0.6),)
_LOVE.valence, _LOVE.emotions = 2.6, ((0, 0.8),)
_MEH.valence = -1.0
_TAG_WORDS: dict[str, object] = {
    word: None for word in [*WORDS, *grammar.TAG_WORDS] if word.isalpha() and len(word) <= 16
}


@lru_cache(maxsize=50_000)
def _look_closer(word: str) -> Entry | None:
    """A word that is not listed as it stands: elongated, possessive, or joined by hyphens."""
    for form in shortened(word):
        if form in WORDS:
            return WORDS[form]
    if word.endswith("'s"):
        return WORDS.get(word[:-2])
    if word.endswith("n't"):
        return WORDS["not"]
    if word.endswith("in'"):
        return WORDS.get(word[:-1] + "g")
    if "-" in word:
        parts = [WORDS[part] for part in word.split("-")[:6] if part in WORDS]
        if len(parts) == 2 and parts[0].negates and parts[1].valence:
            opposite = Entry()
            opposite.valence = -0.6 * parts[1].valence
            return opposite
        return max(parts, key=lambda part: abs(part.valence), default=None)
    return None


def find(word: str) -> Entry | None:
    """What a lower-case word means, or nothing."""
    entry = WORDS.get(word)
    if entry is None and len(word) <= LONGEST_WORD * 5:
        return _look_closer(word)
    return entry


@lru_cache(maxsize=20_000)
def tag_words(tag: str) -> tuple[str, ...]:
    """The words of a hashtag without its sign: "SoHappy", "so_happy" and "sohappy" alike."""
    lower = tag.lower()
    if lower in WORDS:
        return (lower,)
    humps = split_humps(tag)
    if len(humps) == 1:
        humps = split_known(lower, _TAG_WORDS) or humps
    return tuple(humps[:8])


def emoticon(surface: str) -> Entry:
    """What an emoticon shows, by its mouth."""
    mouth = surface.rstrip(">")[-1:]
    if surface.startswith(("<3", "<33")):
        return _LOVE
    if surface.startswith(("</", "D:", "T_T", ";_;", ">")) or mouth in "([{@":
        return _HAPPY if surface[0] == "(" else _SAD
    if surface[0] == ")":
        return _SAD
    if mouth in "/\\|oO" and surface[0] != "\\" or surface.startswith("-"):
        return _MEH
    return _HAPPY
