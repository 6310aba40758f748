"""The way back: an empty machine serving again, the outage of a switch, SQLite to PostgreSQL."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psycopg

from benchmarks.backups_data import fill_sqlite
from benchmarks.backups_studio import ROOT, Cost, Studio, size_of
from tests import servers

START_SECONDS = 180


def _answers(url: str) -> bool:
    try:
        # Whatever proxy this machine has is not for its own address.
        with build_opener(ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _up(stack: ExitStack, studio: Studio) -> str:
    """Start `up`; gives the studio's address once every part is ready."""
    url = f"http://127.0.0.1:{servers.free_port()}"
    up = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=studio.environment | {"GATOR_BIND": url.removeprefix("http://")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(up.wait)
    stack.callback(up.send_signal, signal.SIGINT)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(f"{url}/readyz"):
        if up.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the restored studio does not start")
        time.sleep(0.1)
    return url


class Watcher:
    """Asks an address of a studio all the time, and remembers the longest silence."""

    def __init__(self, address: str) -> None:
        self._address, self._stop, self.longest = address, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.is_set():
            if _answers(self._address):
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
            time.sleep(0.05)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The last silence counts only once it has ended.
        deadline = time.monotonic() + 60
        while not _answers(self._address) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        self._stop.set()
        self._thread.join()


def serving_again(stack: ExitStack, folder: Path, home: Path, full: Studio) -> list[Cost]:
    """Restore all of a studio where nothing is, start it, and restore once more while it serves."""
    full.manage("", "backup", "--quiet")
    backup = full.newest()
    stack.callback(_drop, home, "empty")
    empty = Studio(folder / "empty", servers.postgres_url(home, "empty"))
    restored = empty.manage("restore, one command", "restore", str(backup), "--yes", "--quiet")
    restored.size_mb = size_of(backup)
    began = time.monotonic()
    with ExitStack() as running:
        url = _up(running, empty)
        ready = Cost(what="until `up` serves it", cpu=0, wall=round(time.monotonic() - began, 2))
        with Watcher(f"{url}/admin/login/") as page, Watcher(f"{url}/readyz") as all_of_it:
            done = subprocess.run(
                [sys.executable, "manage.py", "restore", str(backup), "--yes", "--json", "--quiet"],
                cwd=ROOT,
                env=empty.environment,
                capture_output=True,
                check=True,
            )
    report = json.loads(done.stdout)
    shutil.rmtree(backup)
    shutil.rmtree(empty.var)
    return [
        restored,
        ready,
        Cost(what="outage of a switch, by its own report", cpu=0, wall=report["outage_seconds"]),
        Cost(what="no page of the web was served", cpu=0, wall=round(page.longest, 2)),
        Cost(what="until workers and beat were back too", cpu=0, wall=round(all_of_it.longest, 2)),
    ]


def crossing(
    stack: ExitStack, folder: Path, home: Path, large: Studio, megabytes: int
) -> list[Cost]:
    """The move at a tenth of the size and at all of it."""
    little = Studio(folder / "little")
    fill_sqlite(little.var / "gator.sqlite3", little.persona(), megabytes // 10)
    costs = [large.idle()]
    for source, size in ((little, megabytes // 10), (large, megabytes)):
        source.manage("", "backup", "--only", "db", "--quiet")
        name = f"crossed_{size}"
        stack.callback(_drop, home, name)
        target = Studio(folder / name, servers.postgres_url(home, name))
        cost = target.manage(
            f"{size} MB", "restore", str(source.newest()), "--yes", "--quiet", "--cross-engine"
        )
        cost.size_mb = size_of(source.newest())
        costs.append(cost)
    return costs


def _drop(home: Path, name: str) -> None:
    with psycopg.connect(servers.postgres_url(home, "postgres"), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
