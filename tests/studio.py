"""The fixtures `studio` and `new_studio`: Gator in its own processes, as `make run` starts it."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.backups.dumpers.base import Place
from apps.core.running.processes import dying_with
from gator import valkey
from tests import servers
from tests.databases import copy_database
from tests.settings import TESTS_DATABASE, TESTS_POSTGRES

ROOT = Path(__file__).resolve().parent.parent
# A start takes 5 s; a machine that builds other things at the same time takes its time.
START_SECONDS = 150
STOP_SECONDS = 10


class Studio:
    """One installation: a GATOR_VAR, a database, a port, and the `up` that runs there."""

    def __init__(self, var: Path, database_url: str = "") -> None:
        self.var = var
        self.port = servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = var.parent / f"{var.name}.out"
        self.up: subprocess.Popen[bytes] | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "GATOR_ENV_FILE": os.devnull,
            "GATOR_VAR": str(var),
            "GATOR_BIND": f"127.0.0.1:{self.port}",
            "GATOR_PUBLIC_URL": self.url,
            "GATOR_DEMO": "0",
            "GATOR_ADMIN_PASSWORD": "correct horse battery staple",
        }
        if database_url:
            self.environment["DATABASE_URL"] = database_url

    def spawn(self, *options: str, **changed: str) -> subprocess.Popen[bytes]:
        """Run `manage.py up` with some settings changed; wait for nothing."""
        with self.output.open("wb") as output:
            self.up = subprocess.Popen(
                [sys.executable, "manage.py", "up", *options],
                cwd=ROOT,
                env=self.environment | changed,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=dying_with(os.getpid()),
                process_group=0,
            )
        return self.up

    def start(self, *options: str, **changed: str) -> "Studio":
        """Run `manage.py up` and wait until its web is ready."""
        up = self.spawn(*options, **changed)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if up.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"`up` did not start:\n{self.said()}")
            time.sleep(0.05)
        return self

    def is_ready(self) -> bool:
        """Whether every part says that it works."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def said(self) -> str:
        """What `up` has printed, and the last lines of each log."""
        parts = [self.output.read_text(errors="replace")]
        for log in sorted((self.var / "logs").glob("*.log")):
            parts.append(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        return "\n".join(parts)

    def stop(self) -> float:
        """Press Ctrl-C and wait for the end; gives the seconds it took."""
        if self.up is None:
            return 0.0
        started = time.monotonic()
        if self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
        try:
            self.up.wait(timeout=STOP_SECONDS + 10)
        finally:
            self.kill_all()
        return time.monotonic() - started

    def kill_all(self) -> None:
        """End whatever is left of this installation."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.up is not None:
            self.up.wait(timeout=STOP_SECONDS)

    def processes(self) -> dict[int, str]:
        """Every living process of this installation by pid, with its command line (Linux)."""
        mark = f"GATOR_VAR={self.var}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = command.decode(errors="replace").strip()
            except OSError:
                continue
        return found

    def ask(self, request: str, **more: Any) -> dict[str, Any]:
        """One request on the control socket of `up`, as `restore` makes it."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(valkey.run_dir(self.var) / "control.sock"))
            connection.sendall(json.dumps({"do": request, **more}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline())
                return answer

    def manage(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run another command of `manage.py` in this installation."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment | changed,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


_numbers = itertools.count(1)


def _made(base: Path, stack: ExitStack) -> Studio:
    name = f"studio_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{next(_numbers)}"
    url = ""
    if TESTS_DATABASE == "postgres":
        url = stack.enter_context(servers.fresh_database(TESTS_POSTGRES, name))
    (base / name).mkdir(mode=0o700)
    studio = Studio(base / name / "var", url)
    stack.callback(studio.stop)
    return studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, migrated: Place) -> Iterator[Studio]:
    """One running studio for all tests of this process: leave it running, clean up your rows."""
    with ExitStack() as stack:
        made = _made(tmp_path_factory.mktemp("studio"), stack)
        made.var.mkdir(mode=0o700)
        url = made.environment.get("DATABASE_URL")
        name = url.rpartition("/")[2] if url else str(made.var / "gator.sqlite3")
        copy_database(migrated, name)
        yield made.start()


@pytest.fixture
def new_studio(tmp_path: Path) -> Iterator[Callable[[], Studio]]:
    """`new_studio()` is an empty installation of your own: start it, break it, start it again."""
    with ExitStack() as stack:
        yield lambda: _made(tmp_path, stack)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # One xdist worker gets all of them, so that the studio starts once.
        if "studio" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("studio"))
