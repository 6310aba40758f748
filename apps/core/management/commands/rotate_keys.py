"""`manage.py rotate_keys`: seal all credentials with a new key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.core import rotation


class Command(BaseCommand):
    help = "Make a new credential key and seal every stored credential with it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forget-unused",
            action="store_true",
            help="Afterwards drop the keys that nothing is sealed with any more; "
            "backups made before this need them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{rotation.rotate()} credentials sealed with a new key.")
        if options["forget_unused"]:
            self.stdout.write(f"{len(rotation.forget_unused())} old keys forgotten.")
