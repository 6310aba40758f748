"""How long an import of posts takes, and how much memory, on SQLite and PostgreSQL.

`python -m benchmarks.imports [--database sqlite|postgres] [--rows 10000] [--networks bluesky]`
prints one JSON line.
"""

import argparse
import csv
import io
import json
import os
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import servers


def table(rows: int, networks: str) -> bytes:
    """A CSV file of posts, one a minute from tomorrow on, each on these networks."""
    from django.utils import timezone

    start = timezone.now() + timedelta(days=1)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["persona", "accounts", "scheduled_at", "text", "link", "hashtags"])
    for number in range(rows):
        at = (start + timedelta(minutes=number)).isoformat()
        text = f"Fog on the river, one tram, no hurry. Morning {number}."
        writer.writerow(["luna", networks, at, text, f"https://example.org/{number}", "lisbon fog"])
    return file.getvalue().encode()


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def measure(rows: int, networks: str) -> dict[str, Any]:
    """Parse and store so many posts; seconds, and the growth of the peak of resident memory."""
    from apps.personas.models import Persona
    from apps.scheduling import bulk
    from apps.scheduling.models import SocialAccount

    luna = Persona.objects.create(name="Luna", handle="luna")
    for network in ("wall", "bluesky"):
        SocialAccount.objects.create(persona=luna, network=network, handle="luna")
    content = table(rows, networks)
    bulk.store(bulk.parse(table(1, networks), kind="csv", allow_duplicate=True).drafts, by=None)
    # The kernel forgets the peak of the migrations: what follows is the import's own.
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    start, computed = time.perf_counter(), time.process_time()
    parsed = bulk.parse(content, kind="csv", allow_duplicate=False)
    checked = time.perf_counter()
    made = bulk.store(parsed.drafts, by=None)
    end, done = time.perf_counter(), time.process_time()
    after = _kilobytes("VmHWM")
    return {
        "rows": rows,
        "networks": networks,
        "posts": made,
        "refused": parsed.refused,
        "check_s": round(checked - start, 2),
        "store_s": round(end - checked, 2),
        "total_s": round(end - start, 2),
        "computing_s": round(done - computed, 2),
        "rss_growth_mb": round((after - before) / 1024, 1),
    }


def main() -> None:
    """Make an installation in a temporary folder, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--networks", default="bluesky", help="Of every row.")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        folder.chmod(0o711)
        var = folder / "var"
        var.mkdir(mode=0o700)
        os.environ |= {
            "GATOR_VAR": str(var),
            "GATOR_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "gator.settings",
            "LOG_LEVEL": "WARNING",
        }
        if chosen.database == "postgres":
            stack.enter_context(servers.running_postgres(folder / "postgres", durable=True))
            stack.enter_context(servers.fresh_database(folder / "postgres", "gator"))
            os.environ["DATABASE_URL"] = servers.postgres_url(folder / "postgres", "gator")
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        call_command("migrate", verbosity=0)
        print(json.dumps({"database": chosen.database, **measure(chosen.rows, chosen.networks)}))
        connections.close_all()


if __name__ == "__main__":
    main()
