"""What a backup and a restore cost, beside pg_dump | gzip, django-dbbackup and plain copies.

`python -m benchmarks.backups [--megabytes N] [--content N] [--large N] [--rounds N] [--no-rivals]
[--only BLOCK ...]`
prints tables and, as its last line, the same as JSON. CPU seconds are those of the process and of
all it started (user and system), the database server's own not included for anybody; those of "an
idle manage.py" are in every line of Gator's. What is compared with a copy is run in turns with it.
django-dbbackup is installed into a scratch environment of its own. Everything runs on 127.0.0.1 in
a temporary folder, which takes about three times --large.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks import backups_back, rival_dbbackup
from benchmarks.backups_data import fill_content, fill_postgres, fill_sqlite
from benchmarks.backups_studio import Cost, Studio, measure, sized
from tests import servers


def table(title: str, costs: list[Cost]) -> list[dict[str, object]]:
    """Print one block; gives it for the JSON."""
    print(f"\n{title}\n{'':48}{'CPU s':>8}{'wall s':>8}{'MB':>9}{'RSS MB':>8}", flush=True)
    for cost in costs:
        print(f"{cost.what:48}{cost.cpu:>8}{cost.wall:>8}{cost.size_mb:>9}{cost.rss_mb:>8}")
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    return [{"block": title, **asdict(cost)} for cost in costs]


def in_turns(rounds: int, *works: Callable[[], Cost]) -> list[Cost]:
    """Each work so often, one after the other, so that what disturbs one disturbs all; the round
    with the median CPU of each.

    The first round warms the page cache and is dropped: on a virtual machine the first touch of a
    page costs several times its copy, and would fall on whoever came first.
    """
    done: list[list[Cost]] = [[work() for work in works] for _ in range(rounds + 1)][1:]
    columns = zip(*done, strict=True)
    return [sorted(column, key=lambda cost: cost.cpu)[rounds // 2] for column in columns]


def of_postgres(
    studio: Studio, home: Path, scratch: Path, *, rounds: int, rivals: bool
) -> list[Cost]:
    """The database of a studio on PostgreSQL."""
    access = studio.environment | {"PGHOST": str(home), "PGUSER": "gator", "PGDATABASE": "gator"}
    dump, packed = scratch / "dump.sql", scratch / "dump.sql.gz"
    program = studio.programs / "pg_dump"

    def dumped() -> Cost:
        cost = measure("pg_dump to a file", ["sh", "-c", f"{program} > {dump}"], access)
        return sized(cost, dump)

    copy = dump.with_suffix(".copy")

    def copied() -> Cost:
        cost = measure("copy of the dump (floor)", ["cp", str(dump), str(copy)], access)
        return sized(cost, copy, remove=True)

    def kept() -> Cost:
        # A backup that is said to be made is on the disk; a copy, as a rule, is not.
        command = ["sh", "-c", f"cp {dump} {copy} && sync {copy}"]
        return sized(measure("the same, synced", command, access), copy, remove=True)

    pipe = measure("pg_dump | gzip -6", ["sh", "-c", f"{program} | gzip -6 > {packed}"], access)
    sized(pipe, packed, remove=True)
    costs = in_turns(rounds, dumped, copied, kept, studio.idle, lambda: studio.back_up("db"))
    costs.append(pipe)
    if rivals:
        costs += rival_dbbackup.measured(
            measure, studio.environment["DATABASE_URL"], studio.programs, scratch / "rival"
        )
    dump.unlink()
    return costs


def of_content(studio: Studio, scratch: Path, *, rounds: int) -> list[Cost]:
    """The content folder."""
    content, copy, packed = studio.var / "content", scratch / "copied", scratch / "tar.gz"
    plain = dict(os.environ)

    def copied() -> Cost:
        cost = measure("cp -r (floor)", ["cp", "-r", str(content), str(copy)], plain)
        return sized(cost, copy, remove=True)

    tar = measure("tar czf", ["tar", "czf", str(packed), "-C", str(content), "."], plain)
    sized(tar, packed, remove=True)
    return [*in_turns(rounds, copied, studio.idle, lambda: studio.back_up("content")), tar]


def of_sqlite(studio: Studio, scratch: Path, *, rounds: int) -> list[Cost]:
    """The database of a studio on SQLite."""
    file = studio.var / "gator.sqlite3"

    def copied() -> Cost:
        copy = scratch / "copy.sqlite3"
        cost = measure("cp (floor; not a backup)", ["cp", str(file), str(copy)], dict(os.environ))
        return sized(cost, copy, remove=True)

    return in_turns(rounds, copied, studio.idle, lambda: studio.back_up("db"))


BLOCKS = ("postgresql", "content", "back", "sqlite", "crossing", "flat", "s3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400, help="of rows in the database")
    parser.add_argument("--content", type=int, default=600, help="megabytes of files")
    parser.add_argument("--large", type=int, default=5_000, help="megabytes for flat memory")
    parser.add_argument("--rounds", type=int, default=3, help="of what is compared with a copy")
    parser.add_argument("--no-rivals", action="store_true", help="without django-dbbackup")
    parser.add_argument("--only", nargs="+", choices=BLOCKS, default=BLOCKS, help="these alone")
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        folder.chmod(0o711)
        scratch = folder / "scratch"
        scratch.mkdir(mode=0o700)
        if not {"postgresql", "content", "back", "crossing"}.isdisjoint(options.only):
            stack.enter_context(servers.running_postgres(folder / "postgres", durable=True))
        for title, costs in _blocks(stack, folder, scratch, options):
            results += table(title, costs)
    print(json.dumps(results))


def _blocks(
    stack: ExitStack, folder: Path, scratch: Path, options: argparse.Namespace
) -> Iterator[tuple[str, list[Cost]]]:
    wanted, home, rows = set(options.only), folder / "postgres", options.megabytes
    if wanted & {"postgresql", "content", "back"}:
        url = stack.enter_context(servers.fresh_database(home, "gator"))
        studio = Studio(folder / "studio", url)
        persona = studio.persona()
        if wanted & {"postgresql", "back"}:
            fill_postgres(url, persona, rows)
        if "postgresql" in wanted:
            costs = of_postgres(
                studio, home, scratch, rounds=options.rounds, rivals=not options.no_rivals
            )
            yield f"PostgreSQL, {rows} MB of rows", costs
        if wanted & {"content", "back"}:
            fill_content(studio.var / "content", options.content)
        if "content" in wanted:
            costs = of_content(studio, scratch, rounds=options.rounds)
            yield f"Content, {options.content} MB", costs
        if "back" in wanted:
            costs = backups_back.serving_again(stack, folder, home, studio)
            yield f"Back again: an empty machine, {rows + options.content} MB", costs
        shutil.rmtree(studio.var)
    if wanted & {"sqlite", "crossing"}:
        small = Studio(folder / "small")
        fill_sqlite(small.var / "gator.sqlite3", small.persona(), rows)
        if "sqlite" in wanted:
            yield f"SQLite, {rows} MB of rows", of_sqlite(small, scratch, rounds=options.rounds)
        if "crossing" in wanted:
            costs = backups_back.crossing(stack, folder, home, small, rows)
            yield "SQLite to PostgreSQL: memory", costs
    if "flat" in wanted:
        yield "Flat memory: content", _flat(folder, options.large)
    if "s3" in wanted:
        yield "Flat memory: to S3 (moto)", _to_s3(stack, folder, options.content)


def _flat(folder: Path, megabytes: int) -> list[Cost]:
    """Peak memory at a fiftieth of the size and at all of it."""
    costs = []
    for share in (megabytes // 50, megabytes):
        studio = Studio(folder / f"flat{share}")
        studio.manage("", "migrate")
        fill_content(studio.var / "content", share)
        costs += [studio.idle(), studio.back_up("content")]
        costs[-1].what = f"backup of {share} MB of content"
        shutil.rmtree(studio.var)
    return costs


def _to_s3(stack: ExitStack, folder: Path, megabytes: int) -> list[Cost]:
    """Peak memory of an upload, at a tenth of the size and at all of it."""
    port = servers.free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(server.wait)
    stack.callback(server.terminate)
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            urlopen(Request(f"{url}/studio", method="PUT"), timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    access = {
        "BACKUP_STORAGE": "storages.backends.s3.S3Storage",
        "AWS_STORAGE_BUCKET_NAME": "studio",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_S3_ENDPOINT_URL": url,
        "AWS_S3_REGION_NAME": "us-east-1",
    }
    costs = []
    for share in (megabytes // 10, megabytes):
        studio = Studio(folder / f"s3-{share}")
        studio.manage("", "migrate")
        fill_content(studio.var / "content", share)
        costs.append(studio.idle())
        costs.append(studio.manage(f"backup of {share} MB to S3", "backup", "--quiet", **access))
        costs[-1].size_mb = float(share)
        shutil.rmtree(studio.var)
    return costs


if __name__ == "__main__":
    main()
