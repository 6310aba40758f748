"""The supervisor with small commands for parts: what it does when they end, hang or talk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apps.core.running import supervising
from apps.core.running.processes import dying_with
from apps.core.running.supervising import Part, Plan, RotatingLog
from tests.servers import free_port

Supervise = Callable[..., subprocess.Popen[str]]
# Grace periods of a tenth, so that hanging parts do not hold up the tests.
HURRIED = (
    "import sys; from pathlib import Path; from apps.core.running import supervising as s;"
    "s.GRACE_SECONDS, s.VALKEY_GRACE_SECONDS = 0.75, 0.15;"
    "sys.exit(s.Supervisor(s.Plan.load(Path(sys.argv[1]))).run())"
)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Run a supervisor over shell commands, given by name. They begin when its welcome was read:
    what a part that ends at once says would otherwise come before it on a busy machine."""
    running = []
    welcomed = tmp_path / "welcomed"
    waits = f"until test -e {welcomed}; do sleep 0.02; done; "

    def start(**commands: str) -> subprocess.Popen[str]:
        plan = Plan(
            parts=[
                Part(name=name, command=["sh", "-c", waits + line])
                for name, line in commands.items()
            ],
            logs=str(tmp_path / "logs"),
            control=str(tmp_path / "control.sock"),
            welcome="welcome",
        )
        plan.save(tmp_path / "plan.json")
        process = subprocess.Popen(
            [sys.executable, "-c", HURRIED, str(tmp_path / "plan.json")],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=dying_with(os.getpid()),
            process_group=0,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "welcome\n"
        welcomed.touch()
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def _eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It never came true."
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _pid_in(file: Path) -> int:
    _eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def test_a_part_that_fails_at_once_again_and_again_backs_off_and_is_named(
    supervise: Supervise, tmp_path: Path
) -> None:
    process = supervise(broken="echo no luck; exit 3")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    log = tmp_path / "logs" / "broken.log"
    assert lines == [
        f"gator: broken ended (exit 3); starting it again. See {log}\n",
        f"gator: broken ended (exit 3); starting it again in 1 s. See {log}\n",
        f"gator: broken ended (exit 3); starting it again in 2 s. See {log}\n",
    ]
    assert log.read_text() == "no luck\n" * 3


def test_what_a_part_started_ends_with_it(supervise: Supervise, tmp_path: Path) -> None:
    file = tmp_path / "grandchild"
    # The second start must not write the file again.
    supervise(parent=f"test -e {file} || {{ sleep 600 & echo $! > {file}; exit 1; }}")
    grandchild = _pid_in(file)
    _eventually(lambda: not _alive(grandchild))


def test_a_part_that_ignores_the_signal_is_killed(supervise: Supervise, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    process = supervise(deaf=f"trap '' TERM; echo $$ > {file}; while :; do sleep 1; done")
    pid = _pid_in(file)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 0
    assert time.monotonic() - started >= 0.75
    assert not _alive(pid)


def test_kill_9_of_the_supervisor_takes_its_children_along(
    supervise: Supervise, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    process = supervise(child=f"echo $$ > {file}; exec sleep 600")
    pid = _pid_in(file)
    assert _alive(pid)
    process.kill()
    _eventually(lambda: not _alive(pid), 1)


def test_logs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "LOG_BYTES", 100)
    log = RotatingLog(tmp_path, "web")
    for number in range(50):
        log.write(f"line {number:02}\n".encode())
    log.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["web.log", "web.log.1", "web.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "web.log").read_text().endswith("line 49\n")


def test_the_web_goes_first_but_keeps_nobody_waiting_for_ever(tmp_path: Path) -> None:
    """After a restore people wait for a page; what starts beside it on few cores makes it late."""
    port = free_port()
    web = (
        "import socket, time; from pathlib import Path; time.sleep(1);"
        f"Path({str(tmp_path / 'open')!r}).touch();"
        f"s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"
    )
    looks = f"ls {tmp_path} > {tmp_path}/half; mv {tmp_path}/half {tmp_path}/seen; sleep 600"
    plan = Plan(
        parts=[
            Part(name="web", command=[sys.executable, "-c", web]),
            Part(name="work", command=["sh", "-c", looks]),
        ],
        logs=str(tmp_path / "logs"),
        control=str(tmp_path / "control.sock"),
        web=("127.0.0.1", port),
    )
    supervisor = supervising.Supervisor(plan)
    late = supervising.Supervisor(replace(plan, web=("127.0.0.1", free_port())))
    try:
        _eventually(lambda: _turned(supervisor) and (tmp_path / "seen").exists())
        assert "open" in (tmp_path / "seen").read_text().split()
        # A web that never opens its door holds up the others for so long only.
        late.children["web"].process = supervisor.children["web"].process
        late.children["web"].started_at = time.monotonic() - supervising.WEB_FIRST_SECONDS
        assert not late._web_goes_first(late.children["work"])
    finally:
        _put_away(supervisor)
        late.children["web"].process = None
        _put_away(late)


def _put_away(supervisor: supervising.Supervisor) -> None:
    supervisor.selector.close()
    for child in supervisor.children.values():
        child.log.close()
        if child.process is not None:
            child.process.kill()
            child.process.wait()
            assert child.process.stdout is not None
            child.process.stdout.close()


def _turned(supervisor: supervising.Supervisor) -> bool:
    supervisor._start_what_is_wanted()
    return True


def test_the_supervisor_never_imports_django() -> None:
    code = "import sys, apps.core.running.supervising; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
