"""Backups on another machine by SFTP, with nothing but settings: a real server on loopback."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from apps.backups.errors import BackupError
from apps.backups.objects import ObjectShelf
from apps.backups.progress import Progress
from apps.backups.shelves import shelf_of
from apps.backups.verifying import Backup, verify
from tests.backups.conftest import Home

paramiko = pytest.importorskip("paramiko")
_Server: Any = paramiko.ServerInterface
_Files: Any = paramiko.SFTPServerInterface
_File: Any = paramiko.SFTPHandle

NAME, PASSWORD = "gator", "correct horse"


class Doorkeeper(_Server):  # type: ignore[misc]
    """Lets one user in."""

    def check_auth_password(self, username: str, password: str) -> int:
        known = (username, password) == (NAME, PASSWORD)
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class Folder(_Files):  # type: ignore[misc]
    """A folder of this machine, as an SFTP server shows it."""

    root = Path()
    # So many bytes are taken before the disk is full; None: any number.
    room: int | None = None

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def list_folder(self, path: str) -> Any:
        try:
            found = sorted(self._at(path).iterdir())
        except FileNotFoundError:
            return paramiko.SFTP_NO_SUCH_FILE
        return [paramiko.SFTPAttributes.from_stat(each.stat(), each.name) for each in found]

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(self._at(path).stat())
        except FileNotFoundError:
            return paramiko.SFTP_NO_SUCH_FILE

    lstat = stat

    def open(self, path: str, flags: int, attributes: Any) -> Any:
        try:
            descriptor = os.open(self._at(path), flags, 0o600)
        except FileNotFoundError:
            return paramiko.SFTP_NO_SUCH_FILE
        file = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
        handle = Handle(flags)
        handle.readfile = handle.writefile = file
        return handle

    def _done(self, verb: Any, path: str) -> int:
        try:
            verb(self._at(path))
        except FileNotFoundError:
            return int(paramiko.SFTP_NO_SUCH_FILE)
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno))
        return int(paramiko.SFTP_OK)

    def remove(self, path: str) -> int:
        return self._done(os.unlink, path)

    def mkdir(self, path: str, attributes: Any) -> int:
        return self._done(os.mkdir, path)

    def rmdir(self, path: str) -> int:
        return self._done(os.rmdir, path)

    def chattr(self, path: str, attributes: Any) -> int:
        return self._done(lambda at: os.chmod(at, attributes.st_mode & 0o777), path)


class Handle(_File):  # type: ignore[misc]
    """An open file on a disk that may be full."""

    def write(self, offset: int, data: bytes) -> Any:
        if Folder.room is not None:
            Folder.room -= len(data)
            if Folder.room < 0:
                return paramiko.SFTP_FAILURE
        return super().write(offset, data)


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where the server listens; what it stores lies in tmp_path/elsewhere."""
    (tmp_path / "elsewhere" / "studio").mkdir(parents=True)
    monkeypatch.setattr(Folder, "root", tmp_path / "elsewhere")
    monkeypatch.setattr(Folder, "room", None)
    key = paramiko.RSAKey.generate(2048)
    listening = socket.create_server(("127.0.0.1", 0))
    open_ones: list[Any] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Folder)
            transport.start_server(server=Doorkeeper())
            open_ones.append(transport)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
    for transport in open_ones:
        transport.close()


@pytest.fixture
def sftp(home: Home, port: int, settings: Settings, tmp_path: Path) -> Iterator[ObjectShelf]:
    # As the environment gives them; gator.env.storage_option gives them their types.
    settings.SFTP_STORAGE_HOST = "127.0.0.1"
    settings.SFTP_STORAGE_ROOT = "studio"
    settings.SFTP_STORAGE_PARAMS = {
        "username": NAME, "password": PASSWORD, "port": port,
        "allow_agent": False, "look_for_keys": False,
    }  # fmt: skip
    settings.SFTP_KNOWN_HOST_FILE = str(tmp_path / "known_hosts")
    settings.SFTP_STORAGE_DIR_MODE = 0o700
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {"BACKEND": "storages.backends.sftpstorage.SFTPStorage"},
    }
    shelf = shelf_of()
    assert isinstance(shelf, ObjectShelf)
    yield shelf
    shelf._storage.close()


def test_there_and_back(home: Home, sftp: ObjectShelf, tmp_path: Path) -> None:
    posts, files = home.posts(), home.files()
    made = home.back_up()
    folder = tmp_path / "elsewhere" / "studio" / made.id
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == [
        "content.tar.gz",
        "database.sql.gz",
        "metadata.json",
    ]
    verify(Backup.at(sftp, made.id), Progress())
    (home.content / "notes – ünï.txt").unlink()
    assert home.restore(made.id).restored
    assert (home.posts(), home.files()) == (posts, files)


def test_deleted_nothing_of_it_stays_there(home: Home, sftp: ObjectShelf, tmp_path: Path) -> None:
    sftp.delete(home.back_up(what="content").id)
    assert list((tmp_path / "elsewhere" / "studio").iterdir()) == []
    assert sftp.sweep() == []


def test_a_disk_that_is_full_there_leaves_nothing(
    home: Home, sftp: ObjectShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = home.back_up(what="content").id
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(Folder, "room", 1_000)
    with pytest.raises(BackupError, match="Storing"):
        home.back_up()
    assert sftp.names() == [first]
    assert [path.name for path in (tmp_path / "elsewhere" / "studio").iterdir()] == [first]
