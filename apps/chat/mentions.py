"""Personas called by name: whom a text asks to answer."""

from uuid import UUID

from apps.personas.models import Persona


def handles_in(text: str, personas: dict[UUID, str]) -> tuple[UUID, ...]:
    """The personas of a conversation that a text calls by `@handle`."""
    if "@" not in text or not personas:
        return ()
    called = {word.lstrip("@").rstrip(".,!?:;").lower() for word in text.split() if word[0] == "@"}
    return tuple(pk for pk, handle in personas.items() if handle in called)


def persona_handles(conversation_id: UUID) -> dict[UUID, str]:
    """The personas in a conversation with their handles."""
    rows = Persona.objects.filter(memberships__conversation=conversation_id, is_active=True)
    return dict(rows.values_list("pk", "handle"))
