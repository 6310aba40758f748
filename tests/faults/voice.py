"""A voice that takes its time, so that its worker can be killed in the middle of a word."""

import time
from collections.abc import Iterator

from apps.personas.voices.base import Connection, Question

WORDS = [f"word{n}" for n in range(60)]
SECONDS_A_WORD = 0.05


class Slow:
    """Says the same sixty words in three seconds, after the number of the question."""

    calls_a_model = False

    def write(self, question: Question) -> Iterator[str]:
        yield text_for(question.asked).split(" ", 1)[0]
        for word in WORDS:
            time.sleep(SECONDS_A_WORD)
            yield f" {word}"

    def test(self, connection: Connection) -> str:
        return "Slow as ever."


def text_for(asked: str) -> str:
    """The whole answer to a question that ends with its number."""
    return " ".join([asked.split()[-1], *WORDS])
