"""Says inside a picture or a video that it was made with AI: XMP's Iptc4xmpExt:DigitalSourceType.

The property is put between the file's own parts; not one pixel is encoded anew, and animations
stay what they are. Sources: IPTC Photo Metadata Standard 2023.2 ("Digital Source Type"), XMP
Specification part 3 (JPEG, PNG and GIF), the WebP container specification.
"""

import re
import struct
import zlib
from collections.abc import Iterator

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE_WITH_AI = f"{SOURCE_TYPES}trainedAlgorithmicMedia"
# More than any copy grows by: what a network's limit is compared with before the copy exists.
GROWTH = 1_000

_PROPERTY = (
    '<rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    f"<Iptc4xmpExt:DigitalSourceType>{MADE_WITH_AI}</Iptc4xmpExt:DigitalSourceType>"
    "</rdf:Description>"
).encode()
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    + _PROPERTY
    + b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_SOURCE_TYPE = re.compile(re.escape(SOURCE_TYPES.encode()) + rb"\w+")
_JPEG_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_HEAD = b"XML:com.adobe.xmp\0"
_GIF_HEAD = b"\x21\xff\x0bXMP DataXMP"
# Ends the packet for readers that take its bytes for lengths of sub-blocks.
_GIF_TAIL = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
_LONGEST_JPEG_SEGMENT = 65_533
# The name of XMP's box in MP4 and MOV files (XMP Specification part 3, "MPEG-4", "QuickTime").
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def marked(content: bytes, mime: str) -> bytes:
    """A copy of the picture that says it was made with AI; raises ValueError if it is damaged."""
    try:
        return _WRITERS[mime](content)
    except (IndexError, struct.error) as error:
        raise ValueError(f"The {mime} file breaks off.") from error


def video_box() -> bytes:
    """What marks a video, put behind its last byte; players skip what they do not know.

    A box of XMP that the video has already stays: what stands last is ours.
    """
    body = b"uuid" + _XMP_BOX + _PACKET
    return struct.pack(">I", len(body) + 4) + body


def _packet(before: bytes = b"") -> bytes:
    """The packet to write, with whatever else the picture's own packet said."""
    if _SOURCE_TYPE.search(before):
        return _SOURCE_TYPE.sub(MADE_WITH_AI.encode(), before)
    head, end, tail = before.rpartition(b"</rdf:RDF>")
    return head + _PROPERTY + end + tail if end else _PACKET


def _jpeg(content: bytes) -> bytes:
    if content[:2] != b"\xff\xd8":
        raise ValueError("This is no JPEG file.")
    place, own = 2, b""
    kept: list[bytes] = []
    while content[place] == 0xFF and content[place + 1] in range(0xE0, 0xF0):
        end = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
        segment = content[place:end]
        if segment[4:].startswith(_JPEG_HEAD):
            own = segment[4 + len(_JPEG_HEAD) :]
        else:
            kept.append(segment)
        place = end
    packet = _packet(own)
    if len(packet) + len(_JPEG_HEAD) + 2 > _LONGEST_JPEG_SEGMENT:
        packet = _PACKET
    body = _JPEG_HEAD + packet
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    # Behind JFIF and Exif, which must come first.
    first = [each for each in kept if each[1] == 0xE0 or each[4:10] == b"Exif\0\0"]
    others = [each for each in kept if each not in first]
    return b"".join([content[:2], *first, segment, *others, content[place:]])


def _png(content: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    own, parts = b"", [content[:8]]
    place = 8
    while place < len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        data = content[place + 8 : end - 4]
        if kind == b"iTXt" and data.startswith(_PNG_HEAD):
            # Two zeros: not compressed; then language and translated keyword, both ended by zero.
            flags = data[len(_PNG_HEAD) :]
            own = flags[2:].split(b"\0", 2)[-1] if flags[:1] == b"\0" else b""
        else:
            parts.append(content[place:end])
        place = end
    parts.insert(2, chunk(b"iTXt", _PNG_HEAD + b"\0\0\0\0" + _packet(own)))
    return b"".join(parts)


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        yield kind, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _webp(content: bytes) -> bytes:
    chunks = dict.fromkeys([b"XMP "], b"")
    frames: list[tuple[bytes, bytes]] = []
    for kind, data in _webp_chunks(content):
        if kind == b"XMP ":
            chunks[kind] = data
        else:
            frames.append((kind, data))
    kind, data = frames[0]
    if kind == b"VP8X":
        frames[0] = (kind, bytes([data[0] | 0x04]) + data[1:])
    else:
        frames.insert(0, (b"VP8X", _webp_head(kind, data)))
    frames.append((b"XMP ", _packet(chunks[b"XMP "])))
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in frames
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_head(kind: bytes, data: bytes) -> bytes:
    """The extended header that a plain file lacks: flags, and the canvas less one."""
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 1)[0]
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 6))
        width, height, alpha = width - 1, height - 1, 0
    else:
        raise ValueError("This is no WebP file.")
    sizes = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
    return bytes([0x04 | 0x10 * alpha, 0, 0, 0]) + sizes


def _gif(content: bytes) -> bytes:
    flags = content[10]
    table = 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
    place = 13 + table
    # Extensions came with 89a; an 87a file is one without any.
    return b"GIF89a" + content[6:place] + _GIF_HEAD + _PACKET + _GIF_TAIL + content[place:]


_WRITERS = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp, "image/gif": _gif}
