"""A real Matrix server (Synapse) for the tests, from PyPI, and an account on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from apps.scheduling.publishers.base import Account
from tests.networks import servers

HERE = Path(__file__).parent / "matrix"


@contextmanager
def running(cache: Path, home: Path) -> Iterator[str]:
    """The address of an empty server, until the end of the block."""
    python = servers.installed(cache, "synapse", HERE / "requirements.txt")
    port = servers.free_port()
    config = servers.written(HERE / "homeserver.yaml", home, port)
    command = [str(python), "-m", "synapse.app.homeserver", "-c", str(config)]
    subprocess.run([*command, "--generate-keys"], check=True, timeout=60, cwd=home)
    address = f"http://localhost:{port}"
    with servers.running(command, home, answers=lambda: _answers(address)):
        yield address


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
