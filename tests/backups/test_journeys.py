"""A whole studio's way back, in its own processes."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from apps.core import keyring
from apps.core.models import User
from apps.scheduling.models import Delivery, SocialAccount
from gator.valkey import run_dir
from tests.backups.conftest import TOOLS, Home, Placed
from tests.studio import Studio

PASSWORD = "correct horse battery staple"


class Ada:
    """The superuser at the API of a running studio."""

    def __init__(self, studio: Studio) -> None:
        self._client = httpx.Client(trust_env=False, base_url=studio.url, timeout=20)
        answer = self._client.post(
            "/api/v1/auth/token/", json={"username": "ada", "password": PASSWORD}
        )
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access']}"

    def __enter__(self) -> "Ada":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self._client.request(method, f"/api/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def delivery(self, post: str) -> Any:
        [found] = self.ask("GET", f"deliveries/?post={post}")["results"]
        return found


def _wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _in(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_everything_destroyed_an_empty_machine_goes_on(
    home: Home, new_studio: Callable[[], Studio], tmp_path: Path
) -> None:
    """The backup, the credential key's own copy, one command: the released post goes out.

    Then once more under the running `up`, which stops those who write and brings them back.
    """
    hashed = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1_000)
    User.objects.filter(username="ada").update(password=hashed, is_staff=True)
    account = SocialAccount.objects.get()
    account.credentials = {"token": "sealed with a key that no backup holds"}
    account.save()
    post = str(Delivery.objects.filter(post__text="plain").get().post_id)
    made = home.back_up()
    files = home.files()
    brought = tmp_path / "brought" / made.id
    shutil.copytree(home.backups / made.id, brought)

    studio = new_studio()
    studio.environment |= TOOLS
    keys = studio.var / "keys"
    keys.mkdir(mode=0o700, parents=True)
    studio.var.chmod(0o700)
    shutil.copy(keyring.key_file(), keys / "credential_keys")
    restored = studio.manage("restore", str(brought), "--yes", "--json", "--quiet")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["restored"]
    assert Home(studio.var, home.place).files() == files

    studio.start()
    with Ada(studio) as ada:
        held = ada.delivery(post)
        assert held["state"] == "held"
        ada.ask("POST", f"deliveries/{held['id']}/release/", {})
        ada.ask("PATCH", f"posts/{post}/", {"scheduled_at": _in(1)})
        _wait_for(lambda: bool(ada.delivery(post)["state"] == "published"))

    again = studio.manage("restore", str(brought), "--yes", "--json", "--quiet")
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["restored"] and report["safety"]
    # Web, workers and beat end in order, change houses, and come back.
    assert report["outage_seconds"] < 10
    _wait_for(studio.is_ready)
    with Ada(studio) as ada:
        assert ada.delivery(post)["state"] == "held", "back before it was published"


def test_up_saves_before_it_migrates(placed: Placed) -> None:
    place = placed(release="previous")
    up = place.spawn()
    _wait_for(lambda: "backed up as backup_" in place.said() or up.poll() is not None)
    assert up.poll() is None, place.said()
    [name] = [path.name for path in (place.var / "backups").glob("backup_*")]
    manifest = json.loads((place.var / "backups" / name / "metadata.json").read_text())
    assert manifest["kind"] == "before_migration"
    # Listed in the table as soon as there is one: before anything runs.
    _wait_for((run_dir(place.var) / "control.sock").exists)
    look = "from apps.backups.models import BackupRun; print(BackupRun.objects.get().name)"
    assert place.manage("shell", "-v", "0", "-c", look).stdout.strip() == name


def test_up_waits_for_a_torn_restore(placed: Placed) -> None:
    place = placed()
    torn = {
        "id": "20260101_000000",
        "backup": "backup_20260101_000000",
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
