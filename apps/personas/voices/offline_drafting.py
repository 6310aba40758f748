"""Posts without a model: what the persona knows or said, in its own words, and nothing beside.

It quotes whole facts, answers with their questions, and earlier posts with their date. It makes
nothing up: what does not fit the brief is not bent to it, and when all is said, it says so.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from apps.personas.voices.base import Commission, NothingToSay, Speaker
from apps.personas.voices.retrieval import Index, Passage, sentences

# What it said later than this is not worth quoting yet: it would only repeat itself.
AGO = timedelta(days=30)


def compose(commission: Commission) -> str:
    """The post that fits the brief best among those not said yet; raises NothingToSay."""
    passages = list(_passages(commission.speaker))
    brief = commission.brief.strip()
    if brief:
        index = Index(passages, ignore=[commission.speaker.name])
        passages = [found.passage for found in index.search(brief, most=len(passages))]
    else:
        # What people liked shows what to speak of; the rest follows in its own order.
        liked = Index(passages).search(" ".join(commission.liked), most=len(passages))
        passages = list(dict.fromkeys([*(each.passage for each in liked), *passages]))
        passages.sort(key=lambda each: each.source == "post")
    said = {_plain(text) for text in (*commission.said, commission.refused)}
    most = commission.most_characters
    for passage in passages:
        if _is_said(passage.text, said):
            continue
        if most is None or len(passage.text) <= most:
            return passage.text
    name = commission.speaker.name
    about = " about this that fits and" if brief else " that"
    raise NothingToSay(
        f"{name} knows nothing{about} was not said yet. Add facts to {name}, write another brief, "
        "or give it a model under Voices."
    )


def _passages(speaker: Speaker) -> Iterator[Passage]:
    for fact in speaker.facts:
        if fact.question:
            yield Passage(text=f"{fact.question} {fact.text}", source="faq")
            continue
        yield Passage(text=fact.text, source="fact")
        # A long fact says several things; each sentence stands by itself.
        each_alone = sentences(fact.text)
        if len(each_alone) > 1:
            yield from (Passage(text=each, source="fact") for each in each_alone)
    last = (datetime.now(UTC) - AGO).date().isoformat()
    for published in speaker.published:
        if published.text.strip() and published.on and published.on <= last:
            quoted = f"\u201c{published.text.strip()}\u201d"
            if speaker.language.lower().startswith("en"):
                text = f"From my earlier posts ({published.on}): {quoted}"
            else:
                # No words of its own in a language that it does not have.
                text = f"{quoted} ({published.on})"
            yield Passage(text=text, source="post")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_said(text: str, said: set[str]) -> bool:
    """Whether this stands, as a whole, in something said already."""
    plain = _plain(text)
    return any(plain in each for each in said)
