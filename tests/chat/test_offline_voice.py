"""The offline voice before a persona it was not tuned on: right, or honest, and never inventive."""

import pytest

from apps.personas.voices.base import Line, Question
from apps.personas.voices.offline import Offline
from apps.sentiment import services as sentiment
from tests.chat.strangers import ANSWERABLE, PALOMA, UNANSWERABLE

HONEST = ("do not know", "have not told", "Thank you for telling me", "read this?")
# What it may add of its own to a quotation.
MANNERS = ("Hi! ", "I am sorry to hear that. ", "Thank you, that is kind! ")


def answer(text: str) -> str:
    """As a reply job asks it: with what sentiment reads in the message."""
    reading = sentiment.analyze(text)
    lines = (Line(text=text),)
    question = Question(speaker=PALOMA, lines=lines, intent=reading.intent, mood=reading.score)
    return "".join(Offline().write(question))


def is_quoted(said: str) -> bool:
    for manner in MANNERS:
        said = said.removeprefix(manner)
    known = [
        PALOMA.bio,
        *(fact.text for fact in PALOMA.facts),
        *(post.text for post in PALOMA.published),
    ]
    return any(said.split(": ")[-1].strip("\u201c\u201d ") in each for each in known)


def test_a_hundred_questions_about_a_stranger() -> None:
    questions = [*ANSWERABLE, *((text, None) for text in UNANSWERABLE)]
    assert len(questions) == 100
    right, wrong, invented = 0, [], []
    for text, word in questions:
        said = answer(text)
        if word is not None and word.lower() in said.lower():
            right += 1
        elif not any(phrase in said for phrase in HONEST):
            wrong.append((text, said))
            if not is_quoted(said):
                invented.append((text, said))
    assert right >= 50
    assert len(wrong) <= 10, wrong
    assert len(invented) <= 2, invented


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("My name is Ines. What is your trio called?", "Tres Abejas"),
        ("What is your trio called? I am new here.", "Tres Abejas"),
        ("Thanks! And is your honey raw?", "never heated"),
    ],
)
def test_the_part_that_asks_is_answered(text: str, word: str) -> None:
    assert word in answer(text)
