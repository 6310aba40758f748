"""A real Matrix server (Synapse) for the tests, from PyPI, and an account on it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from apps.core.processes import dying_with
from apps.scheduling.publishers.base import Account

HERE = Path(__file__).parent / "matrix"
START_SECONDS = 60


def installed(cache: Path) -> Path:
    """The Python of a virtual environment that has Synapse, made on first use."""
    home, wanted = cache / "synapse", (HERE / "requirements.txt").read_text()
    stamp, python = home / "installed.txt", home / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=300)
        requirements = str(HERE / "requirements.txt")
        pip = [str(python), "-m", "pip", "install", "--quiet", "-r", requirements]
        subprocess.run(pip, check=True, timeout=900)
        stamp.write_text(wanted)
    return python


@contextmanager
def running(python: Path, home: Path) -> Iterator[str]:
    """The address of an empty server, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = (HERE / "homeserver.yaml").read_text()
    for name, value in {"@PORT@": str(port), "@HOME@": str(home)}.items():
        config = config.replace(name, value)
    (home / "homeserver.yaml").write_text(config)
    command = [str(python), "-m", "synapse.app.homeserver", "-c", str(home / "homeserver.yaml")]
    subprocess.run([*command, "--generate-keys"], check=True, timeout=60, cwd=home)
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=home, stdout=log, stderr=log, preexec_fn=dying_with(os.getpid())
        )
    address = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Synapse did not start: {(home / 'log').read_text()[-2_000:]}")
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/_matrix/client/versions", timeout=2).is_success
    except httpx.HTTPError:
        return False


class Member:
    """One account on the server, and a room that it made."""

    def __init__(self, server: str, name: str) -> None:
        self.server, self.name = server, name
        given = {"username": name, "password": "main password", "auth": {"type": "m.login.dummy"}}
        answer = self._call("POST", "register", given)
        self.user, self.token = str(answer["user_id"]), str(answer["access_token"])
        self.room = str(self._call("POST", "createRoom", {"preset": "public_chat"})["room_id"])

    def _call(self, method: str, path: str, given: Any = None) -> Any:
        token = getattr(self, "token", "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.server}/_matrix/client/v3/{path}"
        return httpx.request(method, url, json=given, headers=headers).raise_for_status().json()

    def sign_in_again(self) -> None:
        """Another device, with another token."""
        identifier = {"type": "m.id.user", "user": self.name}
        given = {"type": "m.login.password", "identifier": identifier, "password": "main password"}
        self.token = str(self._call("POST", "login", given)["access_token"])

    @property
    def credentials(self) -> dict[str, str]:
        return {"access_token": self.token, "room": self.room}

    @property
    def account(self) -> Account:
        """As a worker gets it."""
        return Account(id="1", handle=self.user, server=self.server, credentials=self.credentials)

    def messages(self) -> list[dict[str, Any]]:
        """Every message in the room, oldest first."""
        path = f"rooms/{quote(self.room, safe='')}/messages?dir=f&limit=1000"
        events = self._call("GET", path)["chunk"]
        return [event for event in events if event["type"] == "m.room.message"]

    def picture(self, address: str) -> bytes:
        """An uploaded picture as the room's members load it."""
        url = f"{self.server}/_matrix/client/v1/media/download/{address.removeprefix('mxc://')}"
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(url, headers=headers).raise_for_status().content
