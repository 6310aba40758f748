"""What an MP4 or MOV file says of itself: kind, size, length. No frame is decoded.

Both are boxes within boxes (ISO/IEC 14496-12; QuickTime File Format): four bytes of length, four of
name, and contents. Only the few small boxes that matter are read, wherever they stand.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# The first brands of ordinary files; pictures (heic, avif) and sound (M4A) have their own.
MP4_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ",
     b"M4VH", b"M4VP", b"MSNV", b"XAVC", b"dash", b"mp71"}
)  # fmt: skip
MOV_BRAND = b"qt  "
# The index of an hour of video; more is no video of ours.
MOST_INDEX_BYTES = 50_000_000
MOST_BOXES = 10_000
LONGEST_SECONDS = 24 * 3_600
MOST_SIDE = 16_384


class NotAVideo(Exception):
    """The file cannot be used; the message says why, for the person who chose it."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video as its file describes it: shown size in pixels, seconds, the name of its codec."""

    mime: str
    width: int
    height: int
    duration: float
    codec: str


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with these twelve bytes is MP4, MOV or a relative of theirs."""
    return head[4:8] == b"ftyp"


def read(file: BinaryIO, *, size: int) -> Video:
    """What the file says; raises NotAVideo. Leaves the file wherever it happens to be."""
    try:
        return _read(file, size)
    except (struct.error, IndexError):
        raise NotAVideo("The video is damaged: one of its parts breaks off.") from None


def _read(file: BinaryIO, size: int) -> Video:
    index, found = b"", set[bytes]()
    brand = b""
    for name, start, length in _outer(file, size):
        found.add(name)
        if name == b"ftyp":
            file.seek(start)
            brand = file.read(4)
        elif name == b"moov":
            if length > MOST_INDEX_BYTES:
                raise NotAVideo("The video's index is too large.")
            file.seek(start)
            index = file.read(length)
    if brand != MOV_BRAND and brand not in MP4_BRANDS:
        raise NotAVideo("This is no MP4 or MOV video.")
    if b"moof" in found:
        raise NotAVideo("The video is cut into fragments; export it as an ordinary MP4 file.")
    if not index or b"mdat" not in found:
        raise NotAVideo("The video is damaged: its index or its pictures are missing.")
    scale, ticks = _clock(_only(index, b"mvhd"))
    duration = ticks / scale if scale else 0.0
    if not 0 < duration <= LONGEST_SECONDS:
        raise NotAVideo("The video does not say how long it is.")
    width, height, codec = _picture(index)
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise NotAVideo(f"A video of {width:,} x {height:,} pixels cannot be used.")
    mime = "video/quicktime" if brand == MOV_BRAND else "video/mp4"
    return Video(mime=mime, width=width, height=height, duration=duration, codec=codec)


def _outer(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """The file's own boxes: name, where the contents begin, how long they are."""
    place = 0
    for _ in range(MOST_BOXES):
        if place >= size:
            return
        file.seek(place)
        head = file.read(16)
        length, name = struct.unpack_from(">I4s", head)
        begins = 8
        if length == 1:
            length, begins = struct.unpack_from(">Q", head, 8)[0], 16
        elif length == 0:
            length = size - place
        if length < begins or place + length > size:
            raise NotAVideo("The video is damaged: it ends before its last part does.")
        yield name, place + begins, length - begins
        place += length
    raise NotAVideo("The video has too many parts.")


def _inner(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes inside one that was read: name and contents."""
    place = 0
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        length = length or len(data) - place
        if length < 8 or place + length > len(data):
            raise NotAVideo("The video is damaged: one of its parts breaks off.")
        yield name, data[place + 8 : place + length]
        place += length


def _only(data: bytes, *path: bytes) -> bytes:
    """The first box at this path; raises NotAVideo where there is none."""
    for wanted in path:
        data = next((inside for name, inside in _inner(data) if name == wanted), b"")
    if not data:
        raise NotAVideo(f"The video is damaged: it lacks {path[-1].decode()}.")
    return data


def _clock(box: bytes) -> tuple[int, int]:
    """Ticks a second, and how many there are."""
    if box[0] == 1:
        scale, ticks = struct.unpack_from(">IQ", box, 20)
    else:
        scale, ticks = struct.unpack_from(">II", box, 12)
    return int(scale), int(ticks)


def _picture(index: bytes) -> tuple[int, int, str]:
    """Width, height and codec of the first track that shows something."""
    for name, track in _inner(index):
        if name != b"trak" or _only(track, b"mdia", b"hdlr")[8:12] != b"vide":
            continue
        head = _only(track, b"tkhd")
        matrix = 52 if head[0] == 1 else 40
        a, b, _, c, d = struct.unpack_from(">5i", head, matrix)
        width, height = (side >> 16 for side in struct.unpack_from(">II", head, matrix + 36))
        if not a and not d and b and c:
            # Held upright: the frames lie on their side, and the player turns them.
            width, height = height, width
        codec = _only(track, b"mdia", b"minf", b"stbl", b"stsd")[12:16]
        return width, height, codec.decode("ascii", "replace").strip()
    raise NotAVideo("There is no picture in this file, only sound.")
