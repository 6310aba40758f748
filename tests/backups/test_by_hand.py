"""Without Gator: gunzip, sqlite3 or psql, tar and age bring everything back, as the docs show."""

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pyrage
import pytest
from pytest_django import Settings

from apps.backups import drilling, streams
from apps.backups.dumpers.base import dumper_of
from apps.backups.errors import BadRequest, WrongKey
from apps.backups.progress import Progress
from apps.backups.using import as_default, place_like, sqlite_place
from apps.backups.verifying import verify
from apps.scheduling.models import Delivery
from apps.scheduling.services import hold_unfinished
from tests.backups.conftest import Home, needs, needs_postgres, postgres_programs
from tests.databases import ON_POSTGRES, on_server
from tests.settings import TESTS_POSTGRES
from tests.studio import ROOT


def _sh(command: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-ec", command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(ON_POSTGRES, reason="run with --database sqlite")
def test_the_sqlite_dump_by_python_alone(home: Home, tmp_path: Path) -> None:
    import gzip

    made = home.back_up()
    raw = gzip.decompress((home.backups / made.id / "database.sql.gz").read_bytes())
    with closing(sqlite3.connect(tmp_path / "by-hand.sqlite3")) as by_hand:
        by_hand.executescript(raw.decode())
        assert by_hand.execute("SELECT count(*) FROM scheduling_post").fetchone() == (6,)
        assert by_hand.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@needs("sqlite3")
@pytest.mark.skipif(ON_POSTGRES, reason="run with --database sqlite")
def test_gunzip_into_sqlite3(home: Home, tmp_path: Path) -> None:
    made = home.back_up()
    target = tmp_path / "by-hand.sqlite3"
    _sh(f"gunzip -c {home.backups / made.id}/database.sql.gz | sqlite3 {target}")
    with (
        closing(sqlite3.connect(target)) as by_hand,
        closing(sqlite3.connect(str(home.place["NAME"]))) as live,
    ):
        query = "SELECT id, text FROM scheduling_post ORDER BY id"
        assert by_hand.execute(query).fetchall() == live.execute(query).fetchall()


@needs_postgres
def test_gunzip_into_psql(home: Home) -> None:
    made = home.back_up()
    name = f"{home.place['NAME']}_by_hand"
    on_server(f'CREATE DATABASE "{name}"')
    psql = f"{postgres_programs()}/psql -X -q -v ON_ERROR_STOP=1 -d {name}"
    access = {"PGHOST": str(TESTS_POSTGRES), "PGUSER": "gator"}
    _sh(f"gunzip -c {home.backups / made.id}/database.sql.gz | {psql}", **access)
    assert _sh(f"{psql} -At -c 'SELECT count(*) FROM scheduling_post'", **access) == "6\n"


def test_plain_tar(home: Home, tmp_path: Path) -> None:
    made = home.back_up()
    out = tmp_path / "by-hand"
    out.mkdir()
    _sh(f"tar -xzf {home.backups / made.id}/content.tar.gz -C {out}", LC_ALL="C.UTF-8")
    for path, digest in home.files().items():
        import hashlib

        assert hashlib.sha256((out / path).read_bytes()).hexdigest() == digest


# -- As the runbook says -------------------------------------------------------------------------


@pytest.fixture
def key(settings: Settings) -> pyrage.x25519.Identity:
    made = pyrage.x25519.Identity.generate()
    settings.BACKUP_AGE_RECIPIENTS = [str(made.to_public())]
    return made


def _runbook() -> dict[str, str]:
    """The commands of docs/backups.md, "By hand, without Gator", by the first words of each."""
    text = (ROOT / "docs" / "backups.md").read_text()
    block = text.partition("## By hand, without Gator")[2].partition("```\n")[2].partition("```")[0]
    parts = [part.partition("\n") for part in block.split("# ") if part.strip()]
    return {about.partition(" ")[0].rstrip(":"): commands for about, _, commands in parts}


@needs("age", "sqlite3")
def test_the_runbook_word_by_word(home: Home, key: pyrage.x25519.Identity, tmp_path: Path) -> None:
    """Encrypted, opened, unpacked and loaded by the commands of the documentation alone."""
    posts, files = home.posts(), home.files()
    made = home.back_up()
    folder = tmp_path / "by-hand"
    shutil.copytree(home.backups / made.id, folder)
    (folder / "key.txt").write_text(f"{key}\n")
    commands = _runbook()
    assert list(commands) == ["is", "encrypted", "content", "SQLite", "PostgreSQL"]

    def run(command: str) -> str:
        access = {"PGHOST": str(TESTS_POSTGRES), "PGUSER": "gator", "LC_ALL": "C.UTF-8"}
        programs = f"{postgres_programs()}:/usr/bin:/bin" if ON_POSTGRES else "/usr/bin:/bin"
        return _sh(f"cd {folder}\n{command}", PATH=programs, **access)

    sums = {line.split()[1]: line.split()[0] for line in run(commands["is"]).splitlines()}
    assert sums == {archive.name: archive.sha256 for archive in made.archives}
    run(commands["encrypted"])
    run(commands["content"])
    assert Home(folder, home.place).files() == files
    if ON_POSTGRES:
        name = f"{home.place['NAME']}_runbook"
        run(re.sub(r"\bgator\b", name, commands["PostgreSQL"]))
        place = place_like(home.place, name)
    else:
        run(commands["SQLite"])
        place = sqlite_place(home.place, str(folder / "gator.sqlite3"))
    assert made.database is not None
    assert dumper_of(place).facts().rows == made.database.rows
    with as_default(place):
        hold_unfinished()
        assert home.posts() == posts
        assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.HELD}


# -- age ----------------------------------------------------------------------------------------


def test_encrypted_there_and_back(home: Home, key: pyrage.x25519.Identity) -> None:
    posts, files = home.posts(), home.files()
    made = home.back_up()
    folder = home.backups / made.id
    assert sorted(path.name for path in folder.iterdir()) == [
        "content.tar.gz.age",
        "database.sql.gz.age",
        "metadata.json",
    ]
    for path in folder.glob("*.age"):
        assert path.read_bytes().startswith(b"age-encryption.org/v1\n")
    (home.content / "notes – ünï.txt").unlink()
    verify(home.open(made.id), Progress())
    with pytest.raises(WrongKey, match="--identity"):
        home.restore(made.id)
    with pytest.raises(WrongKey):
        home.restore(made.id, identities=[pyrage.x25519.Identity.generate()])
    with pytest.raises(WrongKey):
        drilling.drill(home.open(made.id), Progress())
    drilling.drill(home.open(made.id, [key]), Progress())
    home.restore(made.id, identities=[key])
    assert (home.posts(), home.files()) == (posts, files)


def test_encryption_is_never_silently_left_out(home: Home) -> None:
    with pytest.raises(BadRequest, match="BACKUP_AGE_RECIPIENTS"):
        home.back_up(encrypt=True)
    with pytest.raises(BadRequest):
        streams.recipient_of("age1nonsense")
    with pytest.raises(WrongKey):
        streams.identities_of("AGE-SECRET-KEY-1NONSENSE")


@needs("age")
def test_the_age_command_opens_it(home: Home, key: pyrage.x25519.Identity, tmp_path: Path) -> None:
    made = home.back_up()
    identity = tmp_path / "key.txt"
    identity.write_text(f"# made for a test\n{key}\n")
    listed = _sh(f"age -d -i {identity} {home.backups / made.id}/content.tar.gz.age | tar -tzf -")
    assert "photo.jpg" in listed
