"""A backup holds everything, appears whole or not at all, and is read back before it counts."""

import gzip
import io
import os
import resource
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.backups import archiving, finishing, locks, manifest
from apps.backups.errors import BackupError, Busy, Damaged, NotFound
from apps.backups.progress import Progress
from apps.backups.streams import Chunks
from apps.backups.verifying import verify
from tests.backups.conftest import Home, needs_postgres
from tests.databases import ON_POSTGRES


def test_it_lies_there_as_three_ordinary_files(home: Home) -> None:
    made = home.back_up()
    folder = home.backups / made.id
    assert sorted(path.name for path in folder.iterdir()) == [
        "content.tar.gz",
        "database.sql.gz",
        "metadata.json",
    ]
    sql = gzip.decompress((folder / "database.sql.gz").read_bytes()).decode()
    assert "línea" in sql
    with tarfile.open(folder / "content.tar.gz") as archive:
        assert sorted(archive.getnames()) == [
            "empty",
            "media",
            "media/2026",
            "media/2026/photo.jpg",
            "notes – ünï.txt",
            "nothing.png",
        ]


def test_only_we_may_read_it(home: Home) -> None:
    made = home.back_up()
    folder = home.backups / made.id
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_manifest_counts_rows_and_files(home: Home) -> None:
    made = home.back_up()
    assert made.database is not None and made.content is not None
    assert made.database.rows == home.rows()
    assert made.database.rows["scheduling_post"] == 6
    assert made.database.engine == ("postgresql" if ON_POSTGRES else "sqlite")
    assert "0001_initial" in made.database.migrations["backups"]
    assert (made.content.files, made.warnings) == (3, [])
    assert home.shelf().names() == [made.id]
    verify(home.open(made.id), Progress())


@pytest.mark.parametrize("what", ["db", "content"])
def test_a_part_can_be_left_out(home: Home, what: str) -> None:
    made = home.back_up(what=what)
    assert (made.database is None, made.content is None) == (what == "content", what == "db")
    verify(home.open(made.id), Progress())


def test_keys_and_secrets_are_not_in_it(home: Home) -> None:
    secret = home.var / "keys" / "credential_keys"
    secret.write_text("id:very-secret-key\n")
    (home.content / "link.txt").symlink_to(secret)
    made = home.back_up()
    assert made.content is not None and made.content.skipped == ["link.txt"]
    for path in (home.backups / made.id).glob("*.gz"):
        assert b"very-secret-key" not in gzip.decompress(path.read_bytes())


def test_two_in_one_second_get_two_names(home: Home) -> None:
    assert home.back_up(what="content").id != home.back_up(what="content").id


def test_two_at_once_one_is_told_so(home: Home) -> None:
    with locks.exclusive(), pytest.raises(Busy):
        home.back_up()
    home.back_up(what="content")


@needs_postgres
def test_another_machine_is_kept_out_of_the_same_database(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    made = home.back_up()
    with locks.exclusive():
        # Its own GATOR_VAR, so the file lock is another one.
        settings.GATOR_VAR = tmp_path
        with pytest.raises(Busy, match="Another machine"):
            home.back_up(what="db")
        with pytest.raises(Busy, match="Another machine"):
            home.restore(made.id)
    home.back_up(what="db")


@needs_postgres
def test_a_restore_keeps_them_out_until_its_end(
    home: Home, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the switch too, which ends every session of the database, the lock's as well."""
    made = home.back_up()
    real, told = finishing.smoke_test, []

    def meanwhile(*, has_database: bool) -> None:
        here, settings.GATOR_VAR = settings.GATOR_VAR, tmp_path
        with pytest.raises(Busy) as caught:
            home.back_up(what="db")
        settings.GATOR_VAR = here
        told.append(str(caught.value))
        real(has_database=has_database)

    monkeypatch.setattr(finishing, "smoke_test", meanwhile)
    assert home.restore(made.id).restored
    assert told == ["Another machine backs up or restores this database."]


@pytest.mark.parametrize("kind", [OSError(28, "No space left on device"), ValueError("no")])
def test_what_fails_in_the_middle_leaves_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: Exception
) -> None:
    def breaks(pieces: object, plain: object) -> Iterator[bytes]:
        yield b"half"
        raise kind

    monkeypatch.setattr("apps.backups.content.packed", breaks)
    with pytest.raises(BackupError if isinstance(kind, OSError) else ValueError) as caught:
        home.back_up()
    assert "disk is full" in str(caught.value) or isinstance(kind, ValueError)
    assert list(home.backups.iterdir()) == []


def test_a_file_system_that_takes_a_part_and_then_no_more(home: Home) -> None:
    """The kernel's own refusal, in the middle of a piece."""
    old = home.back_up(what="content")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_001, hard))
    try:
        with pytest.raises(BackupError, match="File too large"):
            home.back_up(what="content")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in home.backups.iterdir()] == [old.id]


def test_a_full_disk_leaves_the_old_ones(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    old = home.back_up()
    monkeypatch.setattr("apps.backups.shelves.LocalShelf.free_bytes", lambda self: 1_000)
    with pytest.raises(BackupError, match="free"):
        home.back_up()
    assert home.shelf().names() == [old.id]


def test_a_disk_that_lies_is_noticed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.backups.shelves import LocalDraft

    real = LocalDraft.put

    def flips(self: LocalDraft, name: str, chunks: Chunks) -> None:
        real(self, name, chunks)
        path = self._path / name
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)

    monkeypatch.setattr(LocalDraft, "put", flips)
    with pytest.raises(Damaged, match="reads back"):
        home.back_up()
    assert home.shelf().names() == []


def test_a_dump_without_its_end_is_no_dump(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.backups.dumpers.base import dumper_of

    kind = type(dumper_of(home.place))
    monkeypatch.setattr(kind, "is_complete", lambda self, tail: False)
    with pytest.raises(BackupError, match="end mark"):
        home.back_up()
    assert list(home.backups.iterdir()) == []


def test_what_a_killed_one_left_is_swept(home: Home) -> None:
    left = home.backups / ".partial-backup_20200101_000000"
    left.mkdir()
    (left / "database.sql.gz").write_bytes(b"half")
    made = home.back_up()
    assert [path.name for path in home.backups.iterdir()] == [made.id]


def test_without_metadata_it_is_not_listed(home: Home) -> None:
    made = home.back_up()
    (home.backups / made.id / "metadata.json").unlink()
    assert home.shelf().names() == []
    with pytest.raises(NotFound):
        home.restore(made.id)


def test_a_file_that_grows_while_it_is_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Growing(Progress):
        def add(self, count: int) -> None:
            if self.name == "Content":
                with (home.content / "notes – ünï.txt").open("a") as file:
                    file.write("more")

    made = home.back_up(progress=Growing())
    assert made.content is not None and "notes – ünï.txt" in made.content.changed
    assert any("changed" in warning for warning in made.warnings)
    verify(home.open(made.id), Progress())


def test_a_file_that_vanishes_before_it_is_read(home: Home) -> None:
    class Vanishing(Progress):
        def add(self, count: int) -> None:
            # Listed by then: the folder's own header has just been read.
            if self.name == "Content" and count:
                (home.content / "nothing.png").unlink(missing_ok=True)

    made = home.back_up(what="content", progress=Vanishing())
    assert made.content is not None
    assert (made.content.vanished, made.content.files) == (["nothing.png"], 2)
    assert any("vanished" in warning for warning in made.warnings)
    verify(home.open(made.id), Progress())


def test_the_end_mark_of_pg_dump() -> None:
    from apps.backups.dumpers.postgresql import COMPLETE, PostgresDumper

    dumper = PostgresDumper({"NAME": "x"})
    whole = b"...\n--\n" + COMPLETE + b"\n--\n\n"
    assert dumper.is_complete(whole)
    assert dumper.is_complete(whole + b"\\unrestrict abc\n\n")
    assert not dumper.is_complete(whole + b"\\unrest")
    assert not dumper.is_complete(whole + b"INSERT INTO")
    assert not dumper.is_complete(b"COPY x FROM stdin;\n1\n")


@needs_postgres
def test_a_pg_dump_that_dies_fails_the_backup(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    from tests.backups.conftest import postgres_programs

    bin_ = tmp_path / "bin"
    bin_.mkdir()
    script = bin_ / "pg_dump"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec {postgres_programs()}/pg_dump --version\n'
        f'{postgres_programs()}/pg_dump "$@"\necho out of memory >&2\nexit 3\n'
    )
    script.chmod(0o755)
    settings.PG_BIN = str(bin_)
    with pytest.raises(BackupError, match="out of memory"):
        home.back_up()
    assert home.shelf().names() == []


@needs_postgres
def test_an_old_pg_dump_is_refused_by_name(home: Home, settings: Settings, tmp_path: Path) -> None:
    script = tmp_path / "pg_dump"
    script.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 12.1'\n")
    script.chmod(0o755)
    settings.PG_BIN = str(tmp_path)
    with pytest.raises(BackupError, match="install the client programs of version 18"):
        home.back_up()


def test_a_name_is_never_a_path() -> None:
    for bad in ("../x", "backup_1", "backup_20260101_000000/..", "", "backup_20260101_000000\n"):
        with pytest.raises(NotFound):
            manifest.checked_name(bad)


def test_the_environment_of_tools_has_no_surprises(monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.backups.dumpers import postgresql

    monkeypatch.setenv("SECRET_KEY", "x")
    place = {"NAME": "n", "PASSWORD": "p", "OPTIONS": {"sslmode": "require", "pool": {}}}
    environment = postgresql.environment(place)
    assert environment["PGPASSWORD"] == "p" and environment["PGSSLMODE"] == "require"
    assert "SECRET_KEY" not in environment
    assert os.environ["SECRET_KEY"] == "x"


def test_a_zero_length_content_is_a_backup_too(bare: Home) -> None:
    made = bare.back_up()
    assert made.content is not None and made.content.files == 0
    with tarfile.open(
        fileobj=io.BytesIO((bare.backups / made.id / "content.tar.gz").read_bytes())
    ) as archive:
        assert archive.getnames() == []
    assert archiving.Order(kind="manual").recipients == []
