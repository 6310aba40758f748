"""What the other apps may ask of personas: hold, release, remember."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from apps.core import audit
from apps.core.fields import Sealed
from apps.core.models import User
from apps.personas import speaking
from apps.personas.models import Hold, Persona, Publication, VoiceSettings
from apps.personas.voices.base import Line, VoiceError


def hold(*, persona: Persona | None, reason: str, by: User | None) -> Hold:
    """Silence one persona, or with None the whole studio; a second hold keeps the first's words."""
    row, made = Hold.objects.get_or_create(
        persona=persona, defaults={"reason": reason, "placed_by": by}
    )
    if made:
        audit.record(actor=by, action="hold", about=persona, reason=reason)
    return row


def release(*, persona: Persona | None, by: User | None) -> bool:
    """Let the persona (or with None the studio) speak again; False when nothing held it."""
    released = bool(Hold.objects.filter(persona=persona).delete()[0])
    if released:
        audit.record(actor=by, action="release", about=persona)
    return released


def what_holds(persona: Persona) -> Hold | None:
    """The hold that keeps this persona silent, the global stop first; None when it may speak."""
    return Hold.objects.on(persona).order_by(F("persona").asc(nulls_first=True)).first()


@dataclass(frozen=True, kw_only=True)
class Published:
    """One thing a persona published, as the publishing side tells it."""

    source_id: UUID
    persona_id: UUID
    network: str
    text: str
    url: str
    published_at: datetime


def remember(published: Iterable[Published]) -> None:
    """Add to what personas know of their own past; the same source twice is one memory."""
    Publication.objects.bulk_create(
        [
            Publication(
                source_id=each.source_id,
                persona_id=each.persona_id,
                network=each.network,
                text=each.text,
                url=each.url,
                published_at=each.published_at,
            )
            for each in published
        ],
        ignore_conflicts=True,
    )


def forget(source_ids: Iterable[UUID]) -> None:
    """Take back what was remembered: it is no longer published."""
    Publication.objects.filter(source_id__in=list(source_ids)).delete()


def test_voice(*, persona: Persona) -> tuple[bool, str]:
    """Try the persona's voice; whether it works, and one sentence about it."""
    chosen = speaking.settings_of(persona)
    try:
        voice = speaking.voice_of(chosen)
        works, said = True, voice.test(speaking.connection_of(chosen))
    except VoiceError as error:
        works, said = False, str(error)
    VoiceSettings.objects.filter(pk=persona.pk).update(
        tested_at=timezone.now(), test_result=said[:300]
    )
    return works, said


def try_reply(*, persona: Persona, text: str) -> str:
    """What the persona would answer to this; nothing is stored. Raises VoiceError."""
    return "".join(speaking.write(persona, lines=(Line(text=text),)))


def set_voice_key(*, persona: Persona, key: str, by: User) -> None:
    """Keep a new key, sealed; an empty one removes it."""
    row, _ = VoiceSettings.objects.get_or_create(persona=persona)
    row.key = Sealed.of({"key": key}) if key else Sealed("")
    row.save(update_fields=["key"])
    audit.record(actor=by, action="change voice key", about=persona)
