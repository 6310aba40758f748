"""Small MP4 and MOV files, box by box, for tests: one black frame's worth of structure."""

import struct
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

ONE = 1 << 16
# How a player turns the frames: a, b, u, c, d, v, x, y, w (ISO/IEC 14496-12).
LYING = (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
UPRIGHT = (0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)


def box(name: bytes, *inside: bytes) -> bytes:
    body = b"".join(inside)
    return struct.pack(">I4s", len(body) + 8, name) + body


def head(brand: bytes = b"isom") -> bytes:
    return box(b"ftyp", brand, struct.pack(">I", 512), b"isomavc1")


def clock(name: bytes, ticks: int, scale: int, *, version: int = 0) -> bytes:
    if version:
        return box(name, b"\1\0\0\0", bytes(16), struct.pack(">IQ", scale, ticks), bytes(80))
    return box(name, bytes(12), struct.pack(">II", scale, ticks), bytes(80))


def track(
    kind: bytes = b"vide",
    *,
    width: int = 640,
    height: int = 360,
    matrix: tuple[int, ...] = LYING,
    codec: bytes = b"avc1",
) -> bytes:
    measures = struct.pack(">9i", *matrix)
    sides = struct.pack(">II", width << 16, height << 16)
    entry = box(b"stsd", bytes(4), struct.pack(">I", 1), struct.pack(">I4s", 16, codec), bytes(8))
    return box(
        b"trak",
        box(b"tkhd", bytes(40), measures, sides),
        box(
            b"mdia",
            box(b"hdlr", bytes(8), kind, bytes(12)),
            box(b"minf", box(b"stbl", entry)),
        ),
    )


def index(*tracks: bytes, seconds: float = 10.0, version: int = 0) -> bytes:
    return box(
        b"moov", clock(b"mvhd", round(seconds * 600), 600, version=version), *(tracks or (track(),))
    )


def film(
    *,
    brand: bytes = b"isom",
    moov: bytes | None = None,
    data: bytes = b"frames",
    first: bool = True,
) -> bytes:
    """A whole file, its index before or behind what it shows."""
    parts = [index() if moov is None else moov, box(b"mdat", data)]
    return head(brand) + b"".join(parts if first else parts[::-1])


def a_video(name: str = "fog.mp4", **changes: Any) -> SimpleUploadedFile:
    """An upload, as a form or the API sends it."""
    return SimpleUploadedFile(name, film(**changes), "video/mp4")
