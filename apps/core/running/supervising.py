"""The supervisor behind `manage.py up`: starts the parts, restarts what dies, stops in order.

`up` hands it a plan and becomes it by exec, so that Django's memory is left behind: nothing here
may import Django. One thread, one selector; children die with it (PR_SET_PDEATHSIG).
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from apps.core.running.processes import dying_with

# Everything is gone 10 s after Ctrl-C: parts get this long to end by themselves, Valkey the rest.
GRACE_SECONDS = 7.5
VALKEY_GRACE_SECONDS = 1.5
# So long the others wait for the web: on few cores, what starts beside it makes it late.
WEB_FIRST_SECONDS = 5
# A part that ran this long was fine: its next start comes at once again.
STEADY_SECONDS = 10
LONGEST_WAIT_SECONDS = 30
TICK_SECONDS = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_BYTES = 5_000_000
LOG_FILES = 3


@dataclass(kw_only=True)
class Part:
    """One child: how it is started, and whether it writes to the database."""

    name: str
    command: list[str]
    writes: bool = True


@dataclass(kw_only=True)
class Plan:
    """What `up` wants to run, as it passes through a file from Django to the supervisor."""

    parts: list[Part]
    logs: str
    control: str
    # Ready when these accept connections: Valkey's socket (else ""), the web's host and port.
    valkey: str = ""
    web: tuple[str, int] | None = None
    welcome: str = ""
    echo_logs: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        raw = json.loads(path.read_text())
        parts = [Part(**each) for each in raw.pop("parts")]
        web = raw.pop("web")
        return cls(parts=parts, web=(web[0], web[1]) if web else None, **raw)


class RotatingLog:
    """A part's output in NAME.log, NAME.log.1, ...: bounded, whatever the part says."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path = folder / f"{name}.log"
        self._open()

    def _open(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = self._path.stat().st_size

    def write(self, data: bytes) -> None:
        if self._size + len(data) > LOG_BYTES:
            self.close()
            for number in range(LOG_FILES - 1, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number - 1}")
                source = older if number > 1 else self._path
                if source.exists():
                    source.replace(self._path.with_name(f"{self._path.name}.{number}"))
            self._open()
        # A full disk must not end the studio; the lines are lost.
        with suppress(OSError):
            self._size += self._file.write(data)

    def close(self) -> None:
        self._file.close()


class Child:
    """A part with the process that runs it, if any."""

    def __init__(self, part: Part, log: RotatingLog) -> None:
        self.part = part
        self.log = log
        self.wanted = True
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_after = 0.0
        self.starts = 0
        self.quick_ends = 0
        self.kill_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None

    def status(self) -> dict[str, Any]:
        return {
            "pid": self.process.pid if self.process else None,
            "wanted": self.wanted,
            "starts": self.starts,
            "seconds": round(time.monotonic() - self.started_at, 1) if self.process else 0,
        }


class Supervisor:
    """Keeps a plan running until it is told to stop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.children = {
            part.name: Child(part, RotatingLog(Path(plan.logs), part.name)) for part in plan.parts
        }
        self.environment = os.environ | plan.environment
        self._die_with_us = dying_with(os.getpid())
        self.stopping = False
        self.stops_asked: list[bool] = []
        self.welcomed = False
        self.selector = selectors.DefaultSelector()
        # What is answered once a condition holds: a connection and its condition.
        self.waiting: list[tuple[socket.socket, Callable[[], bool]]] = []

    # -- The loop -------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until Ctrl-C or SIGTERM; 0 when everything ended within its time."""
        self._listen_to_signals()
        self._listen_to_control()
        while not self.stopping or any(child.alive for child in self.children.values()):
            self._obey_signals()
            self._start_what_is_wanted()
            for key, _ in self.selector.select(TICK_SECONDS):
                cast(Callable[[Any], None], key.data)(key.fileobj)
            self._collect_what_ended()
            self._kill_what_lingers()
            self._answer_what_is_settled()
            self._welcome_once()
        Path(self.plan.control).unlink(missing_ok=True)
        return 0

    def _listen_to_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._signals = (reader, writer)
        # SIGCHLD only has to end the select() early.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: self.stops_asked.append(True))
        # `up` held them back while it turned into us.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        self.selector.register(reader, selectors.EVENT_READ, self._drain)

    @staticmethod
    def _drain(reader: socket.socket) -> None:
        reader.recv(4096)

    def _obey_signals(self) -> None:
        # Not in the handler: that may run while a part is being started, and would miss it.
        while self.stops_asked:
            self.stops_asked.pop()
            self._stop()

    def _say(self, text: str) -> None:
        try:
            print(text, flush=True)  # noqa: T201
        except OSError:
            # The terminal is gone; SIGHUP, if it comes, says what to do.
            return

    def _welcome_once(self) -> None:
        if self.welcomed or self.stopping or not self._valkey_answers():
            return
        if self.plan.web is None or _accepts(self.plan.web):
            self.welcomed = True
            self._say(self.plan.welcome)

    # -- Starting -------------------------------------------------------------------------------

    def _start_what_is_wanted(self) -> None:
        if self.stopping:
            return
        now = time.monotonic()
        for child in self.children.values():
            if not child.wanted or child.alive or now < child.start_after:
                continue
            # Workers that start before their broker only fill their logs.
            if child.part.name != "valkey" and not self._valkey_answers():
                continue
            if not self._web_goes_first(child):
                self._start(child)

    def _web_goes_first(self, child: Child) -> bool:
        """Whether the web is just starting: people wait for it, and for nothing else."""
        web = self.children.get("web")
        if self.plan.web is None or web is None or child in (web, self.children.get("valkey")):
            return False
        just_started = web.alive and time.monotonic() - web.started_at < WEB_FIRST_SECONDS
        return just_started and not _accepts(self.plan.web)

    def _valkey_answers(self) -> bool:
        if not self.plan.valkey:
            return True
        return self.children["valkey"].alive and _accepts(self.plan.valkey)

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(
            child.part.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=self._die_with_us,
        )
        child.started_at = time.monotonic()
        child.starts += 1
        child.kill_at = None
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self.selector.register(
            child.process.stdout, selectors.EVENT_READ, lambda pipe: self._copy(child, pipe)
        )

    def _copy(self, child: Child, pipe: Any) -> None:
        """Take what the part has written; the pipe's end is noticed but decides nothing."""
        try:
            data = os.read(pipe.fileno(), 65_536)
        except BlockingIOError:
            return
        if not data:
            self.selector.unregister(pipe)
            pipe.close()
            return
        child.log.write(data)
        if self.plan.echo_logs:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()

    # -- Ending ---------------------------------------------------------------------------------

    def _collect_what_ended(self) -> None:
        for child in self.children.values():
            if child.process is None or (code := child.process.poll()) is None:
                continue
            # Its own children are in its group; none of them outlives it.
            _signal_group(child.process.pid, signal.SIGKILL)
            child.process = None
            if self.stopping or not child.wanted:
                continue
            lived = time.monotonic() - child.started_at
            child.quick_ends = 0 if lived > STEADY_SECONDS else child.quick_ends + 1
            # The first restart comes at once; then 1, 2, 4, ... seconds.
            pause = min(2 ** (child.quick_ends - 2), LONGEST_WAIT_SECONDS)
            pause = pause if child.quick_ends > 1 else 0
            child.start_after = time.monotonic() + pause
            how = f"killed by signal {-code}" if code < 0 else f"exit {code}"
            again = f"starting it again in {pause} s" if pause else "starting it again"
            log = Path(self.plan.logs) / f"{child.part.name}.log"
            self._say(f"gator: {child.part.name} ended ({how}); {again}. See {log}")

    def _end(self, child: Child, seconds: float) -> None:
        if child.process is not None and child.kill_at is None:
            child.kill_at = time.monotonic() + seconds
            child.process.terminate()

    def _kill_what_lingers(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.process is not None and child.kill_at is not None and now > child.kill_at:
                _signal_group(child.process.pid, signal.SIGKILL)
        others = [child for name, child in self.children.items() if name != "valkey"]
        if self.stopping and not any(child.alive for child in others):
            # Last: what the others put back into their queues has to reach it.
            for child in self.children.values():
                self._end(child, VALKEY_GRACE_SECONDS)

    def _stop(self) -> None:
        if self.stopping:
            # Pressed twice: whoever is impatient gets it now.
            for child in self.children.values():
                child.kill_at = 0.0
            return
        self.stopping = True
        self._say("gator: stopping ...")
        for name, child in self.children.items():
            if name != "valkey":
                self._end(child, GRACE_SECONDS)

    # -- Control --------------------------------------------------------------------------------

    def _listen_to_control(self) -> None:
        path = Path(self.plan.control)
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            server.bind(str(path))
        finally:
            os.umask(before)
        server.listen(8)
        server.setblocking(False)
        self.selector.register(server, selectors.EVENT_READ, self._accept)

    def _accept(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ, self._read)

    def _read(self, connection: socket.socket) -> None:
        """One request is one short line, {"do": "..."}; it arrives whole or is refused."""
        try:
            line = connection.recv(4096)
        except OSError:
            line = b""
        self.selector.unregister(connection)
        try:
            verb = json.loads(line)["do"] if line else None
        except (ValueError, KeyError, TypeError):
            verb = None
        writers = [child for child in self.children.values() if child.part.writes]
        if verb == "stop-writers":
            for child in writers:
                child.wanted = False
                self._end(child, GRACE_SECONDS)
            self.waiting.append((connection, lambda: not any(each.alive for each in writers)))
        elif verb == "start-writers" and not self.stopping:
            for child in writers:
                child.wanted, child.start_after, child.quick_ends = True, 0.0, 0
            self.waiting.append(
                (connection, lambda: all(each.alive and each.kill_at is None for each in writers))
            )
        elif verb == "status":
            self._answer(connection, ok=True)
        else:
            self._answer(connection, ok=False, error='Say {"do": "status"} or stop-writers.')

    def _answer_what_is_settled(self) -> None:
        for connection, settled in list(self.waiting):
            if settled():
                self.waiting.remove((connection, settled))
                self._answer(connection, ok=True)

    def _answer(self, connection: socket.socket, **answer: Any) -> None:
        parts = {name: child.status() for name, child in self.children.items()}
        with suppress(OSError):
            connection.sendall(json.dumps({**answer, "parts": parts}).encode() + b"\n")
        connection.close()


def _accepts(address: str | tuple[str, int]) -> bool:
    """Whether somebody listens at a unix socket's path or at a host and port."""
    family = socket.AF_UNIX
    if not isinstance(address, str):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(address) == 0


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    sys.exit(Supervisor(Plan.load(Path(sys.argv[1]))).run())
