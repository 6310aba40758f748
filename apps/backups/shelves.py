"""Where backups lie: a folder here, or any storage that django-storages knows.

A shelf lists finished backups only. On both kinds a backup appears at once and whole: a folder by
one rename, an object store by its metadata.json, which is stored last.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog
from django.core.files.storage import FileSystemStorage, InvalidStorageError, storages

from apps.backups import disk, manifest
from apps.backups.errors import BackupError, BadRequest, NotFound
from apps.backups.streams import CHUNK, Chunks

log = structlog.get_logger(__name__)

PARTIAL = ".partial-"
DELETED = ".deleted-"


class Draft(Protocol):
    """A backup being written; nobody sees it before `commit`."""

    def put(self, name: str, chunks: Chunks) -> None:
        """Store one archive."""

    def read(self, name: str) -> Iterator[bytes]:
        """Read an archive back from where it is stored."""

    def commit(self, metadata: bytes) -> None:
        """Make the backup exist."""

    def abort(self) -> None:
        """Leave nothing behind."""


class Shelf(Protocol):
    """A place that keeps backups."""

    where: str

    def names(self) -> list[str]:
        """Finished backups, oldest first."""

    def begin(self, name: str) -> Draft:
        """Start a backup of that name."""

    def exists(self, name: str) -> bool:
        """Whether anything of that name, finished or not, lies here."""

    def read(self, name: str, file: str) -> Iterator[bytes]:
        """A file of a finished backup."""

    def delete(self, name: str) -> None:
        """Remove a backup; it is unlisted before its first archive goes."""

    def sweep(self) -> list[str]:
        """Remove what killed backups left behind; only the holder of the backup lock may."""

    def free_bytes(self) -> int | None:
        """Room for more, where that can be known."""


def read_manifest(shelf: Shelf, name: str) -> manifest.Manifest:
    """The checked manifest of a finished backup."""
    raw = b""
    for chunk in shelf.read(name, manifest.FILE_NAME):
        raw += chunk
        if len(raw) > manifest.LARGEST:
            raise BackupError(f"{name}: metadata.json is larger than any real one.")
    return manifest.Manifest.from_bytes(raw)


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LocalShelf:
    """A folder of folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)

    def names(self) -> list[str]:
        found = []
        for entry in sorted(self.folder.glob("backup_*")):
            with suppress(NotFound):
                manifest.checked_name(entry.name)
                if (entry / manifest.FILE_NAME).is_file():
                    found.append(entry.name)
        return found

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists() or (self.folder / f"{PARTIAL}{name}").exists()

    def begin(self, name: str) -> "LocalDraft":
        return LocalDraft(self.folder, manifest.checked_name(name))

    def read(self, name: str, file: str) -> Iterator[bytes]:
        path = self.folder / manifest.checked_name(name) / file
        if not path.is_file():
            raise NotFound(f"{name} has no {file} in {self.folder}.")
        return _chunks_of(path)

    def delete(self, name: str) -> None:
        path = self.folder / manifest.checked_name(name)
        doomed = self.folder / f"{DELETED}{name}"
        with suppress(FileNotFoundError):
            path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def sweep(self) -> list[str]:
        swept = []
        for entry in self.folder.glob(".*"):
            if entry.name.startswith((PARTIAL, DELETED)):
                shutil.rmtree(entry, ignore_errors=True)
                swept.append(entry.name)
        return swept

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self.folder).free


class LocalDraft:
    """A hidden folder that a rename makes visible."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._final = folder / name
        self._path = folder / f"{PARTIAL}{name}"
        self._path.mkdir(mode=0o700)

    def put(self, name: str, chunks: Chunks) -> None:
        disk.write(self._path / name, chunks)

    def read(self, name: str) -> Iterator[bytes]:
        return disk.read(self._path / name)

    def commit(self, metadata: bytes) -> None:
        self.put(manifest.FILE_NAME, [metadata])
        _fsync_folder(self._path)
        # Fails rather than overwrites: a finished backup's folder is never empty.
        self._path.rename(self._final)
        _fsync_folder(self._folder)

    def abort(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def shelf_of(alias: str = "backups") -> Shelf:
    """The shelf behind an entry of settings.STORAGES."""
    try:
        storage = storages[alias]
    except InvalidStorageError as error:
        raise BadRequest(f"There is no storage {alias!r} in STORAGES: {error}") from None
    if isinstance(storage, FileSystemStorage):
        folder = Path(storage.location)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalShelf(folder)
    from apps.backups.objects import ObjectShelf

    return ObjectShelf(storage, alias)


def found(name: str, alias: str = "backups") -> tuple[Shelf, str]:
    """The shelf and name behind what somebody typed: a name, `latest`, or a backup's path."""
    if "/" in name or (name not in ("", "latest") and Path(name).is_dir()):
        path = Path(name).expanduser().resolve()
        if not (path / manifest.FILE_NAME).is_file():
            raise NotFound(f"{path} holds no finished backup: there is no metadata.json.")
        return LocalShelf(path.parent), manifest.checked_name(path.name)
    shelf = shelf_of(alias)
    if name == "latest":
        names = shelf.names()
        if not names:
            raise NotFound(f"There is no backup in {shelf.where}.")
        return shelf, names[-1]
    if manifest.checked_name(name) not in shelf.names():
        raise NotFound(f"There is no finished backup {name} in {shelf.where}.")
    return shelf, name
