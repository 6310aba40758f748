"""`manage.py up` as a person meets it: it starts, heals, refuses, stops, and leaves nothing."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.settings import TESTS_DATABASE
from tests.studio import ROOT, Studio

NewStudio = Callable[[], Studio]
WORKERS = {"publish", "work"} | ({"publish2", "replies"} if TESTS_DATABASE == "postgres" else set())


def _eventually(holds: Callable[[], Any], seconds: float) -> float:
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"Not true within {seconds} s."
        time.sleep(0.02)
    return time.monotonic() - started


def _mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def _get(studio: Studio, path: str, **headers: str) -> httpx.Response:
    return httpx.get(studio.url + path, headers=headers, trust_env=False, timeout=10)


def _beats_that_ticked(studio: Studio) -> int:
    return (studio.var / "logs" / "beat.log").read_text().count("this beat ticks")


# -- A studio that runs -------------------------------------------------------------------------


def test_every_part_runs_and_nobody_else_may_look(studio: Studio) -> None:
    status = studio.ask("status")
    assert status["ok"]
    assert set(status["parts"]) == {"valkey", "web", "beat"} | WORKERS
    assert _mode(studio.var) == "0o700"
    assert _mode(studio.var / "run" / "control.sock") == "0o600"
    assert _mode(studio.var / "logs" / "web.log") == "0o600"


@pytest.mark.parametrize("slash", ["", "/"])
def test_health_and_readiness(studio: Studio, slash: str) -> None:
    assert _get(studio, f"/healthz{slash}").text == "ok\n"
    answer = _get(studio, f"/readyz{slash}")
    assert answer.status_code == 200
    assert {name for name, part in answer.json()["parts"].items() if part["ok"]} == {
        "database",
        "redis",
        "migrations",
        "beat",
        "workers",
    }


def test_writers_stop_and_start_for_a_restore_and_beats_take_turns(studio: Studio) -> None:
    log = studio.var.parent / "second-beat.log"
    with log.open("wb") as output:
        second = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "gator", "beat", "--pidfile="],
            cwd=ROOT,
            env=studio.environment | {"LOG_LEVEL": "DEBUG"},
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        # Long enough for two ticks of what runs every 2 s.
        _eventually(lambda: b"beat: Starting" in log.read_bytes(), 10)
        time.sleep(4)
        assert b"Sending due task" not in log.read_bytes()

        stopped = studio.ask("stop-writers")
        alive = {name for name, part in stopped["parts"].items() if part["pid"]}
        assert alive == {"valkey"}
        with pytest.raises(httpx.ConnectError):
            _get(studio, "/healthz")
        _eventually(lambda: b"Sending due task" in log.read_bytes(), 5)
    finally:
        second.terminate()
        second.wait(timeout=10)
    assert studio.ask("start-writers")["ok"]
    _eventually(studio.is_ready, 40)


@pytest.mark.parametrize("part", ["web", "publish", "beat", "valkey"])
def test_a_killed_child_is_back_within_two_seconds(studio: Studio, part: str) -> None:
    before, ticking = studio.ask("status")["parts"][part]["pid"], _beats_that_ticked(studio)
    os.kill(before, signal.SIGKILL)
    _eventually(lambda: studio.ask("status")["parts"][part]["pid"] not in (None, before), 2)
    _eventually(studio.is_ready, 40)
    if part == "beat":
        # Ready by the dead one's last sign of life, it is only now at work.
        _eventually(lambda: _beats_that_ticked(studio) > ticking, 20)


def test_a_second_up_says_that_one_is_running(studio: Studio) -> None:
    assert studio.up is not None
    second = studio.manage("up")
    assert second.returncode == 2
    assert second.stderr == (
        f"gator: Gator is running already in {studio.var} (process {studio.up.pid}).\n"
    )


def test_an_occupied_port_is_one_clear_line(studio: Studio, tmp_path: Path) -> None:
    other = studio.manage("up", GATOR_VAR=str(tmp_path / "var"))
    assert other.returncode == 2
    assert other.stderr == (
        f"gator: Cannot listen on 127.0.0.1:{studio.port}: Address already in use. "
        "End what uses it, or set GATOR_BIND to another HOST:PORT.\n"
    )


def test_an_unknown_request_is_refused(studio: Studio) -> None:
    assert not studio.ask("dance")["ok"]


# -- From the first start to the last -----------------------------------------------------------


def test_first_start_second_start_and_both_ends(new_studio: NewStudio) -> None:
    studio = new_studio()
    # Far beyond what an AF_UNIX address can hold.
    studio.var = studio.var.parent / ("long" * 30) / "var"
    studio.environment |= {"GATOR_VAR": str(studio.var), "GATOR_DEMO": "1"}
    del studio.environment["GATOR_ADMIN_PASSWORD"]

    studio.start()
    said = studio.output.read_text()
    file = studio.var / "admin_password"
    assert f"Password  {file.read_text().strip()}   (also in {file})" in said
    assert f"Watch     {studio.url}/wall/luna/" in said
    assert _mode(file) == "0o600"
    assert studio.stop() < 10
    assert studio.processes() == {}

    studio.start()
    said = studio.output.read_text()
    assert file.read_text().strip() not in said
    assert f"at first the one in {file}" in said
    assert studio.up is not None
    studio.up.kill()
    _eventually(lambda: studio.processes() == {}, 2)


def test_parts_alone_for_several_machines(studio: Studio, tmp_path: Path) -> None:
    shared = {
        "GATOR_VAR": str(tmp_path / "var"),
        "REDIS_URL": f"unix://{studio.var}/run/valkey.sock?db=0",
        "DATABASE_URL": studio.environment.get(
            "DATABASE_URL", f"sqlite:///{studio.var}/gator.sqlite3"
        ),
    }
    said = tmp_path / "said"
    with said.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--only", "worker", "--logs"],
            cwd=ROOT,
            env=studio.environment | shared,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        _eventually(lambda: "Gator's worker run." in said.read_text(), 20)
        children = Path(f"/proc/{up.pid}/task/{up.pid}/children")
        assert len(children.read_text().split()) == len(WORKERS)
        # Every part's lines come through, for journald and its like.
        _eventually(lambda: said.read_text().count(" ready.") == len(WORKERS), 20)
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(timeout=10) == 0


# -- What it refuses ----------------------------------------------------------------------------


@pytest.fixture
def refused(new_studio: NewStudio) -> Callable[..., str]:
    """What `up` says when settings keep it from starting: one line, exit 2."""

    def attempt(**changed: str) -> str:
        answer = new_studio().manage("up", **changed)
        assert answer.returncode == 2, answer.stderr
        assert answer.stderr.startswith("gator: ") and answer.stderr.count("\n") == 1
        return answer.stderr

    return attempt


def test_a_folder_that_cannot_be_written(refused: Callable[..., str], tmp_path: Path) -> None:
    # Root may write everywhere, but not below a file.
    (tmp_path / "file").touch()
    assert "cannot make" in refused(GATOR_VAR=str(tmp_path / "file" / "var"))


def test_bad_settings(refused: Callable[..., str]) -> None:
    assert "DEBUG='perhaps'" in refused(DEBUG="perhaps")


def test_a_database_that_does_not_answer(refused: Callable[..., str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = refused(DATABASE_URL=f"postgres://gator:hush@127.0.0.1:{port}/gator")
    assert "The database does not answer" in said
    assert "hush" not in said


def test_a_redis_that_does_not_answer(refused: Callable[..., str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert "REDIS_URL: no answer" in refused(REDIS_URL=f"redis://:hush@127.0.0.1:{port}/0")
