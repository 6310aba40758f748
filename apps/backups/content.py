"""The uploaded files as a tar archive, and back.

Media are compressed already, so they are stored; everything else is packed. Both are members of
one gzip file, which any tar reads.
"""

import hashlib
import itertools
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from apps.backups import manifest, remote
from apps.backups.errors import BackupError, Damaged
from apps.backups.streams import (
    CHUNK,
    Chunks,
    Fill,
    Meter,
    Pulled,
    Stored,
    Tray,
    from_bytes,
    gzipped,
)

_MEDIA = """jpe?g png webp gif avif heic mp4 m4v mov webm mkv mp3 m4a ogg opus flac
zip gz bz2 xz zst 7z pdf woff2? docx xlsx pptx epub"""
PACKED_ALREADY = re.compile(rf"\.(?:{'|'.join(_MEDIA.split())})\Z", re.IGNORECASE)
_BLOCK = tarfile.BLOCKSIZE


class Part:
    """So much of an open file, to be read by whoever packs it, into memory of its own choice."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.left = size

    def fill(self, memory: memoryview) -> int:
        """Read as much as fits; 0 at the end."""
        size = self._file.readinto(memory[: self.left]) or 0  # type: ignore[attr-defined]
        self.left -= size
        return size


Piece = tuple[bool, bytes | Part]


def root() -> Path:
    """Where the content lies: the folder that becomes the archive."""
    from django.conf import settings

    return Path(settings.CONTENT_STORAGE_PATH)


class Packer:
    """Reads a folder into a tar stream and remembers what it saw."""

    def __init__(
        self,
        folder: Path,
        *,
        elsewhere: remote.RemoteMedia | None = None,
        copies: bool = False,
    ) -> None:
        self._folder = folder
        self._remote = elsewhere
        self.copies = copies and elsewhere is not None
        self.remote_files = 0
        self.remote_bytes = 0
        # Why the storage elsewhere could not be listed.
        self.unlisted = ""
        self.files = 0
        self.bytes = 0
        self.changed: list[str] = []
        self.vanished: list[str] = []
        self.skipped: list[str] = []

    def record(self) -> manifest.Content:
        """What the manifest says of it."""
        return manifest.Content(
            files=self.files,
            bytes=self.bytes,
            changed=self.changed[:100],
            vanished=self.vanished[:100],
            skipped=self.skipped[:100],
            remote=self._remote.where if self._remote else "",
            remote_files=self.remote_files,
            remote_bytes=self.remote_bytes,
            remote_copied=self.copies,
        )

    def pieces(self) -> Iterator[Piece]:
        """The tar stream as (worth packing, bytes)."""
        for path in self._paths(self._folder):
            yield from self._member(path)
        if self._remote is not None:
            yield from self._elsewhere(self._remote)
        yield True, b"\0" * (2 * _BLOCK)

    def _elsewhere(self, storage: remote.RemoteMedia) -> Iterator[Piece]:
        """The media of a storage elsewhere if they are to be copied, then the list of all."""
        # A list may be long; a file of our own keeps it out of memory.
        with tempfile.TemporaryFile() as listing:
            try:
                for medium in storage.listed():
                    if not remote.is_safe(medium.name):
                        self.skipped.append(medium.name)
                        continue
                    self.remote_files += 1
                    self.remote_bytes += medium.size
                    if self.copies and not (self._folder / medium.name).exists():
                        medium = yield from self._copied(storage, medium)
                    listing.write(medium.line())
            except BackupError as error:
                # A list is worth less than the backup it would be in; a copy that was asked for
                # is not.
                if self.copies:
                    raise
                self.unlisted = str(error)
                return
            size = listing.tell()
            listing.seek(0)
            yield True, _header(remote.LIST, size, time.time())
            while chunk := listing.read(CHUNK):
                yield True, chunk
            yield True, b"\0" * (-size % _BLOCK)

    def _copied(
        self, storage: remote.RemoteMedia, medium: remote.Medium
    ) -> Generator[Piece, None, remote.Medium]:
        chunks = storage.read(medium)
        try:
            # Before its header is written: from then on its bytes must come.
            first = next(chunks, b"")
        except (BackupError, OSError):
            if not storage.lacks(medium):
                raise
            self.vanished.append(medium.name)
            return medium
        pack = not PACKED_ALREADY.search(medium.name)
        yield pack, _header(medium.name, medium.size, time.time())
        digest, left = hashlib.sha256(), medium.size
        for chunk in itertools.chain([first], chunks):
            digest.update(chunk)
            left -= len(chunk)
            if left < 0:
                break
            yield pack, chunk
        if left:
            raise BackupError(f"{medium.name} changed in {storage.where} while it was copied.")
        yield pack, b"\0" * (-medium.size % _BLOCK)
        self.files += 1
        self.bytes += medium.size
        return replace(medium, sha256=digest.hexdigest())

    def _paths(self, folder: Path) -> Iterator[Path]:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            path = Path(entry.path)
            if folder == self._folder and entry.name == remote.LIST:
                # Left by somebody who unpacked a backup by hand; this backup makes its own.
                continue
            if entry.is_dir(follow_symlinks=False):
                yield path
                yield from self._paths(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                # A link could lead to the keys; sockets and the like cannot be restored.
                self.skipped.append(str(path.relative_to(self._folder)))

    def _member(self, path: Path) -> Iterator[Piece]:
        name = str(path.relative_to(self._folder))
        member = tarfile.TarInfo(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            self.vanished.append(name)
            return
        facts = os.fstat(descriptor)
        member.mtime = int(facts.st_mtime)
        if stat.S_ISDIR(facts.st_mode):
            os.close(descriptor)
            member.type, member.mode = tarfile.DIRTYPE, 0o700
            yield True, member.tobuf(tarfile.PAX_FORMAT)
            return
        with os.fdopen(descriptor, "rb", 0) as file:
            member.size, member.mode = facts.st_size, 0o600
            pack = not PACKED_ALREADY.search(name)
            yield pack, member.tobuf(tarfile.PAX_FORMAT)
            part = Part(file, facts.st_size)
            yield pack, part
            left = part.left
            after = os.fstat(descriptor)
            if left or after.st_size != facts.st_size or after.st_mtime_ns != facts.st_mtime_ns:
                self.changed.append(name)
            # The header has promised a size: what is missing becomes zeros, as GNU tar does.
            while left:
                filler = b"\0" * min(left, CHUNK)
                left -= len(filler)
                yield pack, filler
            yield pack, b"\0" * (-member.size % _BLOCK)
        self.files += 1
        self.bytes += member.size


def _header(name: str, size: int, mtime: float) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(mtime)
    return member.tobuf(tarfile.PAX_FORMAT)


def packed(pieces: Iterator[Piece], plain: Meter) -> Iterator[bytes]:
    """The gzip file: one member for each run of pieces that are treated alike."""
    tray, chunk = Tray(), memoryview(bytearray(CHUNK))

    def heard(part: bytes | Part) -> Fill:
        fill = part.fill if isinstance(part, Part) else from_bytes(part)

        def measured(memory: memoryview) -> int:
            size = fill(memory)
            plain.add(cast(bytes, memory[:size]))
            return size

        return measured

    def chunks(parts: Iterator[bytes | Part]) -> Iterator[bytes]:
        for part in parts:
            fill = heard(part)
            while size := fill(chunk):
                yield cast(bytes, chunk[:size])

    for pack, run in itertools.groupby(pieces, key=lambda piece: piece[0]):
        parts = (part for _, part in run)
        if pack:
            for made in gzipped(chunks(parts)):
                yield from tray.put(made)
            continue
        stored = Stored(tray)
        yield from stored.begin()
        for part in parts:
            yield from stored.add(heard(part))
        yield from stored.end()
    yield from tray.emptied()


# -- Back ---------------------------------------------------------------------------------------


def _members(chunks: Chunks) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    source = Pulled(chunks)
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=CHUNK) as archive:
            for member in archive:
                if not (member.isreg() or member.isdir()):
                    raise Damaged(f"{member.name!r} is a link or device: no backup of ours.")
                yield archive, member
    except tarfile.TarError as error:
        raise Damaged(f"The content archive is no tar file: {error}.") from error
    # tar stops at its end mark; the checksums behind us want every byte.
    while source.read(CHUNK):
        pass


def count(chunks: Chunks) -> tuple[int, int]:
    """Read a whole archive; gives its files and their bytes."""
    files = size = 0
    for _, member in _members(chunks):
        if member.isreg() and member.name != remote.LIST:
            files += 1
            size += member.size
    return files, size


def unpack(chunks: Chunks, folder: Path) -> tuple[int, int]:
    """Unpack into a new folder, private, nothing outside it; gives files and bytes."""
    folder.mkdir(mode=0o700)
    files = size = 0
    for archive, member in _members(chunks):
        try:
            member = tarfile.data_filter(member, str(folder))
        except tarfile.FilterError as error:
            raise Damaged(f"The content archive reaches outside its folder: {error}.") from error
        target = folder / member.name
        if member.isdir():
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = archive.extractfile(member)
        assert source is not None
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(source, file, CHUNK)
        os.utime(target, (member.mtime, member.mtime))
        if member.name == remote.LIST:
            continue
        files += 1
        size += member.size
    return files, size


def sync(folder: Path) -> None:
    """Make a freshly written tree durable before anything points to it."""
    if not hasattr(os, "sync"):
        raise BackupError(f"{folder}: this system cannot sync.")
    os.sync()
