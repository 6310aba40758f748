"""`manage.py import_posts FILE [--persona luna] [--dry-run]`: posts from CSV or JSON."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.tables import UnreadableFile, kind_of
from apps.personas.models import Persona
from apps.scheduling import bulk


class Command(BaseCommand):
    """Checks every row first; rows with errors are listed and left out."""

    help = "Schedule the posts of a .csv, .json or .jsonl file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--persona", help="Whose posts are those that name none: a handle.")
        parser.add_argument("--allow-duplicate", action="store_true", help="Repeat what is there.")
        parser.add_argument("--dry-run", action="store_true", help="Check only, store nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        persona = None
        if options["persona"]:
            persona = Persona.objects.filter(handle=options["persona"]).first()
            if persona is None:
                raise CommandError(f"There is no persona {options['persona']!r}.")
        try:
            parsed = bulk.parse(
                path.read_bytes(),
                kind=kind_of(path.name),
                persona=persona,
                allow_duplicate=options["allow_duplicate"],
            )
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except UnreadableFile as error:
            raise CommandError(str(error)) from None
        for each in parsed.errors:
            self.stderr.write(f"row {each.row}, {each.column or 'whole'}: {each.message}")
        if parsed.unlisted:
            self.stderr.write(f"{parsed.unlisted:,} more errors are not listed")
        self.stdout.write(
            f"{parsed.rows:,} rows: {len(parsed.drafts):,} posts, {parsed.refused:,} refused"
        )
        if options["dry_run"]:
            self.stdout.write("Nothing was stored: this was a dry run.")
            return
        self.stdout.write(f"{bulk.store(parsed.drafts, by=None):,} posts are scheduled.")
