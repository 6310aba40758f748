"""Runs, jobs, alarms and what the web may do with backups."""

import io
import json
import re
import tarfile
from datetime import timedelta
from typing import Any

import httpx
import pyrage
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from pytest_django import Settings

from apps.backups import checks, index, running, services, tasks
from apps.backups.errors import BackupError, Busy, Damaged
from apps.backups.metrics import of_backups
from apps.backups.models import BackupJob, BackupRun
from apps.core.models import Alert, AuditEntry, User
from apps.core.running import health
from gator.celery import app as gator_celery
from tests.backups.conftest import Home


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Tasks that would have gone to a worker."""
    seen: list[tuple[str, Any]] = []

    def remember(self: Any, args: Any = None, **options: Any) -> None:
        seen.append((self.name, args))

    monkeypatch.setattr("celery.app.task.Task.apply_async", remember)
    return seen


def run_now(**fields: Any) -> BackupRun:
    run = BackupRun.objects.create(**fields)
    running.carry_out(run)
    run.refresh_from_db()
    return run


def test_a_run_tells_what_became_of_it(home: Home) -> None:
    run = run_now()
    assert (run.state, run.problem, run.error) == ("done", "", "")
    assert run.verified_at is not None and run.size > 0 and run.took is not None
    assert run.plain_size > run.size and run.bytes_per_second
    assert home.shelf().names() == [run.name]
    running.check(run)
    running.prove(run)
    run.refresh_from_db()
    said = [line.split("  ", 1)[1].split(":")[0] for line in run.log.splitlines()]
    assert [line for line in said if not line.startswith(("Checking", "Unpacking"))] == [
        "Begun",
        "Database",
        "Content",
        "Reading back database.sql.gz",
        "Reading back content.tar.gz",
        "Made",
        "Read again, every byte",
        "Database",
        "Content",
        "Drilled",
    ]
    assert run.stage == "" and not run.is_busy


def test_a_failed_run_says_why_and_raises_the_alarm(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(order: Any) -> None:
        raise BackupError("the disk is full")

    monkeypatch.setattr(running, "make_backup", broken)
    with pytest.raises(BackupError):
        run_now()
    run = BackupRun.objects.get()
    assert (run.state, run.error) == ("failed", "the disk is full")
    assert Alert.objects.get(key="backups.failed").level == "critical"


def test_the_daily_job_is_there_at_half_past_two(home: Home) -> None:
    job = BackupJob.objects.get()
    assert (job.schedule.hour, job.schedule.minute) == ("2", "30")
    assert job.task is not None and job.task.task == "create_automated_backup"
    assert json.loads(job.task.args) == [str(job.pk)]
    assert tasks.create_automated_backup(str(job.pk)) == {"Daily": home.shelf().names()[0]}
    run = BackupRun.objects.get()
    assert (run.kind, run.job) == ("scheduled", job)


def test_the_drill_is_there_on_sundays(home: Home) -> None:
    drill = PeriodicTask.objects.get(task="drill_backup")
    assert drill.enabled and drill.crontab is not None
    assert (drill.crontab.day_of_week, drill.crontab.hour) == ("0", "4")
    home.back_up()
    index.sync()
    assert tasks.drill_backup() == "", "one that nobody has read is not drilled"
    tasks.check_backups()
    assert tasks.drill_backup() == home.shelf().names()[0]
    assert BackupRun.objects.get().proven_at is not None


def test_the_drill_takes_one_with_a_database(home: Home) -> None:
    """A studio may save its files more often than its rows."""
    whole = run_now()
    files = run_now(what="content")
    assert tasks.drill_backup() == whole.name
    files.refresh_from_db()
    assert files.proven_at is None


def test_a_drill_without_the_key_is_no_failure(home: Home, settings: Settings) -> None:
    settings.BACKUP_AGE_RECIPIENTS = [str(pyrage.x25519.Identity.generate().to_public())]
    run = run_now()
    assert run.is_encrypted and tasks.drill_backup() == ""
    run.refresh_from_db()
    assert run.proven_at is None and run.problem == ""
    assert not Alert.objects.filter(key="backups.drill").exists()


def test_editing_a_job_edits_its_schedule(home: Home, ada_in_home: User) -> None:
    job = BackupJob.objects.get()
    job.schedule = CrontabSchedule.objects.create(hour="4", minute="15")
    job.is_enabled = False
    services.save_job(job, by=ada_in_home)
    task = PeriodicTask.objects.get(name="Backup: Daily")
    assert (task.crontab.hour, task.enabled) == ("4", False)
    services.delete_job(job, by=ada_in_home)
    assert not PeriodicTask.objects.filter(name="Backup: Daily").exists()


@pytest.fixture
def ada_in_home(home: Home) -> User:
    return User.objects.get(username="ada")


def test_starting_one_wakes_a_worker_once(
    home: Home, sent: list[tuple[str, Any]], ada_in_home: User
) -> None:
    run = services.start_backup(by=ada_in_home)
    assert sent == [("carry_out_backup", [str(run.pk)])]
    with pytest.raises(Busy):
        services.start_backup(by=ada_in_home)
    assert tasks.carry_out_backup(str(run.pk)) == home.shelf().names()[0]
    assert tasks.carry_out_backup(str(run.pk)) == home.shelf().names()[0]
    assert len(home.shelf().names()) == 1
    assert AuditEntry.objects.filter(action="start backup", actor=ada_in_home).exists()


def test_absence_raises_the_alarm_and_nothing_else_does(home: Home) -> None:
    assert not running.alarm_if_absent(), "a new studio has had no chance yet"
    BackupJob.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert running.alarm_if_absent()
    assert Alert.objects.filter(key="backups.absent").count() == 1
    run = run_now()
    assert not running.alarm_if_absent()
    BackupRun.objects.filter(pk=run.pk).update(problem="flipped")
    assert running.alarm_if_absent()
    BackupRun.objects.filter(pk=run.pk).update(
        problem="", started_at=timezone.now() - timedelta(hours=27)
    )
    assert running.alarm_if_absent()
    assert [family.name for family in of_backups()][0] == "gator_backup_verified_age_seconds"


def test_beat_asks_hourly_whether_one_is_absent(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PeriodicTask.objects.get(task="check_backups")
    assert task.enabled and task.interval is not None
    assert (task.interval.every, task.interval.period) == (3600, "seconds")
    BackupJob.objects.update(created_at=timezone.now() - timedelta(days=3))

    def breaks() -> int:
        raise RuntimeError("whatever")

    monkeypatch.setattr(index, "bury_the_dead", breaks)
    with pytest.raises(RuntimeError):
        gator_celery.tasks[task.task]()
    assert Alert.objects.filter(key="backups.absent").exists(), "nothing keeps it from looking"


def test_readyz_says_it_and_raises_it(home: Home) -> None:
    def advice() -> Any:
        health._advisories.forget()
        answer = Client().get("/readyz")
        return answer.json()["advisories"]["backups"]

    try:
        assert advice()["ok"] is True
        BackupJob.objects.update(created_at=timezone.now() - timedelta(days=3))
        assert advice() == {"ok": False, "why": "no verified backup in time"}
        assert Alert.objects.filter(key="backups.absent").exists()
        # Visitors are not sent away for it.
        assert "backups" not in Client().get("/readyz").json()["parts"]
        run_now()
        assert advice()["ok"] is True
    finally:
        health._advisories.forget()


def test_a_damaged_one_is_named_and_no_longer_counted(home: Home) -> None:
    run = run_now()
    path = home.backups / run.name / "content.tar.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged):
        running.check(run)
    run.refresh_from_db()
    assert "bytes" in run.problem
    assert not BackupRun.objects.verified().exists()
    assert Alert.objects.filter(key=f"backups.damaged.{run.name}").exists()


def test_a_drill_proves(home: Home) -> None:
    run = run_now()
    before = home.posts()
    assert tasks.drill_backup() == run.name
    run.refresh_from_db()
    assert run.proven_at is not None
    assert home.posts() == before
    assert not (home.var / ".drill").exists()


def test_the_ping_says_alive_or_failed(
    home: Home, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(str(request.url))
        return httpx.Response(200)

    monkeypatch.setattr(
        "apps.core.http.client", lambda: httpx.Client(transport=httpx.MockTransport(answer))
    )
    settings.BACKUP_PING_URL = "https://ping.example.org/abc"
    run_now()
    running.ping(failed=True)
    assert called == ["https://ping.example.org/abc", "https://ping.example.org/abc/fail"]


def test_the_hourly_check_reads_what_nobody_has_read(home: Home) -> None:
    made = home.back_up()
    tasks.check_backups()
    assert BackupRun.objects.get(name=made.id).verified_at is not None


def test_restoring_from_a_queue_is_refused_by_name(home: Home) -> None:
    result = gator_celery.tasks["restore_backup"].apply(("backup_20260101_000000",))
    assert result.state == "FAILURE"
    assert "manage.py restore backup_20260101_000000" in str(result.result)
    assert tasks.cleanup_old_backups() == {"previous": [], "Daily": []}


def test_before_a_migration(home: Home, bare: Home) -> None:
    with services.saved_first() as name:
        assert name in home.shelf().names()
        assert home.open(name).manifest.kind == "before_migration"
        assert not BackupRun.objects.exists(), "the tables may still be the older release's"
    assert BackupRun.objects.get().kind == "before_migration"


def test_a_migration_that_fails_is_told_and_its_backup_stays(home: Home) -> None:
    with pytest.raises(RuntimeError, match="no such column"), services.saved_first() as name:
        raise RuntimeError("no such column")
    assert name in home.shelf().names()
    assert not BackupRun.objects.exists()


def test_a_secret_key_in_the_settings_is_an_error(settings: Settings) -> None:
    settings.BACKUP_AGE_RECIPIENTS = ["AGE-SECRET-KEY-1ABC", "age1wrong"]
    assert [each.id for each in checks.recipients_are_keys()] == ["backups.E001", "backups.E002"]


# -- The admin and the API ----------------------------------------------------------------------


def _client(home: Home, *permissions: str) -> Client:
    user = User.objects.create_user(username="kim", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_the_admin_shows_runs_and_starts_them(home: Home, sent: list[tuple[str, Any]]) -> None:
    run = run_now()
    BackupRun.objects.create(state="failed", error="no")
    BackupRun.objects.create(state="running", expected_bytes=10, done_bytes=5, stage="Content")
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    page = client.get("/admin/backups/backuprun/")
    assert page.status_code == 200 and b"Content 50%" in page.content
    assert b"waiting.js" in page.content, "it loads itself again while something goes on"
    BackupRun.objects.filter(state="running").delete()
    assert b"waiting.js" not in client.get("/admin/backups/backuprun/").content
    BackupRun.objects.filter(pk=run.pk).update(stage="Checking content.tar.gz")
    detail = client.get(f"/admin/backups/backuprun/{run.pk}/change/").content
    assert b"waiting.js" in detail and b"Checking content.tar.gz" in detail
    BackupRun.objects.filter(pk=run.pk).update(stage="")
    whole = client.get(f"/admin/backups/backuprun/{run.pk}/change/").content
    failed = BackupRun.objects.get(state="failed")
    page = client.get(f"/admin/backups/backuprun/{failed.pk}/change/")
    assert re.search(rb">\s*Error\s*<", page.content) and b">no<" in page.content
    assert not re.search(rb">\s*Error\s*<", whole), "only what went wrong is said"
    job = BackupJob.objects.get()
    for path in ("", f"{job.pk}/change/"):
        page = client.get(f"/admin/backups/backupjob/{path}")
        assert page.status_code == 200 and b"At 02:30 AM" in page.content
    assert client.get("/admin/backups/backuprun/back-up-now/").status_code == 200
    assert client.get("/admin/backups/backuprun/start/").status_code == 405
    assert client.post("/admin/backups/backuprun/start/").status_code == 302
    for name in ("verify_selected", "drill_selected"):
        client.post(
            "/admin/backups/backuprun/", {"action": name, "_selected_action": [str(run.pk)]}
        )
    assert [name for name, _ in sent] == ["carry_out_backup", "verify_backup", "drill_backup"]


def test_only_superusers_download(home: Home) -> None:
    run = run_now()
    url = f"/admin/backups/backuprun/{run.pk}/download/"
    staff = _client(home, "view_backuprun", "add_backuprun", "change_backuprun")
    assert staff.get(url).status_code in (302, 403)
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    failed = BackupRun.objects.create(state="failed")
    for nothing in (failed.pk, "nonsense"):
        answer = client.get(f"/admin/backups/backuprun/{nothing}/download/")
        assert answer.status_code in (302, 403, 404)
    answer = client.get(url)
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == [
            f"{run.name}/{name}" for name in ("database.sql.gz", "content.tar.gz", "metadata.json")
        ]
    assert AuditEntry.objects.filter(action="download backup").count() == 1


def test_the_api_lists_starts_and_verifies(home: Home, sent: list[tuple[str, Any]]) -> None:
    run = run_now()
    client = _client(home, "view_backuprun", "add_backuprun", "change_backuprun")
    listed = client.get("/api/v1/backups/").json()
    assert [each["name"] for each in listed["results"]] == [run.name]
    started = client.post("/api/v1/backups", {"what": "db"}, content_type="application/json")
    assert started.status_code == 201 and started.json()["state"] == "queued"
    again = client.post("/api/v1/backups/", {}, content_type="application/json")
    assert again.status_code == 409
    assert client.post(f"/api/v1/backups/{run.pk}/verify/").status_code == 202
    queued = started.json()["id"]
    assert client.post(f"/api/v1/backups/{queued}/verify/").status_code == 409
    assert client.post(f"/api/v1/backups/{run.pk}/restore/").status_code == 404
    assert client.delete(f"/api/v1/backups/{run.pk}/").status_code == 405
    assert [name for name, _ in sent] == ["carry_out_backup", "verify_backup"]
