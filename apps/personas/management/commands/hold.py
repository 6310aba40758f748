"""`manage.py hold [HANDLE] --reason ...`: silence a persona, or without a handle everybody."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.personas import services
from apps.personas.models import Persona


def persona_named(handle: str | None) -> Persona | None:
    """The persona of that handle; None stands for the whole studio."""
    if handle is None:
        return None
    try:
        return Persona.objects.get(handle=handle.removeprefix("@"))
    except Persona.DoesNotExist:
        known = ", ".join(Persona.objects.values_list("handle", flat=True)) or "none yet"
        raise CommandError(f"No persona has the handle {handle!r}; there are: {known}.") from None


class Command(BaseCommand):
    """Silence a persona, or everybody."""

    help = "Hold a persona by its handle, or without one the whole studio."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("handle", nargs="?", help="The persona's handle; none: everybody.")
        parser.add_argument("--reason", default="Held from the shell", help="Shown in the studio.")

    def handle(self, *args: Any, **options: Any) -> None:
        persona = persona_named(options["handle"])
        hold = services.hold(persona=persona, reason=options["reason"][:300], by=None)
        self.stdout.write(f"{persona or 'Everything'} is held: {hold.reason}")
