"""A restore changes nothing until it is sure, then everything at once, and can go back."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from apps.backups import finishing, journal, loading, restoring, writers
from apps.backups.dumpers.base import dumper_of
from apps.backups.dumpers.postgresql import connect
from apps.backups.errors import BackupError, BadRequest, Busy, NotFound
from apps.backups.journal import Step
from apps.backups.models import BackupRun
from apps.backups.progress import Progress
from apps.backups.stages.base import database_stage
from apps.backups.using import as_default, sqlite_place
from apps.core.models import AuditEntry, EventHandling, Lease
from apps.personas.models import Persona
from apps.scheduling import services as scheduling
from apps.scheduling.models import Delivery, Post, SocialAccount
from tests.backups.conftest import Home, needs_postgres
from tests.databases import ON_POSTGRES, on_server


def spoil(home: Home) -> None:
    """What people do after a backup, and would like undone."""
    Delivery.objects.all().delete()
    Post.objects.all().delete()
    Persona.objects.update(name="Spoilt")
    shutil.rmtree(home.content / "media")
    (home.content / "new.txt").write_text("new")


def test_everything_comes_back(home: Home) -> None:
    """Rows by their hash, sequences, files by their SHA-256."""
    files, facts = home.files(), dumper_of(home.place).facts()
    hashes = home.row_hashes()
    made = home.back_up()
    spoil(home)
    report = home.restore(made.id)
    assert report.restored and report.warnings == []
    assert home.files() == files
    now = dumper_of(home.place).facts()
    # The restore itself writes its audit line, its event, and the list of backups, and holds.
    own = {"core_auditentry", "core_eventhandling", "backups_backuprun", "core_lease"}
    held = {"scheduling_delivery", "scheduling_deliverychange"}
    found = home.row_hashes()
    assert {k: v for k, v in found.items() if k not in own | held} == {
        k: v for k, v in hashes.items() if k not in own | held
    }
    assert {k: v for k, v in now.rows.items() if k not in own} == {
        k: v for k, v in facts.rows.items() if k not in own
    }
    assert all(now.sequences[name] >= value for name, value in facts.sequences.items())


def test_staged_it_is_the_same_to_the_last_row(home: Home, tmp_path: Path) -> None:
    """Before anything is held or settled: every table, by its hash."""
    hashes = home.row_hashes()
    made = home.back_up()
    if ON_POSTGRES:
        stage = database_stage(home.place, "staged")
        stage.prepare()
        place = stage.place
    else:
        place = sqlite_place(home.place, str(tmp_path / "staged.sqlite3"))
    loading.load(home.open(made.id), place, Progress())
    with as_default(place):
        assert home.row_hashes() == hashes


def test_new_rows_get_new_numbers(home: Home) -> None:
    made = home.back_up()
    last = AuditEntry.objects.order_by("id").last()
    home.restore(made.id)
    entry = AuditEntry.objects.create(actor_name="x", action="x")
    assert last is None or entry.pk > last.pk


def test_unfinished_posts_are_held_and_sessions_end(home: Home) -> None:
    Session.objects.create(session_key="k", expire_date=timezone.now() + timedelta(days=1))
    Lease.objects.create(
        name="beat", holder="elsewhere:1", expires_at=timezone.now() - timedelta(seconds=1)
    )
    made = home.back_up()
    home.restore(made.id)
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.HELD}
    assert not Session.objects.exists() and not Lease.objects.exists()
    handled = EventHandling.objects.filter(event="database_restored")
    assert len(handled) == len(settings.EVENTS["database_restored"])
    for each in handled:
        assert each.finished_at is not None and each.payload["backup"] == made.id
    assert AuditEntry.objects.filter(action="restore").count() == 1


def test_the_present_is_saved_first_and_kept_beside(home: Home) -> None:
    made = home.back_up()
    spoil(home)
    report = home.restore(made.id)
    assert report.safety in home.shelf().names() and report.safety != made.id
    safe = home.open(report.safety).manifest
    assert safe.kind == "before_restore" and safe.database is not None
    assert safe.database.rows["scheduling_post"] == 0
    undone = restoring.rollback(Progress())
    assert undone.step == Step.ROLLED_BACK
    assert home.posts() == [] and "new.txt" in home.files()


def test_the_list_of_backups_is_rebuilt_from_what_lies_there(home: Home) -> None:
    made = home.back_up()
    later = home.back_up()
    home.restore(made.id)
    names = set(BackupRun.objects.finished().values_list("name", flat=True))
    assert {made.id, later.id} <= names


def test_a_rehearsal_changes_nothing(home: Home) -> None:
    made = home.back_up()
    spoil(home)
    before = home.everything()
    report = home.restore(made.id, dry_run=True)
    assert not report.restored and report.rows > 0 and report.files == 3
    (home.var / "restores").rmdir()
    assert home.everything() == before


@pytest.mark.parametrize("what", ["db", "content"])
def test_a_part_comes_back_alone(home: Home, what: str) -> None:
    posts, files = home.posts(), home.files()
    made = home.back_up()
    spoil(home)
    home.restore(made.id, what=what)
    assert (home.posts() == posts) == (what == "db")
    assert (home.files() == files) == (what == "content")


def test_by_path_from_another_folder(home: Home, tmp_path: Path) -> None:
    made = home.back_up()
    shutil.move(home.backups / made.id, tmp_path / made.id)
    posts = home.posts()
    spoil(home)
    home.restore(str(tmp_path / made.id))
    assert home.posts() == posts


def test_living_writers_are_not_overrun(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "PATIENCE", 0.1)
    made = home.back_up()
    Lease.objects.create(
        name="worker:publishing@far:1",
        holder="far:1",
        expires_at=timezone.now() + timedelta(minutes=1),
    )
    before = home.posts()
    with pytest.raises(Busy, match="Stop these first: worker:publishing@far:1\\.$"):
        home.restore(made.id)
    assert home.posts() == before and journal.all_journals() == []


def test_a_dead_neighbours_lease_does_not_count(home: Home) -> None:
    import socket

    made = home.back_up()
    Lease.objects.create(
        name="beat",
        holder=f"{socket.gethostname()}:4194305",
        expires_at=timezone.now() + timedelta(minutes=1),
    )
    assert home.restore(made.id).restored


@pytest.mark.skipif(ON_POSTGRES, reason="SQLite's files")
def test_an_open_reader_stops_the_switch(home: Home) -> None:
    import subprocess
    import sys

    made = home.back_up()
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "c.execute('SELECT 1 FROM core_user').fetchall(); print('open', flush=True); "
        "sys.stdin.read()"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(home.place["NAME"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert reader.stdout is not None and reader.stdout.readline() == b"open\n"
        spoil(home)
        with pytest.raises(Busy):
            home.restore(made.id)
        assert home.posts() == []
        assert journal.unfinished() is None
    finally:
        reader.communicate()
    assert connection.settings_dict["NAME"] == home.place["NAME"]


def test_a_disk_that_fills_up_stops_it_in_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = home.back_up()
    before = (home.posts(), home.files())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(BackupError, match="nothing was changed"):
        home.restore(made.id)
    assert (home.posts(), home.files()) == before and journal.all_journals() == []
    assert not [path.name for path in home.var.iterdir() if "restore-" in path.name]


@needs_postgres
def test_who_still_writes_is_sent_away_and_nothing_of_it_stays(home: Home) -> None:
    """A program that holds no lease, in the middle of its transaction."""
    made = home.back_up()
    posts = home.posts()
    with connect(home.place) as writer:
        writer.execute("UPDATE scheduling_post SET text = 'half written'")
        assert home.restore(made.id).restored
        with pytest.raises(psycopg.OperationalError):
            writer.execute("SELECT 1")
        writer.close()
    assert home.posts() == posts


@needs_postgres
def test_who_may_make_no_database_is_told_before_anything_happens(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = home.back_up()
    role = f"poor_{home.place['NAME']}"
    on_server(f'CREATE ROLE "{role}" LOGIN')
    try:
        on_server(f'GRANT "{home.place["USER"]}" TO "{role}"')
        monkeypatch.setitem(connection.settings_dict, "USER", role)
        with pytest.raises(BackupError, match="ALTER ROLE"):
            home.restore(made.id)
    finally:
        monkeypatch.undo()
        connection.close()
        on_server(f'DROP ROLE "{role}"')
    assert home.shelf().names() == [made.id] and journal.all_journals() == []


def test_after_a_failure_at_the_switch_all_is_as_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = home.back_up()
    spoil(home)
    files = home.files()

    def broken(*, has_database: bool) -> None:
        raise ValueError("it smokes")

    monkeypatch.setattr(finishing, "smoke_test", broken)
    with pytest.raises(BackupError, match="it smokes"):
        home.restore(made.id)
    assert home.posts() == [] and home.files() == files
    assert Persona.objects.get().name == "Spoilt"
    assert journal.unfinished() is None


@pytest.mark.parametrize("step", ["staging", "switching", "between", "switched"])
@pytest.mark.parametrize("way", ["resume", "rollback"])
def test_cut_short_it_is_finished_or_undone(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: str, way: str
) -> None:
    class Killed(BaseException):
        """As by SIGKILL: nothing of ours runs after it."""

    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    posts, files = home.posts(), home.files()
    made = home.back_up()
    spoil(home)
    spoilt = (home.posts(), home.files())
    with monkeypatch.context() as patch:
        if step == "staging":
            patch.setattr(restoring._Plan, "discard", lambda self: None)
            patch.setattr(restoring, "_build", killed)
        elif step == "switching":
            patch.setattr(restoring, "_forward", killed)
        elif step == "between":
            patch.setattr("apps.backups.stages.files.ContentStage.switch", killed)
        else:
            patch.setattr(finishing, "smoke_test", killed)
        with pytest.raises(Killed):
            home.restore(made.id)
    assert journal.unfinished() is not None
    with pytest.raises(BadRequest, match="cut short"):
        home.restore(made.id)
    if way == "resume":
        assert restoring.resume(restoring.Wish(name="")).restored
        assert (home.posts(), home.files()) == (posts, files)
        assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.HELD}
    else:
        restoring.rollback(Progress())
        assert (home.posts(), home.files()) == spoilt
    assert journal.unfinished() is None
    # Nothing of it is in the way of the next one; the files alone say so in a tenth of the time.
    assert home.restore(made.id, what="all" if step == "switched" else "content").restored


def test_without_the_credential_key_the_account_says_reconnect(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    account = SocialAccount.objects.get()
    account.credentials = {"token": "secret"}
    account.save()
    made = home.back_up()
    home.restore(made.id)
    assert SocialAccount.objects.get().credentials.open() == {"token": "secret"}
    assert scheduling.test_account(SocialAccount.objects.get()).status == "working"
    # An empty machine to which nobody brought the key: it makes a new one.
    settings.KEYS_DIR = tmp_path / "other-keys"
    settings.KEYS_DIR.mkdir(mode=0o700)
    home.restore(made.id)
    found = scheduling.test_account(SocialAccount.objects.get())
    assert found.status == SocialAccount.Status.RECONNECT
    assert "not on this machine" in found.status_detail


def test_a_journal_half_written_by_a_killed_restore_is_removed(home: Home) -> None:
    (home.var / "restores").mkdir()
    (home.var / "restores" / "20200101_000000.draft").write_text('{"id": "2020')
    assert home.restore(home.back_up(what="content").id).restored
    assert not list((home.var / "restores").glob("*.draft"))


def test_nothing_to_resume_or_undo(home: Home) -> None:
    with pytest.raises(NotFound):
        restoring.resume(restoring.Wish(name=""))
    with pytest.raises(NotFound):
        restoring.rollback(Progress())


def test_a_destroyed_studio_comes_back(home: Home) -> None:
    posts, files = home.posts(), home.files()
    made = home.back_up()
    connection.close()
    shutil.rmtree(home.content)
    if ON_POSTGRES:
        stage = database_stage(home.place, "x")
        stage._drop(str(home.place["NAME"]))  # type: ignore[attr-defined]
    else:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{home.place['NAME']}{suffix}").unlink(missing_ok=True)
    report = home.restore(made.id)
    assert report.safety == "" and report.warnings == []
    assert (home.posts(), home.files()) == (posts, files)


@pytest.mark.skipif(ON_POSTGRES, reason="SQLite's files")
def test_a_malformed_database_can_be_replaced(home: Home) -> None:
    posts = home.posts()
    made = home.back_up()
    connection.close()
    path = Path(str(home.place["NAME"]))
    path.write_bytes(b"SQLite format 3\0" + os.urandom(20_000))
    report = home.restore(made.id)
    assert any("could not be backed up" in warning for warning in report.warnings)
    assert home.posts() == posts


def test_what_was_replaced_goes_after_a_week(home: Home) -> None:
    made = home.back_up()
    home.restore(made.id)
    now = timezone.now()
    assert restoring.drop_previous(now=now + timedelta(days=6)) == []
    assert len(restoring.drop_previous(now=now + timedelta(days=8))) == 1
    left = [path.name for path in home.var.iterdir() if "before" in path.name]
    assert left == []
    with pytest.raises(NotFound):
        restoring.rollback(Progress())


def test_a_mount_point_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    made = home.back_up()
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) == str(home.content))
    with pytest.raises(BackupError, match="mount point"):
        home.restore(made.id)
    assert journal.all_journals() == []
