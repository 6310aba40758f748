"""Bytes on their way: measured, packed, encrypted and back, a chunk at a time.

Everything pulls: a stream is an iterable of chunks, so memory stays flat whatever its length, and
an exception anywhere ends the whole chain.
"""

import hashlib
import io
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

import pyrage
from isal import isal_zlib

from apps.backups.errors import BadRequest, Damaged, WrongKey

CHUNK = 256 * 1024
# igzip's level 2: within a tenth of gzip -6 in size at a twentieth of its time; all the memory it
# may take (under a megabyte) makes it a little faster still.
LEVEL = 2
MEMORY = 9
GZIP = 31

Chunks = Iterable[bytes]
Heard = Callable[[int], None]


class Meter:
    """Counts and hashes what passes through, and keeps the last bytes.

    CRC-32 costs little and tells whether bytes read back are those just written; SHA-256 is what
    the manifest promises for good.
    """

    def __init__(
        self, heard: Heard | None = None, *, tail: int = 0, sha: bool = True, crc: bool = False
    ) -> None:
        self.bytes = 0
        self.crc = 0
        self.tail = b""
        self._digest = hashlib.sha256() if sha else None
        self._sums = crc
        self._heard = heard
        self._keep = tail

    def add(self, chunk: bytes) -> None:
        """Take one chunk into account."""
        self.bytes += len(chunk)
        if self._sums:
            self.crc = isal_zlib.crc32(chunk, self.crc)
        if self._digest is not None:
            self._digest.update(chunk)
        if self._keep:
            self.tail = (self.tail + chunk[-self._keep :])[-self._keep :]
        if self._heard:
            self._heard(len(chunk))

    def through(self, chunks: Chunks) -> Iterator[bytes]:
        """The same chunks, each taken into account on its way."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """In hexadecimal; empty when it was not asked for."""
        return self._digest.hexdigest() if self._digest else ""


class Pulled(io.RawIOBase):
    """A stream as the read-only, unseekable file that libraries ask for."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size is None or size < 0:
            parts = [bytes(self._rest), *self._chunks]
            self._rest = memoryview(b"")
            return b"".join(parts)
        # Exactly `size` bytes unless the stream ends: S3 refuses parts that are too small.
        parts, wanted = [], size
        while wanted:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    break
            part = self._rest[:wanted]
            parts.append(bytes(part))
            self._rest = self._rest[len(part) :]
            wanted -= len(part)
        return b"".join(parts)


# -- gzip ---------------------------------------------------------------------------------------


def gzipped(chunks: Chunks) -> Iterator[bytes]:
    """One ordinary gzip member."""
    packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP, MEMORY)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


# Deflate, no name, no time (the same content gives the same bytes), made on "unknown".
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LARGEST_BLOCK = 65_535
# The most whole blocks in a chunk: a chunk of this size leaves no crumbs behind.
STORED = CHUNK // _LARGEST_BLOCK * _LARGEST_BLOCK


def gzip_stored(chunks: Chunks) -> Iterator[bytes]:
    """One gzip member that holds the bytes as they are: packing a JPEG only burns time."""
    checksum, size = 0, 0
    yield _GZIP_HEADER
    for chunk in chunks:
        checksum = isal_zlib.crc32(chunk, checksum)
        size += len(chunk)
        view = memoryview(chunk)
        for start in range(0, len(chunk), _LARGEST_BLOCK):
            block = view[start : start + _LARGEST_BLOCK]
            yield struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF)
            # Not copied: bytes-like is all that any reader of a stream asks for.
            yield cast(bytes, block)
    # The last block is empty, and the member ends with its checksum and size.
    yield struct.pack("<BHHII", 1, 0, 0xFFFF, checksum, size & 0xFFFF_FFFF)


# The stubs call it an instance.
_GzipError: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def gunzipped(chunks: Chunks, *, limit: int) -> Iterator[bytes]:
    """The content of one or many members; Damaged once it exceeds `limit` or ends early."""
    unpacker = None
    produced = 0
    for chunk in chunks:
        rest = chunk
        while rest:
            unpacker = unpacker or isal_zlib.decompressobj(GZIP)
            for plain in _unpacked(unpacker, rest):
                produced += len(plain)
                if produced > limit:
                    raise Damaged(f"The archive unpacks to more than the declared {limit:,} bytes.")
                yield plain
            if unpacker.eof:
                rest, unpacker = unpacker.unused_data, None
            else:
                rest = b""
    if unpacker is not None:
        raise Damaged("The archive ends in the middle.")


def _unpacked(unpacker: Any, packed: bytes) -> Iterator[bytes]:
    """All that this input gives; bounded at each step, so that a bomb of 1:1028 fills nothing."""
    while True:
        try:
            plain = unpacker.decompress(packed, CHUNK)
        except _GzipError as error:
            raise Damaged(f"The archive does not unpack: {error}.") from error
        if plain:
            yield plain
        packed = unpacker.unconsumed_tail
        # A full piece may leave more inside although the input is used up.
        if not packed and (len(plain) < CHUNK or unpacker.eof):
            return


# -- age ----------------------------------------------------------------------------------------


def recipient_of(text: str) -> object:
    """A public key as `age-keygen` or `ssh-keygen` prints it."""
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise BadRequest(f"{text[:20]}... is no age recipient: {error}.") from None


def identities_of(text: str) -> list[object]:
    """The secret keys in an identity file: age's lines, or one OpenSSH private key."""
    try:
        if "PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        return [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line and not line.startswith("#")
        ]
    except pyrage.IdentityError as error:
        raise WrongKey(f"The identity file holds no usable key: {error}.") from None


def _through_thread(chunks: Chunks, work: Callable[[Pulled, BinaryIO], None]) -> Iterator[bytes]:
    """What `work` makes of `chunks`, while it runs in a thread: pyrage pushes, we pull."""
    reading, writing = os.pipe()
    failure: list[BaseException] = []

    def remembered() -> Iterator[bytes]:
        # pyrage would turn the source's own error into one of its own.
        try:
            yield from chunks
        except BaseException as error:
            failure.append(error)
            raise

    def run() -> None:
        try:
            with os.fdopen(writing, "wb", CHUNK) as out:
                work(Pulled(remembered()), out)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", 0) as source:
            while chunk := source.read(CHUNK):
                yield chunk
    finally:
        # An abandoned reader is closed by now: the writer meets a broken pipe and ends.
        thread.join()
    if failure:
        raise failure[0]


def encrypted(chunks: Chunks, recipients: list[object]) -> Iterator[bytes]:
    """An age file that any one of the recipients opens."""
    return _through_thread(chunks, lambda source, out: pyrage.encrypt_io(source, out, recipients))


def decrypted(chunks: Chunks, identities: list[object]) -> Iterator[bytes]:
    """The content of an age file; WrongKey when no identity opens it.

    Only for bytes whose hash has been checked: then a failure can only be the key's.
    """
    try:
        yield from _through_thread(
            chunks, lambda source, out: pyrage.decrypt_io(source, out, identities)
        )
    except pyrage.DecryptError as error:
        raise WrongKey(f"None of the given identities opens this backup ({error}).") from None
