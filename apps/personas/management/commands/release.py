"""`manage.py release [HANDLE]`: let a persona speak again, or without a handle everybody."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.personas import services
from apps.personas.management.commands.hold import persona_named


class Command(BaseCommand):
    """Let a persona speak again, or end the global stop."""

    help = "Release a persona by its handle, or without one end the global stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("handle", nargs="?", help="The persona's handle; none: everybody.")

    def handle(self, *args: Any, **options: Any) -> None:
        persona = persona_named(options["handle"])
        name = persona or "The studio"
        if services.release(persona=persona, by=None):
            self.stdout.write(f"{name} may speak again.")
        else:
            self.stdout.write(f"{name} was not held.")
