"""Gator's processes under the hand of a test that kills them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import redis

from apps.core.running.processes import dying_with
from gator import valkey

ROOT = Path(__file__).resolve().parents[2]
CELERY = [sys.executable, "-m", "celery", "-A", "gator"]
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]


class Process:
    """One process that can be killed and started again."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path) -> None:
        self.name, self.command, self.env, self.log = name, command, env, log
        self.popen: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    def start(self) -> "Process":
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=dying_with(os.getpid()),
                process_group=0,
            )
        self.started_at = time.monotonic()
        return self

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.popen is not None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def age(self) -> float:
        return time.monotonic() - self.started_at

    def tail(self) -> str:
        return f"--- {self.name}\n{self.log.read_text(errors='replace')[-2000:]}"


class House:
    """Valkey, publishing workers, beat and web of one installation, and the stand-in network."""

    def __init__(self, folder: Path, *, database_url: str, network_port: int, web_port: int):
        self.folder = folder
        self.var = folder / "var"
        self.var.mkdir(mode=0o700, exist_ok=True)
        self.web_port = web_port
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "GATOR_ENV_FILE": os.devnull,
            "GATOR_VAR": str(self.var),
            "GATOR_BIND": f"127.0.0.1:{web_port}",
            "DATABASE_URL": database_url,
            "STANDIN_URL": f"http://127.0.0.1:{network_port}",
            "THROTTLE_USER": "100000/min",
            "THROTTLE_SIGN_IN": "1000/min",
        }
        self.network_port = network_port
        self.all: list[Process] = []

    def add(self, name: str, command: list[str]) -> Process:
        process = Process(name, command, self.env, self.folder / f"{name}.log").start()
        self.all.append(process)
        return process

    def network(self, rudeness: float) -> Process:
        module = [sys.executable, "-m", "tests.faults.network"]
        return self.add("network", [*module, str(self.network_port), str(rudeness)])

    def valkey(self) -> Process:
        binary = valkey.server_binary()
        assert binary is not None
        process = self.add("valkey", valkey.server_command(self.var, binary))
        client = self.redis()
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        return process

    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(valkey.embedded_url(self.var))

    def publisher(self, number: int = 1) -> Process:
        name = f"publish{number}"
        queue = ["-Q", "publishing", "-P", "threads", "-c", "16", "-n", f"{name}@%h"]
        return self.add(name, [*CELERY, "worker", *queue, *QUIET])

    def worker(self) -> Process:
        queue = ["-Q", "work,replies", "-P", "threads", "-c", "4", "-n", "work@%h"]
        return self.add("work", [*CELERY, "worker", *queue, *QUIET])

    def beat(self) -> Process:
        # Killed beats leave their pid file; the lease is what keeps them apart.
        return self.add("beat", [*CELERY, "beat", "-l", "INFO", "--pidfile="])

    def web(self) -> Process:
        uvicorn = [sys.executable, "-m", "uvicorn", "gator.asgi:application", "--no-access-log"]
        return self.add("web", [*uvicorn, "--port", str(self.web_port)])

    def chat_web(self, number: int, port: int) -> Process:
        """A web process as `up` starts it, one of several."""
        uvicorn = [sys.executable, "-m", "uvicorn", "gator.asgi:application", "--no-access-log"]
        wire = ["--ws", "apps.chat.wire:GatorProtocol", "--ws-per-message-deflate", "false"]
        return self.add(f"chat{number}", [*uvicorn, *wire, "--port", str(port)])

    def flood(self, count: int) -> None:
        """Fill the queue of long work with tasks that find nothing to do."""
        program = (
            "from gator.celery import app\n"
            f"for _ in range({count}): app.send_task('resend_alerts', queue='work')"
        )
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=self.env, check=True)

    def end(self) -> None:
        for process in self.all:
            if process.popen is not None and process.popen.poll() is None:
                process.kill()

    def tails(self) -> str:
        return "\n".join(process.tail() for process in self.all)
