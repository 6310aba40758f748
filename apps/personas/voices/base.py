"""What a voice gets and gives: plain data in, a stream of text out.

A voice has no tools, reads no rows and keeps nothing: all it may know stands in the `Question`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something the persona knows; with a question, the answer to it."""

    text: str
    question: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Something the persona said in public."""

    text: str
    network: str = ""
    on: str = ""


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """Who speaks: the persona, with all that it knows."""

    name: str
    bio: str = ""
    style: str = ""
    language: str = "en"
    facts: tuple[Fact, ...] = ()
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something said before; `by_persona` is our own."""

    text: str
    by_persona: bool = False
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Something this fan told the persona about themselves."""

    about: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where a voice that calls a model finds it; `key` is plain only in memory."""

    base_url: str = ""
    model: str = ""
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    most_tokens: int = 600
    temperature: float = 0.7
    moderate: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be answered, and all that the answer may rest on."""

    speaker: Speaker
    # Oldest first; the last one is to be answered.
    lines: tuple[Line, ...]
    memories: tuple[Memory, ...] = ()
    intent: str = "statement"
    # -1 (very unhappy) to 1.
    mood: float = 0.0
    # How the conversation sounded of late, on the same scale.
    lately: float = 0.0
    connection: Connection = field(default_factory=Connection)

    @property
    def asked(self) -> str:
        return self.lines[-1].text if self.lines else ""


@dataclass(frozen=True, kw_only=True)
class Commission:
    """A post that is to be written, and all that it may rest on; every text in it is data."""

    speaker: Speaker
    # What staff ask for, in their own words; empty leaves the subject to the persona.
    brief: str = ""
    # What must not be said again: published, waiting, or offered beside this one.
    said: tuple[str, ...] = ()
    # Earlier posts that people liked, the most liked first.
    liked: tuple[str, ...] = ()
    # As the strictest of its networks counts; None is without limit.
    most_characters: int | None = None
    # The last try and why it was not taken; empty at the first.
    refused: str = ""
    problem: str = ""
    connection: Connection = field(default_factory=Connection)


class Voice(Protocol):
    """One way of writing."""

    # Whether it calls a model, and so needs a connection and a budget.
    calls_a_model: bool

    def write(self, question: Question) -> Iterator[str]:
        """The answer, piece by piece; raises VoiceError."""
        ...

    def draft(self, commission: Commission) -> Iterator[str]:
        """One post, piece by piece; raises VoiceError."""
        ...

    def test(self, connection: Connection) -> str:
        """Try the connection; one sentence about what answered. Raises VoiceError."""
        ...


class VoiceError(Exception):
    """The voice could not answer; the message is for people and holds no secret."""

    code = "voice_failed"
    retry = True


class Unavailable(VoiceError):
    """The model cannot be reached, is overloaded, or broke off."""

    code = "model_unavailable"


class Misconfigured(VoiceError):
    """The address, the model's name or the key is wrong: trying again changes nothing."""

    code = "voice_misconfigured"
    retry = False


class Withheld(VoiceError):
    """Moderation refused the question or the answer."""

    code = "withheld"
    retry = False


class BudgetSpent(VoiceError):
    """The day's budget is used up."""

    code = "budget_spent"
    retry = False


class NothingToSay(VoiceError):
    """It knows nothing, or nothing that it has not said already."""

    code = "nothing_to_say"
    retry = False
