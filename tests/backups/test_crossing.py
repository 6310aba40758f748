"""From SQLite to PostgreSQL: every model, original keys, sequences that go on."""

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from apps.backups import restoring
from apps.backups.dumpers.base import Place, dumper_of
from apps.backups.errors import BackupError, Incompatible
from apps.backups.progress import Progress
from apps.backups.stages.postgresql import PostgresStage
from apps.backups.using import as_default, sqlite_place
from apps.core import keyring
from apps.core.models import AuditEntry
from apps.personas.models import Persona
from apps.scheduling.models import Delivery, Post, SocialAccount
from tests.backups.conftest import Home, needs_postgres
from tests.databases import copy_database

# In one group, for one worker: making the tables of SQLite costs more than the tests.
pytestmark = [needs_postgres, pytest.mark.xdist_group("crossing")]


@pytest.fixture(scope="session")
def migrated_sqlite(
    migrated: Place, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Path:
    """A migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite3"
    with django_db_blocker.unblock(), as_default(sqlite_place(migrated, str(path))):
        call_command("migrate", verbosity=0)
    return path


@pytest.fixture
def tables_at_hand(migrated: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage begins with its tables, whose making other tests wait for."""

    def prepare(self: PostgresStage) -> None:
        self.discard()
        copy_database(migrated, self.place["NAME"])

    monkeypatch.setattr(PostgresStage, "prepare", prepare)


@pytest.fixture
def small(bare: Home, migrated_sqlite: Path, tmp_path: Path) -> tuple[Home, str]:
    """A backup of a studio on SQLite, lying beside an empty one on PostgreSQL."""
    path = shutil.copy(migrated_sqlite, tmp_path / "small.sqlite3")
    place = sqlite_place(bare.place, str(path))
    with as_default(place):
        bare.fill()
        account = SocialAccount.objects.get()
        account.credentials = {"token": "secret"}
        account.facts = {"limits": [1, None, "ünï"], "zero": "a"}
        account.save()
        AuditEntry.objects.create(actor_name="x", action="y", details={"n": None})
        made = bare.back_up()
        expected = sorted(Post.objects.values_list("pk", "text", "scheduled_at", "hashtags"))
    home = bare
    home.expected = expected  # type: ignore[attr-defined]
    return home, made.id


def test_it_must_be_asked_for(small: tuple[Home, str]) -> None:
    home, name = small
    with pytest.raises(Incompatible, match="--cross-engine"):
        home.restore(name)
    own = home.back_up()
    with pytest.raises(Incompatible, match="as this studio is"):
        home.restore(own.id, cross_engine=True)


@pytest.mark.usefixtures("tables_at_hand")
def test_a_rehearsal_changes_nothing(small: tuple[Home, str]) -> None:
    home, name = small
    before = dumper_of(home.place).facts().rows
    report = home.restore(name, cross_engine=True, dry_run=True)
    assert not report.restored and report.rows > 100
    assert dumper_of(home.place).facts().rows == before


def test_go_and_come_back(small: tuple[Home, str]) -> None:
    """With tables made on the way, as every studio does that outgrows its machine."""
    home, name = small
    before = dumper_of(home.place).facts().rows
    assert home.restore(name, cross_engine=True).restored
    found = sorted(Post.objects.values_list("pk", "text", "scheduled_at", "hashtags"))
    assert found == home.expected  # type: ignore[attr-defined]
    account = SocialAccount.objects.get()
    assert account.credentials.open() == {"token": "secret"}
    assert account.facts == {"limits": [1, None, "ünï"], "zero": "a"}
    assert keyring.newest()
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.HELD}
    last = AuditEntry.objects.order_by("-id")[0].pk
    assert AuditEntry.objects.create(actor_name="z", action="z").pk > last
    assert not list(home.var.glob(".crossing*"))
    restoring.rollback(Progress())
    assert dumper_of(home.place).facts().rows == before


@pytest.mark.usefixtures("tables_at_hand")
def test_a_row_that_postgresql_refuses_is_named(small: tuple[Home, str], tmp_path: Path) -> None:
    home, name = small
    place = sqlite_place(home.place, str(tmp_path / "small.sqlite3"))
    with as_default(place):
        Persona.objects.update(voice="a\0b")
        made = home.back_up()
    raw = gzip.decompress((home.backups / made.id / "database.sql.gz").read_bytes())
    assert b"CAST(X'610062' AS TEXT)" in raw
    with closing(sqlite3.connect(":memory:")) as check:
        check.executescript(raw.decode())
        assert check.execute("SELECT voice FROM personas_persona").fetchone() == ("a\0b",)
    with pytest.raises(BackupError, match="personas_persona"):
        home.restore(made.id, cross_engine=True)
    assert name in home.shelf().names() and not Persona.objects.exists()
