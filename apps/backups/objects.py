"""Backups on object stores and the like, through django-storages.

Traps found by trying (S3, django-storages 1.14.6): `storage.open(name, "wb")` that meets an
exception publishes the truncated object, so archives go through `storage.save` with a stream that
cannot seek, which aborts its multipart upload; `storage.open(name, "rb")` loads the whole object,
so reading uses the streaming body.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import structlog
from django.core.files import File

from apps.backups import manifest
from apps.backups.errors import BackupError, NotFound
from apps.backups.streams import CHUNK, Chunks, Pulled

log = structlog.get_logger(__name__)

PART = 8 * 1024 * 1024
# Uploads of other studios that share the bucket may be under way; ours are dead by then.
STALE = timedelta(days=1)
TRIES = 4

Answer = TypeVar("Answer")


def patiently(call: Callable[[], Answer], *, what: str) -> Answer:
    """The answer of a call that may be repeated; a storage that keeps failing is a clean error."""
    for attempt in range(TRIES):
        try:
            return call()
        except (FileNotFoundError, BackupError):
            raise
        except Exception as error:
            if attempt == TRIES - 1:
                raise BackupError(f"{what} failed: {_words_of(error)}") from error
            log.warning("storage failed; trying again", what=what, error=type(error).__name__)
            time.sleep(0.5 * 2**attempt)
    raise AssertionError("unreachable")


def _words_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def is_s3(storage: Any) -> bool:
    """Whether a storage is django-storages' S3, whose streams need care."""
    return hasattr(storage, "bucket") and hasattr(storage, "transfer_config")


def streamed(storage: Any, path: str) -> Iterator[bytes]:
    """An object's content without ever holding more than a chunk of it."""
    if not is_s3(storage):
        with storage.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
        return
    key = storage._normalize_name(path)
    answer = patiently(storage.bucket.Object(key).get, what=f"Reading {path}")
    try:
        yield from answer["Body"].iter_chunks(CHUNK)
    except Exception as error:
        raise BackupError(f"Reading {path} broke off: {_words_of(error)}") from error


class ObjectShelf:
    """Objects named backup_.../file; metadata.json, stored last, makes a backup exist."""

    def __init__(self, storage: Any, alias: str) -> None:
        self._storage = storage
        self.where = f"storage {alias!r}"
        self._s3 = is_s3(storage)
        if self._s3:
            from boto3.s3.transfer import TransferConfig

            config = TransferConfig(
                multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=2
            )
            # Not an argument of boto3's class: the default of 10 parts holds 80 MB more.
            config.max_in_memory_upload_chunks = 2
            self._storage.transfer_config = config
            # Guessed from ".gz", Content-Encoding would make clients unpack what they download.
            self._storage.object_parameters = {
                **self._storage.object_parameters,
                "ContentType": "application/octet-stream",
            }

    def _listed(self) -> list[str]:
        def listing() -> list[str]:
            try:
                folders, _ = self._storage.listdir("")
            except FileNotFoundError:
                return []
            return [str(folder).strip("/") for folder in folders]

        names = []
        for folder in patiently(listing, what="Listing the storage"):
            with suppress(NotFound):
                names.append(manifest.checked_name(folder))
        return sorted(names)

    def names(self) -> list[str]:
        return [name for name in self._listed() if self._has(f"{name}/{manifest.FILE_NAME}")]

    def _has(self, path: str) -> bool:
        return bool(patiently(lambda: self._storage.exists(path), what=f"Looking for {path}"))

    def exists(self, name: str) -> bool:
        return name in self._listed()

    def begin(self, name: str) -> "ObjectDraft":
        return ObjectDraft(self, manifest.checked_name(name))

    def read(self, name: str, file: str) -> Iterator[bytes]:
        return self.stream(f"{manifest.checked_name(name)}/{file}")

    def stream(self, path: str) -> Iterator[bytes]:
        """An object's content without ever holding more than a chunk of it."""
        if not self._has(path):
            raise NotFound(f"{path} is not in {self.where}.")
        yield from streamed(self._storage, path)

    def store(self, path: str, chunks: Chunks) -> int:
        """Store an object; returns its size, as counted here and confirmed there."""
        if self._s3:
            # Parts are retried by the client; the stream itself cannot be read twice.
            counted = _Counted(chunks)
            try:
                self._storage.save(path, File(cast(Any, Pulled(counted)), name=path))
            except BackupError:
                raise
            except Exception as error:
                if counted.failure is not None:
                    raise counted.failure from None
                raise BackupError(f"Storing {path} failed: {_words_of(error)}") from error
            size = counted.bytes
        else:
            # Other storages read their input whole or twice: give them a real file.
            with tempfile.TemporaryFile() as spool:
                for chunk in chunks:
                    spool.write(chunk)
                size = spool.tell()

                def save() -> None:
                    spool.seek(0)
                    if self._storage.exists(path):
                        self._storage.delete(path)
                    self._storage.save(path, File(cast(Any, spool), name=path))

                patiently(save, what=f"Storing {path}")
        stored = patiently(lambda: self._storage.size(path), what=f"Asking the size of {path}")
        if stored != size:
            self.remove(path)
            raise BackupError(f"{path}: {size:,} bytes were sent, {stored:,} arrived.")
        return size

    def remove(self, path: str) -> None:
        """Delete one object."""
        patiently(lambda: self._storage.delete(path), what=f"Deleting {path}")

    def delete(self, name: str) -> None:
        name = manifest.checked_name(name)
        # Unlisted first: a backup without its metadata is no backup.
        self.remove(f"{name}/{manifest.FILE_NAME}")
        self._empty(name)

    def _empty(self, name: str) -> bool:
        """Remove what lies in a folder, and the folder where there is such a thing."""
        _, files = self._storage.listdir(name)
        for file in files:
            self.remove(f"{name}/{file}")
        if not self._s3:
            with suppress(Exception):
                self._storage.delete(name)
            with suppress(Exception):
                # SFTP's delete() is for files, and an empty folder would be swept for ever.
                self._storage.sftp.rmdir(self._storage._remote_path(name))
        return bool(files)

    def sweep(self) -> list[str]:
        swept = []
        for name in self._listed():
            if self._has(f"{name}/{manifest.FILE_NAME}"):
                continue
            if self._is_stale(name) and self._empty(name):
                swept.append(name)
        if self._s3:
            swept += self._abort_uploads(before=datetime.now(UTC) - STALE)
        return swept

    def _is_stale(self, name: str) -> bool:
        _, files = self._storage.listdir(name)
        try:
            newest = max(self._storage.get_modified_time(f"{name}/{file}") for file in files)
        except (ValueError, NotImplementedError):
            return True
        return bool(newest < datetime.now(UTC) - STALE)

    def _abort_uploads(self, *, before: datetime | None = None, prefix: str = "") -> list[str]:
        # A killed process leaves its parts behind: invisible, and paid for every month.
        client = self._storage.connection.meta.client
        bucket = self._storage.bucket_name
        start = self._storage._normalize_name(prefix or "backup_")
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=start)
        aborted = []
        for page in pages:
            for upload in page.get("Uploads", ()):
                if before is not None and upload["Initiated"] > before:
                    continue
                client.abort_multipart_upload(
                    Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
                aborted.append(f"upload of {upload['Key']}")
        return aborted

    def discard(self, name: str) -> None:
        """Remove every trace of one unfinished backup of ours."""
        with suppress(FileNotFoundError):
            self._empty(name)
        if self._s3:
            self._abort_uploads(prefix=f"{name}/")

    def free_bytes(self) -> int | None:
        return None


class _Counted:
    """A stream that remembers its length, and its own failure if it had one."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.bytes = 0
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self.bytes += len(chunk)
                yield chunk
        except Exception as error:
            self.failure = error
            raise


class ObjectDraft:
    """A backup whose archives are stored and whose metadata is not yet."""

    def __init__(self, shelf: ObjectShelf, name: str) -> None:
        self._shelf = shelf
        self._name = name

    def put(self, name: str, chunks: Chunks) -> None:
        self._shelf.store(f"{self._name}/{name}", chunks)

    def read(self, name: str) -> Iterator[bytes]:
        return self._shelf.stream(f"{self._name}/{name}")

    def commit(self, metadata: bytes) -> None:
        self._shelf.store(f"{self._name}/{manifest.FILE_NAME}", [metadata])

    def abort(self) -> None:
        try:
            self._shelf.discard(self._name)
        except Exception as error:
            log.warning("an unfinished backup stays for the next sweep", error=str(error))
