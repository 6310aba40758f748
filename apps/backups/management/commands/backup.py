"""`manage.py backup`: make, list, verify, drill and prune backups."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.backups import services
from apps.backups.console import ending_well, progress_for
from apps.backups.errors import DAMAGED, OK, PARTIAL
from apps.backups.models import What
from apps.backups.progress import human_bytes


class Command(BaseCommand):
    help = "Back up the studio, or list, verify, drill and prune its backups."
    # A backup must be possible on a studio that has a problem.
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=["db", "content"], help="leave the other out")
        parser.add_argument(
            "--to", "--from", dest="storage", default="backups", metavar="STORAGE",
            help="an entry of STORAGES in the settings (default: backups)",
        )  # fmt: skip
        parser.add_argument(
            "--encrypt", action="store_true", help="insist on encryption to BACKUP_AGE_RECIPIENTS"
        )
        verbs = parser.add_mutually_exclusive_group()
        verbs.add_argument("--list", action="store_true", help="list finished backups")
        verbs.add_argument(
            "--verify", nargs="?", const="latest", metavar="NAME", help="read a backup again"
        )
        verbs.add_argument(
            "--drill", nargs="?", const="latest", metavar="NAME",
            help="restore a backup into a scratch place and compare",
        )  # fmt: skip
        verbs.add_argument("--prune", action="store_true", help="delete what retention drops")
        parser.add_argument("--all", action="store_true", help="with --verify: every backup")
        parser.add_argument("--dry-run", action="store_true", help="with --prune: only say it")
        parser.add_argument("--identity", metavar="FILE", help="the key of encrypted backups")
        parser.add_argument("--json", action="store_true", help="results and progress as JSON")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    def handle(self, *args: Any, **options: Any) -> None:
        with ending_well(as_json=options["json"], quiet=options["quiet"]):
            sys.exit(self._run(options))

    def _run(self, options: dict[str, Any]) -> int:
        progress = progress_for(as_json=options["json"], quiet=options["quiet"])
        storage = options["storage"]
        keys = services.read_identities(options["identity"]) if options["identity"] else []
        if options["all"] and options["verify"] is None:
            options["verify"] = "latest"
        if options["list"]:
            return self._list(storage, as_json=options["json"])
        if options["verify"] is not None:
            names = [] if options["all"] else [options["verify"]]
            results = services.verify_backups(
                names, storage=storage, identities=keys, progress=progress
            )
            progress.close()
            self._say(results, options, [f"{n}: {p or 'ok'}" for n, p in results.items()])
            return DAMAGED if any(results.values()) else OK
        if options["drill"] is not None:
            name = services.drill_backup(
                options["drill"], storage=storage, identities=keys, progress=progress
            )
            progress.close()
            self._say({"proven": name}, options, [f"{name}: restores completely"])
            return OK
        if options["prune"]:
            names = services.prune(storage, dry_run=options["dry_run"])
            self._say({"deleted": names, "dry_run": options["dry_run"]}, options, names)
            return OK
        made, warnings = services.make_backup(
            what=options["only"] or What.ALL,
            storage=storage,
            encrypt=options["encrypt"],
            progress=progress,
        )
        progress.close()
        for warning in warnings:
            progress.say("warning", text=f"warning: {warning}")
        self._say({**asdict(made), "warnings": warnings}, options, [made.id])
        return PARTIAL if warnings else OK

    def _say(self, result: object, options: dict[str, Any], lines: list[str]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            for line in lines:
                self.stdout.write(line)

    def _list(self, storage: str, *, as_json: bool) -> int:
        entries = services.entries(storage)
        if as_json:
            self.stdout.write(json.dumps([asdict(entry) for entry in entries]))
            return OK
        for entry in entries:
            state = entry.problem or (
                "proven" if entry.proven_at else "verified" if entry.verified_at else "not read yet"
            )
            lock = "  encrypted" if entry.encrypted else ""
            self.stdout.write(
                f"{entry.name}  {human_bytes(entry.bytes):>9}  {entry.holds:<7}  "
                f"{entry.engine:<10}  {entry.kind:<16}  {state}{lock}"
            )
        return OK
