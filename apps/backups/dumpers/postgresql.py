"""PostgreSQL: pg_dump inside an exported snapshot, and psql behind a transaction of our own."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import psycopg
import structlog
from django.conf import settings
from psycopg import sql

from apps.backups.dumpers.base import Facts, Place
from apps.backups.errors import BackupError, Busy, Damaged, Incompatible
from apps.backups.streams import CHUNK, Chunks
from apps.backups.using import place_like

log = structlog.get_logger(__name__)

COMPLETE = b"-- PostgreSQL database dump complete"
# The advisory lock by which backups and restores of one database exclude each other across
# machines; its second half is the database's name.
LOCK = 0x6761746F  # "gato"
# Other databases of the same server, at least one of which everybody may enter.
MAINTENANCE = ("postgres", "template1")

# The most an unprivileged process may ask of Linux: fewer turns between the two processes.
PIPE = 1024 * 1024
# At 500 MB/s pg_dump makes two chunks in this time, and the pipe holds four.
PAUSE = 0.001

# What libpq reads from the environment: no credential ever stands on a command line.
_ENVIRONMENT = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
}
_TOOLS_NEED = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "PGPASSFILE")


def connection_parameters(place: Place) -> dict[str, Any]:
    """What psycopg and libpq need to know, taken from Django's settings."""
    options = place.get("OPTIONS") or {}
    known = {name: options[name] for name in _ENVIRONMENT if name in options}
    named = {
        "host": place.get("HOST"),
        "port": place.get("PORT"),
        "user": place.get("USER"),
        "password": place.get("PASSWORD"),
        "dbname": place["NAME"],
    }
    return {**known, **{name: value for name, value in named.items() if value}}


def connect(place: Place, **options: Any) -> psycopg.Connection[Any]:
    """A connection of our own, outside Django's pool."""
    try:
        return psycopg.connect(
            **{**connection_parameters(place), "application_name": "gator backups"}, **options
        )
    except psycopg.OperationalError as error:
        raise BackupError(f"The database cannot be reached: {error}".strip()) from error


def tool(name: str) -> tuple[str, int, str]:
    """A PostgreSQL program: its path, its major version, its whole version."""
    folder = settings.PG_BIN
    candidates = [str(Path(folder) / name)] if folder else []
    if not folder:
        if on_path := shutil.which(name):
            candidates.append(on_path)
        candidates += sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    found = []
    for path in candidates:
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=10, check=True
            ).stdout
            if version := re.search(r"(\d+)(?:\.\d+)*", said):
                found.append((int(version.group(1)), path, version.group(0)))
    if not found:
        place = f"in PG_BIN ({folder})" if folder else "on PATH"
        raise BackupError(f"There is no {name} {place}: install PostgreSQL's client programs.")
    major, path, version_text = max(found)
    return path, major, version_text


def environment(place: Place) -> dict[str, str]:
    """The environment in which the tools run."""
    kept = {name: os.environ[name] for name in _TOOLS_NEED if name in os.environ}
    given = connection_parameters(place)
    return {
        **kept,
        **{_ENVIRONMENT[name]: str(value) for name, value in given.items()},
        "PGAPPNAME": "gator backups",
        "PGCLIENTENCODING": "UTF8",
    }


def _said(errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - 2_000))
    return errors.read().decode(errors="replace").strip() or "it gave no reason"


def _gathered(pipe: int) -> Iterator[bytes]:
    """What comes through a pipe, in whole chunks, each good until the next one is asked for.

    pg_dump writes 4 kB at a time. Woken for each of them, both processes would spend more on
    taking turns than on their work; so let the pipe fill for a moment.
    """
    chunk = memoryview(bytearray(CHUNK))
    size = 0
    while read := os.readv(pipe, [chunk[size:]]):
        size += read
        if size < CHUNK:
            time.sleep(PAUSE)
            continue
        yield cast(bytes, chunk)
        size = 0
    if size:
        yield cast(bytes, chunk[:size])


class PostgresSnapshot:
    """An exported REPEATABLE READ snapshot, which pg_dump reads too."""

    def __init__(self, place: Place, connection: psycopg.Connection[Any]) -> None:
        self._place = place
        self._name = str(_one(connection, "SELECT pg_export_snapshot()"))
        self.facts = facts_of(connection)
        self.migrations = migrations_of(connection)
        self.server_version = str(_one(connection, "SHOW server_version")).split(" ")[0]
        self._pg_dump, _, self.tool_version = tool("pg_dump")
        self.tool_version = f"pg_dump {self.tool_version}"
        self.size = int(_one(connection, "SELECT pg_database_size(current_database())"))

    def sql(self) -> Iterator[bytes]:
        command = [
            self._pg_dump,
            "--format=plain",
            f"--snapshot={self._name}",
            "--no-owner",
            "--no-privileges",
            "--no-tablespaces",
            "--no-publications",
            "--no-subscriptions",
            "--no-password",
        ]
        # A file takes any number of warnings; a pipe nobody reads would stop pg_dump.
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(self._place),
                bufsize=0,
                pipesize=PIPE,
            )
            assert process.stdout is not None
            try:
                yield from _gathered(process.stdout.fileno())
                if code := process.wait():
                    raise BackupError(f"pg_dump ended with {code}: {_said(errors)}")
            finally:
                process.stdout.close()
                if process.poll() is None:
                    process.terminate()
                    process.wait()


def _hold_lock(place: Place, name: str, stack: ExitStack) -> None:
    try:
        connection = connect(place)
    except BackupError as error:
        log.debug("no lock there", database=place["NAME"], error=str(error))
        return
    stack.callback(_let_go, connection)
    # A transaction's lock, not a session's: a pooler may hand the session on, never this.
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    key = zlib.crc32(name.encode()) - 2**31
    if not _one(connection, "SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK, key):
        raise Busy("Another machine backs up or restores this database.")


def _let_go(connection: psycopg.Connection[Any]) -> None:
    # The switch of a restore ends every session of the live database, this one too.
    with suppress(psycopg.Error):
        # Closing alone releases only once the server notices: whoever comes next would be refused.
        connection.rollback()
    connection.close()


class PostgresDumper:
    """A database on a PostgreSQL server."""

    engine = "postgresql"

    def __init__(self, place: Place) -> None:
        self.place = place

    def preflight(self) -> None:
        with connect(self.place) as connection:
            server = connection.info.server_version // 10_000
        path, major, version = tool("pg_dump")
        if major < server:
            raise Incompatible(
                f"The server is PostgreSQL {server}, but {path} is {version}: install the client "
                f"programs of version {server} or newer, or name their folder in PG_BIN."
            )

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        with connect(self.place) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            try:
                yield PostgresSnapshot(self.place, connection)
            finally:
                with suppress(psycopg.Error):
                    connection.rollback()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            # In the database itself, which everybody who backs it up can enter; and beside it,
            # where the lock outlives the switch of a restore. Never in template1: a session
            # there stops CREATE DATABASE.
            for place in (self.place, place_like(self.place, MAINTENANCE[0])):
                _hold_lock(place, str(self.place["NAME"]), stack)
            yield

    def is_complete(self, tail: bytes) -> bool:
        # Since PostgreSQL 18 and the fixes to older ones, \unrestrict comes after the mark.
        before, mark, after = tail.rpartition(COMPLETE)
        if not mark:
            return False
        rest = after.replace(b"--", b"").split()
        return not rest or (len(rest) == 2 and rest[0] == b"\\unrestrict" and tail[-1:] == b"\n")

    def load(self, chunks: Chunks) -> None:
        path, major, version = tool("psql")
        with connect(self.place) as connection:
            server = connection.info.server_version // 10_000
        if major < server:
            raise Incompatible(f"{path} is {version}; the server needs psql {server} or newer.")
        command = [path, "-X", "-q", "-w", "--set=ON_ERROR_STOP=1", "--file=-"]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment(self.place),
                bufsize=0,
                pipesize=PIPE,
            )
            assert process.stdin is not None
            try:
                # psql's own --single-transaction commits at the end of its input, whether or
                # not the input was whole. Our COMMIT is sent only after the last byte has been
                # checked: an exception in `chunks` closes the pipe and leaves the BEGIN alone.
                process.stdin.write(b"BEGIN;\n")
                for chunk in chunks:
                    view = memoryview(chunk)
                    while view:
                        view = view[process.stdin.write(view) or 0 :]
                process.stdin.write(b"\nCOMMIT;\n")
                process.stdin.close()
            except BrokenPipeError:
                process.wait()
                raise BackupError(f"psql refused the dump: {_said(errors)}") from None
            except BaseException:
                process.kill()
                process.wait()
                raise
            if code := process.wait():
                raise BackupError(f"psql ended with {code}: {_said(errors)}")
        with connect(self.place, autocommit=True) as connection:
            connection.execute("ANALYZE")

    def check(self) -> None:
        """PostgreSQL has checked every constraint while loading; only emptiness is suspicious."""
        if not self.facts().rows:
            raise Damaged("The staged database has no tables.")

    def facts(self) -> Facts:
        with connect(self.place) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return facts_of(connection)

    def is_empty(self) -> bool:
        try:
            with connect(self.place) as connection:
                return not migrations_of(connection)
        except BackupError as error:
            if isinstance(error.__cause__, psycopg.OperationalError) and "does not exist" in str(
                error
            ):
                return True
            raise


def _one(connection: psycopg.Connection[Any], query: str, *arguments: Any) -> Any:
    row = connection.execute(query, arguments or None).fetchone()
    assert row is not None
    return row[0]


def facts_of(connection: psycopg.Connection[Any]) -> Facts:
    """Rows per table and the last value of each sequence."""
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
    ).fetchall()
    rows = {}
    for schema, table in tables:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        counted = connection.execute(query).fetchone()
        assert counted is not None
        rows[table if schema == "public" else f"{schema}.{table}"] = int(counted[0])
    sequences = connection.execute(
        "SELECT schemaname, sequencename, coalesce(last_value, 0) FROM pg_sequences ORDER BY 1, 2"
    ).fetchall()
    return Facts(
        rows=rows,
        sequences={
            name if schema == "public" else f"{schema}.{name}": int(value)
            for schema, name, value in sequences
        },
    )


def migrations_of(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Applied migrations by app."""
    found: dict[str, list[str]] = {}
    if _one(connection, "SELECT to_regclass('django_migrations')") is None:
        return found
    for app, name in connection.execute("SELECT app, name FROM django_migrations ORDER BY id"):
        found.setdefault(app, []).append(name)
    return found
