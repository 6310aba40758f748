"""Bytes on their way: measured, packed, encrypted and back, a chunk at a time.

Everything pulls: a stream is an iterable of chunks, so memory stays flat whatever its length, and
an exception anywhere ends the whole chain.
"""

import hashlib
import io
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

import pyrage
from isal import isal_zlib

from apps.backups.errors import BadRequest, Damaged, WrongKey

CHUNK = 256 * 1024
# What goes to the disk at once.
PIECE = 1024 * 1024
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


class Tray:
    """Memory that is filled bit by bit and passed on in whole pieces, always the same memory.

    A piece is good until the next one is asked for.
    """

    def __init__(self) -> None:
        # It begins on a page, as writing past the page cache demands, and it is shared memory: of
        # other memory a fork at the wrong moment could have the disk take another's copy.
        self._memory = memoryview(mmap.mmap(-1, PIECE))
        self._filled = 0

    @property
    def room(self) -> memoryview:
        """Where the next bytes belong; who has put them there says so to `advance`."""
        return self._memory[self._filled :]

    def advance(self, size: int) -> Iterator[bytes]:
        """So many bytes more are there."""
        self._filled += size
        if self._filled == PIECE:
            yield from self.emptied()

    def put(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        """Add a chunk."""
        rest = memoryview(chunk)
        while rest:
            part = rest[: PIECE - self._filled]
            self._memory[self._filled : self._filled + len(part)] = part
            yield from self.advance(len(part))
            rest = rest[len(part) :]

    def emptied(self) -> Iterator[bytes]:
        """Pass on what is there."""
        filled, self._filled = self._filled, 0
        if filled:
            yield cast(bytes, self._memory[:filled])


def in_pieces(chunks: Chunks) -> Iterator[bytes]:
    """The same bytes in pieces that can go to the disk as they are."""
    tray = Tray()
    for chunk in chunks:
        yield from tray.put(chunk)
    yield from tray.emptied()


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
_BLOCK_HEADER = struct.Struct("<BHH")
# A block is read into the tray where it belongs, unless the tray has no more room than this.
_SCRAPS = 4096

Fill = Callable[[memoryview], int]


def from_bytes(content: bytes) -> Fill:
    """What fills memory with these bytes."""
    return io.BytesIO(content).readinto


class Stored:
    """One gzip member that holds bytes as they are: packing a JPEG only burns time."""

    def __init__(self, tray: Tray) -> None:
        self._tray = tray
        self._crc = self._size = 0

    def begin(self) -> Iterator[bytes]:
        yield from self._tray.put(_GZIP_HEADER)

    def add(self, fill: Fill) -> Iterator[bytes]:
        """All that `fill` puts into the memory it is given, until it puts nothing there."""
        while True:
            room = self._tray.room
            fits = len(room) > _SCRAPS
            start = _BLOCK_HEADER.size if fits else 0
            block = room[start : start + _LARGEST_BLOCK] if fits else memoryview(bytearray(_SCRAPS))
            size = fill(block)
            if not size:
                return
            block = block[:size]
            self._crc = isal_zlib.crc32(block, self._crc)
            self._size += size
            header = _BLOCK_HEADER.pack(0, size, size ^ 0xFFFF)
            if fits:
                room[:start] = header
                yield from self._tray.advance(start + size)
            else:
                yield from self._tray.put(header)
                yield from self._tray.put(block)

    def end(self) -> Iterator[bytes]:
        # The last block is empty, and the member ends with its checksum and size.
        yield from self._tray.put(_BLOCK_HEADER.pack(1, 0, 0xFFFF))
        yield from self._tray.put(struct.pack("<II", self._crc, self._size & 0xFFFF_FFFF))


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
