"""Media that STORAGES["default"] keeps elsewhere: listed in every backup with the checksums the
storage knows, and copied into it when BACKUP_REMOTE_MEDIA says so.

The list is a member of the content archive, one JSON object a line. A restore compares it with
what the storage holds, and puts back what is missing there and was copied here.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import structlog
from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages

from apps.backups import manifest
from apps.backups.errors import BackupError, NotFound
from apps.backups.objects import is_s3, patiently, streamed

log = structlog.get_logger(__name__)

LIST = ".remote-media.jsonl"


@dataclass(frozen=True, kw_only=True)
class Medium:
    """One file of the storage; `checksum` is the storage's own word (S3: its ETag), or empty."""

    name: str
    size: int
    checksum: str = ""
    # Of the bytes that went into the archive; empty when they did not.
    sha256: str = ""

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class RemoteMedia:
    """The media of a studio whose storage is not its own disk."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.where = f"{type(storage).__name__} of STORAGES['default']"

    def listed(self) -> Iterator[Medium]:
        """Every file there; raises BackupError when the storage cannot be listed."""
        found = self._of_s3() if is_s3(self._storage) else self._below("")
        try:
            # Backups may share the bucket; in a backup they have no place.
            yield from (each for each in found if not _is_backup(each.name))
        except BackupError:
            raise
        except Exception as error:
            raise BackupError(f"{self.where} cannot be listed: {type(error).__name__}") from error

    def _of_s3(self) -> Iterator[Medium]:
        # One request for a thousand objects, where listdir and size ask for each of them.
        start = self._storage._normalize_name("").strip("/")
        prefix = f"{start}/" if start else ""
        for each in self._storage.bucket.objects.filter(Prefix=prefix):
            name = each.key.removeprefix(prefix)
            if name and not name.endswith("/"):
                yield Medium(name=name, size=each.size, checksum=each.e_tag.strip('"'))

    def _below(self, folder: str) -> Iterator[Medium]:
        folders, files = patiently(
            lambda: self._storage.listdir(folder), what=f"Listing {self.where}"
        )
        start = f"{folder}/" if folder else ""
        for name in sorted(files):
            yield Medium(name=f"{start}{name}", size=self._storage.size(f"{start}{name}"))
        for name in sorted(folders):
            yield from self._below(f"{start}{name}")

    def read(self, medium: Medium) -> Iterator[bytes]:
        """A file's bytes, never all of them at once."""
        return streamed(self._storage, medium.name)

    def lacks(self, medium: Medium) -> bool:
        """Whether the storage no longer has this file as it was listed."""
        name = medium.name
        if not patiently(lambda: self._storage.exists(name), what=f"Looking for {name}"):
            return True
        size = patiently(lambda: self._storage.size(name), what=f"Asking the size of {name}")
        return bool(size != medium.size)

    def put_back(self, medium: Medium, path: Path) -> None:
        """Store a copied file again under its own name."""

        def save() -> None:
            with path.open("rb") as file:
                if self._storage.exists(medium.name):
                    self._storage.delete(medium.name)
                self._storage.save(medium.name, File(file, name=medium.name))

        patiently(save, what=f"Putting back {medium.name}")


def _is_backup(name: str) -> bool:
    try:
        manifest.checked_name(name.partition("/")[0])
    except NotFound:
        return False
    return True


def remote_media() -> RemoteMedia | None:
    """The storage elsewhere; None when uploads lie in the content folder."""
    storage = storages["default"]
    return None if isinstance(storage, FileSystemStorage) else RemoteMedia(storage)


def is_safe(name: str) -> bool:
    """Whether a name can become a path below a folder; another's bucket may hold anything."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def read_list(lines: IO[bytes]) -> Iterator[Medium]:
    """The media of a list, one by one."""
    for line in lines:
        yield Medium(**json.loads(line))


@dataclass(kw_only=True)
class Outcome:
    """What a restore found and did about media elsewhere."""

    put_back: int = 0
    missing: int = 0
    first_missing: str = ""


def reconcile(listing: Path, folder: Path, *, dry_run: bool) -> Outcome:
    """Compare a restored list with the storage; put back what was copied and is missing there.

    Adding a file that is missing harms nobody, so it happens before the switch and may happen
    again. Where media lie on this machine now, the copies in `folder` simply are the media.
    """
    storage, outcome = remote_media(), Outcome()
    with listing.open("rb") as lines:
        for medium in read_list(lines):
            copy = folder / medium.name if medium.sha256 else None
            if storage is None:
                if copy is None and not (folder / medium.name).exists():
                    _miss(outcome, medium)
                continue
            if storage.lacks(medium):
                if copy is None:
                    _miss(outcome, medium)
                    continue
                if not dry_run:
                    storage.put_back(medium, copy)
                outcome.put_back += 1
            if copy is not None:
                # It lies where it belongs; twice would be archived twice.
                copy.unlink()
    return outcome


def _miss(outcome: Outcome, medium: Medium) -> None:
    outcome.missing += 1
    outcome.first_missing = outcome.first_missing or medium.name
