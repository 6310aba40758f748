"""Gator's own SQL dump of SQLite: whatever a database may hold loads again, also by hand."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from apps.backups.dumpers.sqlite import SqliteDumper
from apps.backups.errors import BackupError, Damaged
from tests.backups.conftest import needs
from tests.backups.test_by_hand import _sh

SCHEMA = """
CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT, size REAL, raw BLOB,
    long AS (length(body)) STORED, "odd ""name"";" TEXT DEFAULT ';');
CREATE UNIQUE INDEX note_body ON note (body) WHERE body <> '';
CREATE TABLE told (what TEXT);
CREATE TRIGGER tell AFTER INSERT ON note BEGIN
    INSERT INTO told VALUES ('it''s ' || new.id || ';'); -- a comment; with a quote '
    DELETE FROM told WHERE what IS NULL;
END;
CREATE VIEW short AS SELECT id, ';' AS mark FROM note WHERE length(body) < 5;
CREATE VIRTUAL TABLE own USING fts5(text, title);
CREATE VIRTUAL TABLE outside USING fts5(body, content='note', content_rowid='id');
CREATE VIRTUAL TABLE bare USING fts5(text, content='');
PRAGMA user_version=7;
"""
TEXTS = [
    "plain",
    "it's; '' \"",
    "two\r\nlines\r",
    "\r" * 300,
    "nul\0inside",
    "emoji 🌫 ünï",
    "-- no comment\n;\n",
    "COMMIT;",
]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(SCHEMA)
        for number, text in enumerate(TEXTS):
            size = [1.5, float("inf"), float("-inf"), 1e-300, None][number % 5]
            made.execute(
                "INSERT INTO note (body, size, raw) VALUES (?, ?, ?)",
                (text, size, bytes(range(256))),
            )
        made.execute("DELETE FROM note WHERE id = 8")
        made.execute("INSERT INTO own (rowid, text, title) VALUES (41, 'fog; it''s', 'a\r\nb')")
        made.execute("INSERT INTO outside (outside) VALUES ('rebuild')")
        made.commit()
        assert made.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    return path


def _everything(path: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(path)) as found:
        rows = {
            table: found.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall()
            for table in ("note", "told", "short", "sqlite_sequence", "own")
        }
        rows["found"] = [
            found.execute("SELECT rowid FROM own WHERE own MATCH 'fog'").fetchall(),
            found.execute("SELECT rowid FROM outside WHERE outside MATCH 'plain'").fetchall(),
            found.execute("PRAGMA user_version").fetchall(),
            found.execute("PRAGMA integrity_check").fetchall(),
        ]
        rows["schema"] = found.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
        ).fetchall()
        return rows


def _dump(path: Path) -> bytes:
    with SqliteDumper({"NAME": str(path)}).snapshot() as snapshot:
        return b"".join(snapshot.sql())


def test_it_loads_again_to_the_last_byte(original: Path, tmp_path: Path) -> None:
    raw = _dump(original)
    dumper = SqliteDumper({"NAME": str(tmp_path / "again.sqlite3")})
    # In crumbs: a statement may begin in one chunk and end five further on.
    dumper.load(raw[start : start + 7] for start in range(0, len(raw), 7))
    dumper.check()
    assert _everything(dumper.path) == _everything(original)
    assert dumper.facts() == SqliteDumper({"NAME": str(original)}).facts()


@needs("sqlite3")
def test_sqlite3_loads_it_too(original: Path, tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_bytes(_dump(original))
    _sh(f"sqlite3 {tmp_path}/by-hand.sqlite3 < {tmp_path}/dump.sql")
    assert _everything(tmp_path / "by-hand.sqlite3") == _everything(original)


def test_under_a_writer_it_is_one_moment(original: Path, tmp_path: Path) -> None:
    """Two tables that always change together are dumped alike, and the writer never waits."""
    with SqliteDumper({"NAME": str(original)}).snapshot() as snapshot:
        pieces = snapshot.sql()
        first = next(pieces)
        with closing(sqlite3.connect(original, timeout=0)) as writer:
            writer.execute("INSERT INTO note (body) VALUES ('written meanwhile')")
            writer.commit()
        raw = first + b"".join(pieces)
    assert b"written meanwhile" not in raw
    assert snapshot.facts.rows["note"] == 7 and snapshot.facts.rows["told"] == 8


def test_half_a_dump_is_never_loaded(original: Path, tmp_path: Path) -> None:
    raw = _dump(original)
    for number, cut in enumerate((raw.index(b"two"), raw.index(b"CREATE TRIGGER") + 60)):
        half = SqliteDumper({"NAME": str(tmp_path / f"half{number}.sqlite3")})
        with pytest.raises((BackupError, Damaged)):
            half.load([raw[:cut]])
