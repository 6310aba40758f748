"""`manage.py restore`: for the superuser's shell only; nothing on the web leads here."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.backups import restoring, services
from apps.backups.console import ending_well, progress_for
from apps.backups.errors import OK, PARTIAL, BadRequest
from apps.backups.models import What
from apps.backups.progress import Progress, human_bytes
from apps.backups.using import leave_the_pool


class Command(BaseCommand):
    help = "Restore the studio from a backup: verified first, staged beside it, then switched."
    # The studio may be in no state to pass any check.
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="a backup's name, its folder, or `latest`")
        parser.add_argument(
            "--from", dest="storage", default="backups", metavar="STORAGE",
            help="an entry of STORAGES in the settings (default: backups)",
        )  # fmt: skip
        parser.add_argument("--only", choices=["db", "content"], help="leave the other as it is")
        parser.add_argument(
            "--dry-run", action="store_true", help="rehearse: all but the switch, then clean up"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--cross-engine", action="store_true", help="a SQLite backup into PostgreSQL"
        )
        parser.add_argument("--identity", metavar="FILE", help="the key of an encrypted backup")
        verbs = parser.add_mutually_exclusive_group()
        verbs.add_argument("--resume", action="store_true", help="finish one that was cut short")
        verbs.add_argument("--rollback", action="store_true", help="undo the last one")
        parser.add_argument("--json", action="store_true", help="report and progress as JSON")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def handle(self, *args: Any, **options: Any) -> None:
        leave_the_pool()
        with ending_well(as_json=options["json"], quiet=options["quiet"]):
            sys.exit(self._run(options))

    def _run(self, options: dict[str, Any]) -> int:
        progress = progress_for(as_json=options["json"], quiet=options["quiet"])
        keys = services.read_identities(options["identity"]) if options["identity"] else []
        if options["rollback"]:
            note = restoring.rollback(progress)
            progress.close()
            self._say(options, {"rolled_back": note.backup}, [f"Undone: {note.backup}."])
            return OK
        wish = restoring.Wish(
            name=options["name"] or "",
            storage=options["storage"],
            what=options["only"] or What.ALL,
            dry_run=options["dry_run"],
            cross_engine=options["cross_engine"],
            identities=keys,
            progress=progress,
        )
        if options["resume"]:
            report = restoring.resume(wish)
        elif not wish.name:
            raise BadRequest("Which backup? Give its name, its folder, or `latest`.")
        else:
            if not wish.dry_run and not options["yes"]:
                _confirm(wish, progress)
            report = restoring.restore(wish)
        progress.close()
        self._say(options, asdict(report), _lines(report))
        return PARTIAL if report.warnings else OK

    def _say(self, options: dict[str, Any], result: object, lines: list[str]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            for line in lines:
                self.stdout.write(line)


def _confirm(wish: restoring.Wish, progress: Progress) -> None:
    name = restoring.open_backup(wish).manifest.id
    if not sys.stdin.isatty():
        raise BadRequest(f"Nobody is here to confirm: say --yes to restore {name}.")
    progress.say(
        "confirm",
        text=f"This replaces the studio with {name}; what is here now is kept for a week.",
    )
    sys.stderr.write("Type the backup's name to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise BadRequest("That is not its name; nothing was changed.")


def _lines(report: restoring.Report) -> list[str]:
    done = "Restored" if report.restored else "Rehearsed, nothing was changed"
    lines = [
        f"{done}: {report.backup}",
        f"  {report.rows:,} rows in {report.tables} tables, "
        f"{report.files:,} files of {human_bytes(report.bytes)}",
    ]
    if report.media_put_back:
        lines.append(f"  {report.media_put_back:,} media put back into their storage elsewhere")
    if report.migrated:
        lines.append("  its database was brought to this release")
    if report.restored:
        lines.append(f"  away for {report.outage_seconds} s; what was here is {report.previous}")
        lines.append("  posts that had not gone out are held: release them in the admin")
    if report.safety:
        lines.append(f"  before that the present was saved as {report.safety}")
    return lines + [f"  warning: {warning}" for warning in report.warnings]
