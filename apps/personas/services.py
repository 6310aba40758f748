"""What the other apps may ask of personas: hold, release, remember."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F

from apps.core import audit
from apps.core.models import User
from apps.personas.models import Hold, Persona, Publication


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
