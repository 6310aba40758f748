"""Servers of other networks from PyPI: installed once, each into an environment of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from apps.core.running.processes import dying_with

START_SECONDS = 60


def installed(cache: Path, name: str, requirements: Path) -> Path:
    """The Python of a virtual environment that has these requirements, made on first use."""
    home, wanted = cache / name, requirements.read_text()
    stamp, python = home / "installed.txt", home / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=300)
        pip = [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        subprocess.run(pip, check=True, timeout=900)
        stamp.write_text(wanted)
    return python


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def written(template: Path, home: Path, port: int) -> Path:
    """A server's settings, with its place and its port filled in."""
    text = template.read_text().replace("@PORT@", str(port)).replace("@HOME@", str(home))
    path = home / template.name
    path.write_text(text)
    return path


@contextmanager
def running(command: Sequence[str], home: Path, *, answers: Callable[[], bool]) -> Iterator[None]:
    """The server until the end of the block, once it answers."""
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=home, stdout=log, stderr=log, preexec_fn=dying_with(os.getpid())
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if server.poll() is not None or time.monotonic() > deadline:
                said = (home / "log").read_text()[-2_000:]
                raise RuntimeError(f"{command[0]} did not start: {said}")
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
