"""What a text is about: its hashtags, names and noun phrases, with the mood of their clause."""

from apps.sentiment.engines import grammar, lexicon
from apps.sentiment.engines.base import Topic
from apps.sentiment.engines.clauses import Sentence
from apps.sentiment.engines.tokens import TAG, WORD, Token

MOST = 5
LONGEST_PHRASE = 3
# Beyond this many clauses a text has long said what it is about.
_CLAUSES_READ = 200
_HASHTAG, _NAMED, _DETERMINED, _PLAIN = 1.6, 1.2, 1.0, 0.4
_ENOUGH = 1.0


def _noun_like(token: Token) -> bool:
    word = token.word
    if token.kind != WORD or len(word) < 3 or len(word) > 30 or word in grammar.FUNCTION:
        return False
    entry = lexicon.WORDS.get(word)
    if entry is not None and (not entry.topical or entry.valence or entry.boost or entry.emotions):
        return False
    return not word.endswith(("ly", "'ve", "'re", "'ll", "n't", "'d"))


def find(sentences: list[Sentence], squash: float) -> tuple[Topic, ...]:
    """Up to five topics, the likeliest first; `squash` turns a clause's sum into a mood."""
    weight: dict[str, float] = {}
    moods: dict[str, list[float]] = {}
    read = 0
    for sentence in sentences:
        opening = True
        for clause in sentence.clauses:
            read += 1
            if read > _CLAUSES_READ:
                break
            mood = clause.mood()
            phrase: list[str] = []
            strength = 0.0
            previous = ""
            for token in [*clause.tokens, None]:
                if token is not None and _noun_like(token):
                    if not phrase:
                        strength = _DETERMINED if previous in grammar.DETERMINERS else _PLAIN
                    if token.surface[0].isupper() and not opening and not token.surface.isupper():
                        strength = max(strength, _NAMED)
                    phrase.append(token.word.removesuffix("'s"))
                elif phrase:
                    name = " ".join(phrase[-LONGEST_PHRASE:])
                    weight[name] = weight.get(name, 0.0) + strength
                    moods.setdefault(name, []).append(mood)
                    phrase = []
                if token is not None:
                    # "the best new camera": what stands between article and noun keeps the article.
                    if phrase or token.word in grammar.FUNCTION:
                        previous = token.word
                    opening = False
    return _best(weight, moods, squash)


def hashtags(tokens: list[Token]) -> list[str]:
    """The hashtags' names, split into words."""
    return [" ".join(lexicon.tag_words(token.surface[1:])) for token in tokens if token.kind == TAG]


def add_tags(topics: tuple[Topic, ...], names: list[str], mood: float) -> tuple[Topic, ...]:
    """Put hashtags before the rest; a tag speaks of the whole text, so it takes its mood."""
    if not names:
        return topics
    tags = {name: Topic(name, round(mood, 3)) for name in names if len(name) > 1}
    rest = [topic for topic in topics if topic.name not in tags]
    return tuple([*tags.values(), *rest][:MOST])


def _best(
    weight: dict[str, float], moods: dict[str, list[float]], squash: float
) -> tuple[Topic, ...]:
    ranked = sorted(weight.items(), key=lambda item: -item[1])[:MOST]
    found = []
    for name, strength in ranked:
        if strength < _ENOUGH:
            continue
        mean = sum(moods[name]) / len(moods[name])
        mood = mean / (mean * mean + squash) ** 0.5
        found.append(Topic(name, round(mood, 3), len(moods[name])))
    return tuple(found)
