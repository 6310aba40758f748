"""The voice that needs nothing: it answers from what the persona knows, or says that it does not.

It quotes; it composes no facts. What it adds of its own are greetings, thanks and sympathy.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from apps.personas.voices import offline_drafting
from apps.personas.voices.base import Commission, Connection, Question, Speaker
from apps.personas.voices.retrieval import Index, Passage, sentences, terms

# Below this part of the question's meaning the persona does not know.
ENOUGH = 0.62
# From here on it is sorry for how the conversation went, even where a message sounds neutral.
UNHAPPY_LATELY = -0.25
_PIECE = re.compile(r"\s*\S+")

_GREETING = re.compile(
    r"^\W*(hi+|hello+|hey+|hiya|howdy|good (morning|evening|afternoon|day)|greetings|yo)\b", re.I
)
_ONLY_GREETING = re.compile(
    r"^\W*(hi+|hello+|hey+|hiya|howdy|good (morning|evening|afternoon|day)|greetings|yo)"
    r"(\W+(there|again|you|everyone|all|how are you( doing)?( today)?|what'?s up|\w+))?\W*$",
    re.I,
)
_THANKS = re.compile(r"^\W*(thanks?|thank you|thx|cheers)\b", re.I)
_BYE = re.compile(r"^\W*(bye|goodbye|see you|good night|cya|ciao)\b", re.I)
_MACHINE = re.compile(
    r"\b(are|r) (you|u)( (really|actually|just))?( an?| the)?( \w+)?"
    r" ?(ai|bot|robot|human|real|machine|person|program|chat ?bot|language model)\b"
    r"|\b(talking|speaking|chatting) (to|with) (an? )?(ai|bot|robot|human|real person|machine)\b"
    r"|\bis (this|it|that|there)( (really|actually|just))? (an? )?(real )?"
    r"(ai|bot|robot|human|person|machine|program|chat ?bot)\b",
    re.I,
)
_HUMAN = re.compile(
    r"\b(talk|speak|chat|connect|write)\b.{0,20}\b(human|person|somebody|someone|agent|staff|team)\b"
    r"|\b(need|want|get me|give me) an? (human|real person|agent)\b",
    re.I,
)
_WHO = re.compile(r"\b(who are you|what'?s your name|your name|about yourself|introduce)\b", re.I)
_HOME = re.compile(r"\bwhere('?re| are| do)? you( all)? (from|live|living|based|at home)\b", re.I)
_WORK = re.compile(
    r"\bwhat('?s| is) your (job|work|profession|occupation)\b|\bwhat do you do( for a living)?\W*$",
    re.I,
)
_PLACE = re.compile(r"\b(?:in|from|near|at) (?:the )?[A-Z]\w+")
_IS_A = re.compile(r"\b(?:am|is) (?:an?|the) \w+|\bworks? (?:as|at|for|in)\b")
_MY = re.compile(
    r"\b(what('?s| is) my|do you (remember|know)( what)? (my|i|me|about me)|who am i"
    r"|where do i (live|come))\b",
    re.I,
)
_NEWS = re.compile(
    r"\b(new|news|latest|lately|recently|been up to|last (post|thing)|post|posted)\b", re.I
)


@lru_cache(maxsize=64)
def _index(speaker: Speaker) -> Index:
    passages = [Passage(text=each, source="bio") for each in sentences(speaker.bio)]
    for fact in speaker.facts:
        if fact.question:
            passages.append(Passage(text=fact.text, source="faq", key=fact.question))
        else:
            passages += [Passage(text=each, source="fact") for each in sentences(fact.text)]
    passages += [Passage(text=each.text, source="post") for each in speaker.published if each.text]
    return Index(passages, ignore=[speaker.name])


def _the_question(text: str) -> str:
    """The part of a message that asks: people say who they are first, and add a line after it."""
    asking = [part for part in sentences(text) if _is_question(part)]
    marked = [part for part in asking if part.rstrip().endswith("?")]
    return (marked or asking or [text])[-1]


def _is_question(text: str) -> bool:
    return "?" in text or bool(
        re.match(
            r"^\W*(what|who|where|when|why|how|which|whose|do|does|did|are|is|can|could|have|has|"
            r"will|would|should|tell me|describe|explain|name)\b",
            text,
            re.I,
        )
    )


def _asks_for(text: str) -> str:
    """What kind of thing a question wants, where its words say so."""
    return next((kind for kind, words in _KINDS.items() if words.search(text)), "")


class Offline:
    """Retrieval and a few manners."""

    calls_a_model = False

    def test(self, connection: Connection) -> str:
        return "The offline voice needs no connection."

    def write(self, question: Question) -> Iterator[str]:
        # In pieces, so that every voice looks alike to a client.
        yield from _PIECE.findall(self.answer(question))

    def draft(self, commission: Commission) -> Iterator[str]:
        yield from _PIECE.findall(offline_drafting.compose(commission))

    def answer(self, question: Question) -> str:
        """The whole answer."""
        asked, name = _the_question(question.asked.strip()), question.speaker.name
        if _MACHINE.search(asked):
            return (
                f"I am an AI persona called {name}, a computer program and not a person. "
                "If you would like a human, say so and I will call one."
            )
        if _HUMAN.search(asked):
            return "Of course. I am letting the team know; a person will answer here."
        if _MY.search(asked):
            return self._remembered(question)
        if _WHO.search(asked):
            about = " ".join(sentences(question.speaker.bio)[:2])
            return f"I am {name}, an AI persona. {about}".strip()
        if _ONLY_GREETING.match(asked):
            return f"{self._hello(question)} What would you like to know?"
        if _BYE.match(asked):
            return "Goodbye, and thank you for writing!"
        known = self._of_itself(question, asked) or self._known(question, asked)
        if known is not None:
            return f"{self._manners(question)}{known}"
        if _THANKS.match(question.asked) and not _is_question(asked):
            return "You are welcome!"
        if _is_question(asked) or question.intent == "question":
            return self._unknown(question)
        return self._heard(question)

    # -- What it knows ---------------------------------------------------------------------------

    def _of_itself(self, question: Question, asked: str) -> str | None:
        """Where it is at home and what it does: asked in words that the answer rarely repeats."""
        fitting = _PLACE if _HOME.search(asked) else _IS_A if _WORK.search(asked) else None
        if fitting is None:
            return None
        speaker = question.speaker
        said = [*sentences(speaker.bio), *(fact.text for fact in speaker.facts)]
        return next((each for each in said if fitting.search(each)), None)

    def _known(self, question: Question, asked: str) -> str | None:
        index = _index(question.speaker)
        for found in index.search(asked):
            if found.coverage < ENOUGH:
                continue
            if not self._fits_kind(asked, found.passage):
                continue
            if found.passage.source == "post":
                return f"I wrote about that: \u201c{found.passage.text}\u201d"
            return found.passage.text
        # "What's new?" asks for the last post, "What's the new boat called?" does not.
        news = _NEWS.search(asked) and not terms(_NEWS.sub(" ", asked))
        if news and question.speaker.published and _is_question(asked):
            return f"The last thing I posted: \u201c{question.speaker.published[0].text}\u201d"
        return None

    def _fits_kind(self, asked: str, passage: Passage) -> bool:
        """A question of when, where or how many wants a time, a place or a number."""
        text = passage.text
        if re.match(r"^\W*where\b", asked, re.I) and not re.match(r"^where\b", passage.key, re.I):
            return bool(re.search(r"\b(in|at|near|from|behind|beside) (?!\w+ to )", text, re.I))
        if re.match(r"^\W*what('?s| is| are| was)\b.*\babout\W*$", asked, re.I):
            return " about " in text
        if passage.source == "faq" and (wants := _asks_for(passage.key)):
            # "Do you coach?" is not answered by what coaching costs.
            return wants == _asks_for(asked)
        if re.search(
            r"\b(how (many|much|old|tall|long|often)|what (year|age|time))\b", asked, re.I
        ):
            return bool(re.search(r"\d|" + _NUMBERS, text, re.I))
        if re.match(r"^\W*(when|since when|what (day|date|month))\b", asked, re.I):
            return bool(re.search(r"\d|" + _TIMES, text, re.I))
        return True

    def _remembered(self, question: Question) -> str:
        if not question.memories:
            return "You have not told me about that yet, as far as I remember."
        wanted = set(terms(question.asked))
        fitting = [
            memory
            for memory in question.memories
            if wanted & set(terms(f"{memory.about} {memory.text}"))
        ]
        if not fitting and not re.search(r"about me|who am i|remember me", question.asked, re.I):
            return "You have not told me that yet, as far as I remember."
        told = "; ".join(
            f"{memory.about}: {memory.text}" for memory in fitting or question.memories
        )
        return f"You told me this: {told}. You can correct or erase it at any time."

    # -- Manners ---------------------------------------------------------------------------------

    def _hello(self, question: Question) -> str:
        names = [memory.text for memory in question.memories if memory.about == "name"]
        return (
            f"Hello, {names[0]}! I am {question.speaker.name}, an AI persona."
            if names
            else (f"Hello! I am {question.speaker.name}, an AI persona.")
        )

    def _manners(self, question: Question) -> str:
        if question.mood <= -0.4 or question.intent == "complaint":
            return "I am sorry to hear that. "
        if question.lately <= UNHAPPY_LATELY:
            return "I am sorry that this is not going well. "
        if question.mood >= 0.5 and question.intent in ("appreciation", "praise"):
            return "Thank you, that is kind! "
        return "Hi! " if _GREETING.match(question.asked) else ""

    def _unknown(self, question: Question) -> str:
        return (
            f"{self._manners(question)}I do not know that, and I would rather not guess. "
            "Would you like a person from the team to answer?"
        )

    def _heard(self, question: Question) -> str:
        if question.mood <= -0.4 or question.intent == "complaint":
            return (
                "I am sorry to hear that. I am only a program; would you like a person from the "
                "team to read this?"
            )
        if question.intent in ("appreciation", "praise") or question.mood >= 0.4:
            return "Thank you, that is kind of you!"
        return "Thank you for telling me. Is there something you would like to know?"


_NUMBERS = (
    r"\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|"
    r"hundred|thousand|once|twice|daily|weekly|monthly|every|never|always|no|none|half)\b"
)
_TIMES = (
    r"\b(monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|"
    r"may|june|july|august|september|october|november|december|spring|summer|autumn|winter|"
    r"morning|noon|evening|night|midnight|daily|weekly|every|ago|since|yesterday|tomorrow|child|"
    r"before|after|breakfast|lunch|dinner|weekends?)\b"
)
_KINDS = {
    "price": re.compile(r"\bhow much\b|\bprices?\b|\bcosts?\b|\bpay\b|\bfees?\b", re.I),
    "place": re.compile(r"\bwhere\b", re.I),
    "length": re.compile(r"\bhow long\b", re.I),
    "number": re.compile(r"\bhow many\b", re.I),
}
