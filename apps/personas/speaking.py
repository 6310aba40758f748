"""A persona's voice at work: its rows as plain data, its connection opened, its budget kept."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import F
from django.utils.module_loading import import_string

from apps.core.keyring import KeyMissing
from apps.core.plugins import Plugins, UnknownPlugin
from apps.personas.models import Persona, VoiceSettings
from apps.personas.voices.base import (
    BudgetSpent,
    Commission,
    Connection,
    Fact,
    Line,
    Memory,
    Misconfigured,
    Published,
    Question,
    Speaker,
    Voice,
    VoiceError,
    Withheld,
)

VOICES = Plugins[Voice]("VOICES")
MOST_PUBLISHED = 50
# A rough rule that holds for most models; the budget is a brake, not an account.
CHARACTERS_PER_TOKEN = 4


def settings_of(persona: Persona) -> VoiceSettings:
    """How this persona writes; the offline voice where nobody chose another."""
    return VoiceSettings.objects.filter(persona=persona).first() or VoiceSettings(persona=persona)


def voice_of(chosen: VoiceSettings) -> Voice:
    try:
        return VOICES[chosen.voice]
    except UnknownPlugin as error:
        raise Misconfigured(str(error)) from error


def connection_of(chosen: VoiceSettings) -> Connection:
    """The connection with its key in plain, for as long as the call lasts."""
    try:
        key = str(chosen.key.open().get("key", "")) if chosen.key else ""
    except KeyMissing as error:
        raise Misconfigured("The key cannot be opened any more; enter it again.") from error
    return Connection(
        base_url=chosen.base_url,
        model=chosen.model,
        key=key,
        timeout=float(chosen.timeout_seconds),
        most_tokens=chosen.most_tokens,
        temperature=chosen.temperature,
        moderate=chosen.moderate,
    )


def speaker_of(persona: Persona) -> Speaker:
    """What the persona is and knows."""
    return Speaker(
        name=persona.name,
        bio=persona.bio,
        style=persona.voice,
        language=persona.language,
        facts=tuple(Fact(text=fact.text, question=fact.question) for fact in persona.facts.all()),
        published=tuple(
            Published(text=each.text, network=each.network, on=each.published_at.date().isoformat())
            for each in persona.publications.all()[:MOST_PUBLISHED]
        ),
    )


def write(
    persona: Persona,
    *,
    lines: tuple[Line, ...],
    memories: tuple[Memory, ...] = (),
    intent: str = "statement",
    mood: float = 0.0,
    lately: float = 0.0,
) -> Iterator[str]:
    """The persona's answer to the last of `lines`, piece by piece; raises VoiceError."""
    chosen = settings_of(persona)
    voice = voice_of(chosen)
    question = Question(
        speaker=speaker_of(persona),
        lines=lines,
        memories=memories,
        intent=intent,
        mood=mood,
        lately=lately,
        connection=connection_of(chosen) if voice.calls_a_model else Connection(),
    )
    _moderated(question.asked)
    length = sum(len(line.text) for line in lines) + 1_000
    yield from _within_budget(chosen, voice, voice.write(question), length=length)


def draft(
    persona: Persona,
    *,
    brief: str = "",
    said: tuple[str, ...] = (),
    liked: tuple[str, ...] = (),
    most_characters: int | None = None,
    refused: str = "",
    problem: str = "",
) -> str:
    """One post in the persona's voice, from its daily budget; raises VoiceError.

    Calls a network: the caller holds no transaction.
    """
    chosen = settings_of(persona)
    voice = voice_of(chosen)
    commission = Commission(
        speaker=speaker_of(persona),
        brief=brief,
        said=said,
        liked=liked,
        most_characters=most_characters,
        refused=refused,
        problem=problem,
        connection=connection_of(chosen) if voice.calls_a_model else Connection(),
    )
    _moderated(brief)
    length = len(brief) + sum(map(len, said)) + 4_000
    text = "".join(_within_budget(chosen, voice, voice.draft(commission), length=length)).strip()
    if not text:
        raise VoiceError("The voice said nothing.")
    _moderated(text)
    return text


def _within_budget(
    chosen: VoiceSettings, voice: Voice, pieces: Iterator[str], *, length: int
) -> Iterator[str]:
    """What the voice says, counted; `length` is that of the prompt, in characters, about."""
    if not voice.calls_a_model:
        yield from pieces
        return
    _check_budget(chosen)
    try:
        for piece in pieces:
            length += len(piece)
            yield piece
    finally:
        # Stopped or broken off, it was computed all the same.
        _spend(chosen, length // CHARACTERS_PER_TOKEN)


def _moderated(text: str) -> None:
    """settings.VOICE_MODERATION names functions `text -> reason or None`."""
    for name in settings.VOICE_MODERATION:
        if reason := import_string(name)(text):
            raise Withheld(str(reason))


def _check_budget(chosen: VoiceSettings) -> None:
    today = datetime.now(UTC).date()
    if (
        chosen.daily_budget is not None
        and chosen.spent_on == today
        and chosen.spent >= chosen.daily_budget
    ):
        raise BudgetSpent("The budget of the day is used up.")


def _spend(chosen: VoiceSettings, tokens: int) -> None:
    today = datetime.now(UTC).date()
    rows = VoiceSettings.objects.filter(pk=chosen.pk)
    # Two workers at midnight: the conditional update lets one of them begin the day.
    if not rows.filter(spent_on=today).update(spent=F("spent") + tokens) and not rows.exclude(
        spent_on=today
    ).update(spent_on=today, spent=tokens):
        rows.update(spent=F("spent") + tokens)
