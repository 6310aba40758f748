"""`manage.py import_comments FILE --persona luna [--dry-run]`: comments from CSV or JSON."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.tables import UnreadableFile, kind_of
from apps.personas.models import Persona
from apps.sentiment import importing, services
from apps.sentiment.models import Competitor


class Command(BaseCommand):
    """Checks every row first; rows with errors are listed and left out."""

    help = "Import comments from a .csv, .json or .jsonl file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--persona", help="Whose comments: a persona's handle.")
        whose.add_argument("--competitor", help="Whose comments: a competitor's name.")
        parser.add_argument("--network", default="import", help="For rows that name none.")
        parser.add_argument("--dry-run", action="store_true", help="Check only, store nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        subject: dict[str, Any] = {}
        if options["persona"]:
            persona = Persona.objects.filter(handle=options["persona"]).first()
            if persona is None:
                raise CommandError(f"There is no persona {options['persona']!r}.")
            subject["persona_id"] = persona.pk
        else:
            competitor = Competitor.objects.filter(name=options["competitor"]).first()
            if competitor is None:
                raise CommandError(f"There is no competitor {options['competitor']!r}.")
            subject["competitor_id"] = competitor.pk
        try:
            kind = kind_of(path.name)
            content = path.read_bytes()
            parsed = importing.parse(content, kind=kind, network=options["network"].lower())
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except UnreadableFile as error:
            raise CommandError(str(error)) from None
        for each in parsed.errors:
            self.stderr.write(f"row {each.row}, {each.column or 'whole'}: {each.message}")
        if parsed.unlisted:
            self.stderr.write(f"{parsed.unlisted:,} more errors are not listed")
        found = (
            f"{parsed.rows:,} rows: {len(parsed.comments):,} comments, {parsed.refused:,} refused"
        )
        if parsed.repeated:
            found += f", {parsed.repeated:,} given twice"
        self.stdout.write(found)
        if options["dry_run"]:
            self.stdout.write("Nothing was stored: this was a dry run.")
            return
        batch = services.start_batch(comments=parsed.comments, name=path.name, by=None, **subject)
        self.stdout.write(f"{batch.total:,} are new or changed and wait to be read.")
