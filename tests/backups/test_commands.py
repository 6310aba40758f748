"""The two commands as scripts see them: output, exit codes, and a whole studio's way back."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backups.conftest import ON_POSTGRES, postgres_programs
from tests.studio import Studio


@pytest.fixture
def place(new_studio: Callable[[], Studio]) -> Studio:
    """An installation with tables and one uploaded file, not running."""
    made = new_studio()
    if ON_POSTGRES:
        made.environment["PG_BIN"] = postgres_programs()
    made.environment["LOG_LEVEL"] = "ERROR"
    assert made.manage("migrate").returncode == 0
    (made.var / "content").mkdir(mode=0o700, exist_ok=True)
    (made.var / "content" / "a.txt").write_text("a")
    return made


def test_exit_codes_and_output(place: Studio, tmp_path: Path) -> None:
    made = place.manage("backup")
    assert made.returncode == 0, made.stderr
    name = made.stdout.strip()
    assert name.startswith("backup_") and made.stdout == f"{name}\n"

    listed = json.loads(place.manage("backup", "--list", "--json").stdout)
    assert [(each["name"], each["holds"]) for each in listed] == [(name, "all")]
    assert listed[0]["verified_at"]

    verified = place.manage("backup", "--verify", "--all", "--json", "--quiet")
    assert (verified.returncode, json.loads(verified.stdout)) == (0, {name: ""})
    pruned = place.manage("backup", "--prune", "--dry-run", "--json")
    assert json.loads(pruned.stdout) == {"deleted": [], "dry_run": True}

    assert place.manage("restore", "backup_20010101_000000", "--yes").returncode == 10
    assert place.manage("restore", name).returncode == 2, "nobody is there to confirm"
    assert place.manage("restore").returncode == 2
    assert place.manage("backup", "--encrypt").returncode == 2
    assert place.manage("backup", "--no-such-option").returncode == 2
    assert place.manage("backup", "--to", "nowhere").returncode == 2
    assert place.manage("restore", "--resume").returncode == 10

    rehearsed = place.manage("restore", "latest", "--dry-run", "--json", "--quiet")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert json.loads(rehearsed.stdout)["restored"] is False

    path = place.var / "backups" / name / "database.sql.gz"
    raw = path.read_bytes()
    path.write_bytes(raw[:-1])
    assert place.manage("backup", "--verify", name).returncode == 13
    assert place.manage("restore", name, "--yes").returncode == 13
    path.write_bytes(raw)

    events = place.manage("backup", "--only", "content", "--json")
    assert events.returncode == 0
    assert json.loads(events.stdout)["content"]["files"] == 1
    first = json.loads(events.stderr.splitlines()[0])
    assert first["event"] == "progress" and first["stage"] == "Content"


def test_busy_while_another_runs(place: Studio) -> None:
    import fcntl

    with (place.var / "backups.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert place.manage("backup").returncode == 11


def test_the_wrong_key(place: Studio, tmp_path: Path) -> None:
    import pyrage

    ours, other = (pyrage.x25519.Identity.generate() for _ in range(2))
    made = place.manage("backup", BACKUP_AGE_RECIPIENTS=str(ours.to_public()))
    assert made.returncode == 0, made.stderr
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    wrong.write_text(f"{other}\n")
    right.write_text(f"{ours}\n")
    assert place.manage("restore", "latest", "--yes").returncode == 12
    answer = place.manage("restore", "latest", "--yes", "--identity", str(wrong))
    assert answer.returncode == 12
    answer = place.manage("restore", "latest", "--yes", "--identity", str(right))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up(place: Studio, number: int) -> None:
    import subprocess
    import sys

    with (place.var / "content" / "large.bin").open("wb") as large:
        large.truncate(4_000_000_000)
    running = subprocess.Popen(
        [sys.executable, "manage.py", "backup", "--only", "content"],
        cwd=Path(__file__).resolve().parents[2],
        env=place.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not list((place.var / "backups").glob(".partial-*/*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(number)
    _, errors = running.communicate(timeout=20)
    assert running.returncode == 130, errors
    assert list((place.var / "backups").iterdir()) == []


def _get(studio: Studio, path: str, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False, base_url=studio.url, headers=headers) as client:
        return client.get(path).json()


def _post(studio: Studio, path: str, body: dict[str, Any], token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(trust_env=False, base_url=studio.url, headers=headers, timeout=20) as client:
        answer = client.post(path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


def _token(studio: Studio) -> str:
    answer = _post(
        studio,
        "/api/v1/auth/token/",
        {"username": "admin", "password": "correct horse battery staple"},
    )
    return str(answer["access"])


def _wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_destroyed_and_back_while_it_runs(new_studio: Callable[[], Studio]) -> None:
    """Back up a running studio, spoil it, restore it under `up`, release: the post goes out."""
    studio = new_studio()
    if ON_POSTGRES:
        studio.environment["PG_BIN"] = postgres_programs()
    studio.start()
    token = _token(studio)
    persona = _post(studio, "/api/v1/personas/", {"name": "Luna", "handle": "luna"}, token)
    account = _post(
        studio,
        "/api/v1/accounts/",
        {"persona": persona["id"], "network": "wall", "handle": "luna", "credentials": {}},
        token,
    )
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3_600))
    body = {
        "persona": persona["id"],
        "accounts": [account["id"]],
        "text": "Fog.",
        "scheduled_at": soon,
    }
    post = _post(studio, "/api/v1/posts/", body, token)
    made = studio.manage("backup", "--json", "--quiet")
    assert made.returncode == 0, made.stderr
    name = json.loads(made.stdout)["id"]
    with httpx.Client(
        trust_env=False, base_url=studio.url, headers={"Authorization": f"Bearer {token}"}
    ) as client:
        assert client.delete(f"/api/v1/posts/{post['id']}/").status_code < 300

    restored = studio.manage("restore", name, "--yes", "--json", "--quiet")
    assert restored.returncode == 0, restored.stderr
    report = json.loads(restored.stdout)
    assert report["restored"] and report["safety"]
    _wait_for(studio.is_ready)

    [delivery] = _get(studio, f"/api/v1/deliveries/?post={post['id']}", _token(studio))["results"]
    assert delivery["state"] == "held"
    token = _token(studio)
    _post(studio, f"/api/v1/deliveries/{delivery['id']}/release/", {}, token)
    changed = {"scheduled_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))}
    with httpx.Client(
        trust_env=False, base_url=studio.url, headers={"Authorization": f"Bearer {token}"}
    ) as client:
        answer = client.patch(f"/api/v1/posts/{post['id']}/", json=changed)
        assert answer.status_code == 200, answer.text
    url = f"/api/v1/deliveries/{delivery['id']}/"
    _wait_for(lambda: _get(studio, url, token)["state"] == "published")
    # Web, workers and beat end in order, change houses, and come back.
    assert report["outage_seconds"] < 10

    undone = studio.manage("restore", "--rollback")
    assert undone.returncode == 0, undone.stderr
    _wait_for(studio.is_ready)
    assert _get(studio, f"/api/v1/deliveries/?post={post['id']}", _token(studio))["results"] == []
    assert os.path.exists(studio.var / "backups" / name)


def test_up_saves_before_it_migrates_and_waits_for_a_torn_restore(place: Studio) -> None:
    back = place.manage("migrate", "backups", "0001")
    assert back.returncode == 0, back.stderr
    place.start()
    assert "backed up as backup_" in place.said()
    [name] = [path.name for path in (place.var / "backups").glob("backup_*")]
    manifest = json.loads((place.var / "backups" / name / "metadata.json").read_text())
    assert manifest["kind"] == "before_migration"
    place.stop()
    torn = {
        "id": "20260101_000000",
        "backup": name,
        "source": "backups",
        "step": "switching",
        "what": "all",
        "cross_engine": False,
        "started_at": "2026-01-01T00:00:00+00:00",
    }
    (place.var / "restores").mkdir()
    (place.var / "restores" / "20260101_000000.json").write_text(json.dumps(torn))
    refused = place.manage("up")
    assert refused.returncode != 0
    assert "--resume" in refused.stderr + refused.stdout
