"""SQLite: dumped as SQL inside one read transaction, which in WAL mode stops no writer.

Python's own iterdump is not used: its dump of a full-text table does not load again. Virtual
tables are written last, with the command that rebuilds what they index.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from apps.backups.dumpers.base import Facts, Place
from apps.backups.errors import BackupError, Damaged
from apps.backups.streams import CHUNK, Chunks

END = b"-- Gator: dump complete\n"
_BATCH = 1_000_000


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class SqliteSnapshot:
    """One read transaction."""

    def __init__(self, connection: sqlite3.Connection, size: int) -> None:
        self._connection = connection
        self.size = size
        self.facts = facts_of(connection)
        self.migrations = migrations_of(connection)
        self.server_version = sqlite3.sqlite_version
        self.tool_version = f"Gator's own, SQLite {sqlite3.sqlite_version}"

    def sql(self) -> Iterator[bytes]:
        buffer: list[bytes] = []
        size = 0
        for piece in self._statements():
            buffer.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(buffer)
                buffer, size = [], 0
        yield b"".join([*buffer, END])

    def _statements(self) -> Iterator[bytes]:
        version = sqlite3.sqlite_version
        yield f"-- Gator database dump, SQLite {version}\n".encode()
        yield b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
        for name in _tables(self._connection):
            yield self._schema("table", name)
            yield from self._rows(name)
        for name, sequence in self.facts.sequences.items():
            # The row is there already: inserting into an AUTOINCREMENT table makes it.
            quoted = "'" + name.replace("'", "''") + "'"
            yield f"DELETE FROM sqlite_sequence WHERE name={quoted};\n".encode()
            yield f"INSERT INTO sqlite_sequence VALUES({quoted},{sequence});\n".encode()
        yield from self._schemas("index")
        yield from self._virtual_tables()
        # Last: a trigger must not fire while rows are loaded, a view may name anything above.
        yield from self._schemas("view")
        yield from self._schemas("trigger")
        for pragma in ("user_version", "application_id"):
            value = self._connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            if value:
                yield f"PRAGMA {pragma}={value};\n".encode()
        yield b"COMMIT;\n"

    def _schema(self, kind: str, name: str) -> bytes:
        found = self._connection.execute(
            "SELECT sql FROM sqlite_master WHERE type=? AND name=?", (kind, name)
        ).fetchone()
        return bytes(found[0]) + b";\n"

    def _schemas(self, kind: str) -> Iterator[bytes]:
        rows = self._connection.execute(
            "SELECT sql FROM sqlite_master WHERE type=? AND sql IS NOT NULL ORDER BY rowid", (kind,)
        ).fetchall()
        for (sql,) in rows:
            yield bytes(sql) + b";\n"

    def _rows(self, table: str) -> Iterator[bytes]:
        names, values, all_plain = [], [], True
        for column in self._connection.execute(f"PRAGMA table_xinfo({_quoted(table)})"):
            name, declared, hidden = _text(column[1]), _text(column[2]).upper(), column[6]
            if hidden:
                # Generated: the database computes it again.
                all_plain = False
                continue
            names.append(_quoted(name))
            values.append(_literal(_quoted(name), declared))
        target = _quoted(table) + ("" if all_plain else f"({','.join(names)})")
        prefix = f"INSERT INTO {target} VALUES(".replace("'", "''")
        expression = "||','||".join(values)
        query = f"SELECT '{prefix}'||{expression}||');\n' FROM {_quoted(table)}"
        for (line,) in self._connection.execute(query):
            yield line

    def _virtual_tables(self) -> Iterator[bytes]:
        for name in _tables(self._connection, kind="virtual"):
            schema = self._schema("table", name)
            yield schema
            compact = schema.lower().replace(b" ", b"").replace(b'"', b"'")
            if b"usingfts" not in compact or b"content=''" in compact:
                continue
            if b"content=" in compact:
                yield f"INSERT INTO {_quoted(name)}({_quoted(name)}) VALUES('rebuild');\n".encode()
                continue
            # It keeps its own text: read it through the table, never through its shadows.
            columns = [
                _text(column[1])
                for column in self._connection.execute(f"PRAGMA table_xinfo({_quoted(name)})")
                if not column[6]
            ]
            listed = ",".join(["rowid", *map(_quoted, columns)])
            prefix = f"INSERT INTO {_quoted(name)}({listed}) VALUES(".replace("'", "''")
            literals = ["quote(rowid)", *(_literal(_quoted(each), "TEXT") for each in columns)]
            values = "||','||".join(literals)
            for (line,) in self._connection.execute(
                f"SELECT '{prefix}'||{values}||');\n' FROM {_quoted(name)}"
            ):
                yield line


def _literal(column: str, declared: str) -> str:
    if not any(word in declared for word in ("CHAR", "TEXT", "CLOB", "JSON")):
        if "INT" in declared or "BOOL" in declared or "DATE" in declared:
            return f"quote({column})"
        # quote() writes infinity as Inf, which SQLite itself cannot read.
        return (
            f"CASE {column} WHEN 9e999 THEN '9e999' WHEN -9e999 THEN '-9e999' "
            f"ELSE quote({column}) END"
        )
    hexadecimal = f"'CAST('||quote(CAST({column} AS BLOB))||' AS TEXT)'"
    returns = f"length({column})-length(replace({column},char(13),''))"
    spelt = f"replace(quote({column}),char(13),'''||char(13)||''')"
    # quote() ends a text at its first NUL. The sqlite3 program drops a carriage return before a
    # line feed from what it reads, and browsers send both: so returns are spelt out, as far as
    # SQLite's limit on an expression's depth allows.
    return (
        f"CASE WHEN instr({column},char(0)) THEN {hexadecimal} "
        f"WHEN instr({column},char(13)) THEN "
        f"CASE WHEN {returns}<200 THEN {spelt} ELSE {hexadecimal} END "
        f"ELSE quote({column}) END"
    )


def _tables(connection: sqlite3.Connection, *, kind: str = "table") -> list[str]:
    rows = connection.execute("PRAGMA table_list").fetchall()
    names = {_text(row[1]) for row in rows if _text(row[0]) == "main" and _text(row[2]) == kind}
    ordered = connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY rowid")
    return [
        name
        for name in (_text(row[0]) for row in ordered)
        if name in names and not name.startswith("sqlite_")
    ]


def facts_of(connection: sqlite3.Connection) -> Facts:
    """Rows per table and the state of AUTOINCREMENT."""
    rows = {
        name: int(connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0])
        for name in _tables(connection)
    }
    has_sequences = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name='sqlite_sequence'"
    ).fetchone()
    sequences = (
        {_text(name): int(seq) for name, seq in connection.execute("SELECT * FROM sqlite_sequence")}
        if has_sequences
        else {}
    )
    return Facts(rows=rows, sequences=sequences)


def migrations_of(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Applied migrations by app."""
    found: dict[str, list[str]] = {}
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name='django_migrations'").fetchone():
        for app, name in connection.execute("SELECT app, name FROM django_migrations ORDER BY id"):
            found.setdefault(_text(app), []).append(_text(name))
    return found


class SqliteDumper:
    """A database file."""

    engine = "sqlite"

    def __init__(self, place: Place) -> None:
        self.path = Path(str(place["NAME"]))

    def _open(self, mode: str = "ro") -> sqlite3.Connection:
        # Read-only may still create -shm; that is SQLite's own business.
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=20,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = bytes
        return connection

    def preflight(self) -> None:
        if not self.path.is_file():
            raise BackupError(f"There is no database at {self.path}.")

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        with closing(self._open()) as connection:
            connection.execute("BEGIN")
            yield SqliteSnapshot(connection, self.path.stat().st_size)

    @contextmanager
    def alone(self) -> Iterator[None]:
        # A file belongs to one machine, where the lock of locks.exclusive is enough.
        yield

    def is_complete(self, tail: bytes) -> bool:
        return tail.endswith(b"COMMIT;\n" + END)

    def load(self, chunks: Chunks) -> None:
        self.path.touch(mode=0o600, exist_ok=False)
        with closing(self._open("rw")) as connection:
            # Nobody sees this file before it is whole and synced. The cache counts twice: what
            # sorts an index takes as much again.
            connection.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF;"
                "PRAGMA cache_size=-8000; PRAGMA locking_mode=EXCLUSIVE;"
            )
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.execute("BEGIN")
            try:
                for script in _scripts(chunks):
                    connection.executescript(script)
                if connection.in_transaction:
                    connection.execute("COMMIT")
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise BackupError(f"SQLite refused the dump: {error}.") from error
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 10)
            connection.execute("ANALYZE")

    def check(self) -> None:
        """SQLite's own word on the file."""
        with closing(self._open()) as connection:
            problems = [_text(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            if problems != ["ok"]:
                raise Damaged(f"The staged database is malformed: {'; '.join(problems)[:500]}")
            orphans = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
            if orphans:
                tables = ", ".join(sorted({_text(row[0]) for row in orphans}))
                raise BackupError(f"Rows of {tables} refer to rows that are not there.")

    def facts(self) -> Facts:
        with closing(self._open()) as connection:
            return facts_of(connection)

    def is_empty(self) -> bool:
        if not self.path.is_file():
            return True
        with closing(self._open()) as connection:
            return not migrations_of(connection)


# The dump's own frame; what loads it holds a transaction already.
_FRAME = frozenset({b"PRAGMA foreign_keys=OFF;", b"BEGIN TRANSACTION;", b"COMMIT;"})


def _scripts(chunks: Chunks) -> Iterator[str]:
    batch: list[bytes] = []
    size = 0
    for statement in _whole_statements(chunks):
        if statement in _FRAME:
            continue
        batch.append(statement)
        size += len(statement)
        if size >= _BATCH:
            yield b"\n".join(batch).decode()
            batch, size = [], 0
    yield b"\n".join(batch).decode()


def _whole_statements(chunks: Chunks) -> Iterator[bytes]:
    parts: list[bytes] = []
    odd = False
    for line in _lines(chunks):
        if not parts and line.startswith(b"--"):
            continue
        parts.append(line)
        odd ^= bool(line.count(b"'") & 1)
        if not line.endswith(b";"):
            continue
        if parts[0].startswith(b"CREATE"):
            # Triggers hold semicolons, comments hold quotes: ask SQLite.
            if not sqlite3.complete_statement(b"\n".join(parts).decode()):
                continue
        elif odd:
            continue
        yield b"\n".join(parts)
        parts, odd = [], False
    if any(part.strip() for part in parts):
        raise Damaged("The dump ends in the middle of a statement.")


def _lines(chunks: Chunks) -> Iterator[bytes]:
    rest: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if others:
            yield b"".join(rest)
            yield from others[:-1]
            rest = [others[-1]]
    if last := b"".join(rest):
        yield last
