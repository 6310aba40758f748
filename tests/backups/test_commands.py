"""The two commands as scripts see them: output, exit codes, and what a signal leaves behind."""

import fcntl
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyrage
import pytest
from django.core.management.base import BaseCommand
from pytest_django import Settings

from apps.backups.management.commands import backup, restore
from tests.backups.conftest import Home, Placed

COMMANDS: dict[str, type[BaseCommand]] = {"backup": backup.Command, "restore": restore.Command}


class Answer(NamedTuple):
    """What a command left: its exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Manage = Callable[..., Answer]


@pytest.fixture
def manage(home: Home, capsys: pytest.CaptureFixture[str]) -> Iterator[Manage]:
    """`manage("backup", "--list")` as the shell runs it, without the second a process needs."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(verb: str, *arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            COMMANDS[verb]().run_from_argv(["manage.py", verb, *arguments])
        said = capsys.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, handler)


def test_a_backup_says_its_name_and_is_listed(manage: Manage) -> None:
    made = manage("backup")
    name = made.out.strip()
    assert made.code == 0 and name.startswith("backup_") and made.out == f"{name}\n"
    listed = json.loads(manage("backup", "--list", "--json").out)
    assert [(each["name"], each["holds"]) for each in listed] == [(name, "all")]
    assert listed[0]["verified_at"]
    assert name in manage("backup", "--list").out
    verified = manage("backup", "--verify", "--all", "--json", "--quiet")
    assert (verified.code, json.loads(verified.out)) == (0, {name: ""})
    pruned = manage("backup", "--prune", "--dry-run", "--json")
    assert json.loads(pruned.out) == {"deleted": [], "dry_run": True}


def test_a_drill_proves_the_newest(manage: Manage) -> None:
    name = manage("backup").out.strip()
    assert json.loads(manage("backup", "--drill", "--json", "--quiet").out) == {"proven": name}
    assert json.loads(manage("backup", "--list", "--json").out)[0]["proven_at"]


def test_a_restore_reports_what_it_did(manage: Manage) -> None:
    name = manage("backup").out.strip()
    rehearsed = manage("restore", "latest", "--dry-run", "--json", "--quiet")
    assert rehearsed.code == 0 and json.loads(rehearsed.out)["restored"] is False
    done = manage("restore", name, "--yes", "--json", "--quiet")
    report = json.loads(done.out)
    assert (done.code, report["restored"], report["backup"]) == (0, True, name)
    undone = manage("restore", "--rollback", "--json", "--quiet")
    assert (undone.code, json.loads(undone.out)) == (0, {"rolled_back": name})


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (2, ["restore"]),
        (2, ["restore", "latest"]),
        (2, ["backup", "--encrypt"]),
        (2, ["backup", "--no-such-option"]),
        (2, ["backup", "--to", "nowhere"]),
        (10, ["restore", "backup_20010101_000000", "--yes"]),
        (10, ["restore", "--resume"]),
        (10, ["restore", "--rollback"]),
        (10, ["backup", "--verify", "backup_20010101_000000"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_has_its_code(
    manage: Manage, home: Home, code: int, arguments: list[str]
) -> None:
    if "latest" in arguments:
        # It is there, but nobody is here to confirm.
        home.back_up(what="content")
    answer = manage(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err


def test_warnings_are_an_exit_code_of_their_own(manage: Manage, home: Home) -> None:
    (home.content / "link").symlink_to("/etc/hostname")
    made = manage("backup", "--only", "content")
    assert made.code == 3 and made.out.startswith("backup_") and "left out: link" in made.err


def test_a_restore_with_warnings_is_done_and_says_so(manage: Manage, home: Home) -> None:
    (home.content / "link").symlink_to("/etc/hostname")
    name = manage("backup").out.strip()
    (home.content / "link").unlink()
    done = manage("restore", name, "--yes")
    assert done.code == 3
    assert f"Restored: {name}" in done.out and "warning: 1 files" in done.out


def test_what_fails_for_another_reason_is_exit_1(
    manage: Manage, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.backups.shelves.LocalShelf.free_bytes", lambda self: 1_000)
    failed = manage("backup")
    assert (failed.code, failed.out) == (1, "") and "free" in failed.err
    assert json.loads(manage("backup", "--json", "--quiet").err.splitlines()[-1])["exit"] == 1


@pytest.mark.parametrize("file", ["database.sql.gz", "content.tar.gz", "metadata.json"])
def test_one_missing_byte_is_exit_13(manage: Manage, home: Home, file: str) -> None:
    name = home.back_up().id
    path = home.backups / name / file
    path.write_bytes(path.read_bytes()[:-1])
    assert manage("backup", "--verify", name).code == 13
    assert manage("restore", name, "--yes").code == 13
    assert json.loads(manage("restore", name, "--yes", "--json", "--quiet").err)["exit"] == 13


def test_events_as_json(manage: Manage) -> None:
    events = manage("backup", "--only", "content", "--json")
    assert events.code == 0
    assert json.loads(events.out)["content"]["files"] == 3
    first = json.loads(events.err.splitlines()[0])
    assert first["event"] == "progress" and first["stage"] == "Content"


def test_the_log_does_not_say_it_again(manage: Manage, caplog: pytest.LogCaptureFixture) -> None:
    """Its lines would tear the progress, and come as a mail from every night's cron."""
    with caplog.at_level(logging.INFO):
        assert manage("backup", "--only", "content").code == 0
        assert caplog.messages == []
        assert manage("backup", "--to", "nowhere", "--quiet").code == 2
        quiet = manage("backup", "--quiet")
        assert (quiet.code, quiet.err) == (0, "")
        assert caplog.messages == [] and logging.getLogger().level == logging.INFO


def test_busy_while_another_runs(manage: Manage, home: Home) -> None:
    with (home.var / "backups.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert manage("backup").code == 11
        assert manage("restore", "--resume").code == 11


def test_the_wrong_key(manage: Manage, settings: Settings, tmp_path: Path) -> None:
    ours, other = (pyrage.x25519.Identity.generate() for _ in range(2))
    settings.BACKUP_AGE_RECIPIENTS = [str(ours.to_public())]
    assert manage("backup").code == 0
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    wrong.write_text(f"{other}\n")
    right.write_text(f"{ours}\n")
    assert manage("restore", "latest", "--yes").code == 12
    assert manage("restore", "latest", "--yes", "--identity", str(wrong)).code == 12
    assert manage("restore", "latest", "--yes", "--identity", str(right)).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up(placed: Placed, number: int) -> None:
    place = placed()
    (place.var / "content").mkdir(mode=0o700)
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
