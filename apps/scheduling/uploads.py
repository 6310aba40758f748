"""Uploaded pictures and videos: believed by their content, never by name or declared type."""

import hashlib
import warnings
from typing import BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile, File
from PIL import Image, UnidentifiedImageError

from apps.core.ids import uuid7
from apps.scheduling import video
from apps.scheduling.models import Media

# What every network takes in one way or another; SVG is a program, not a picture.
KINDS = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
    "WEBP": ("image/webp", "webp"),
}
# Pillow's own limit against decompression bombs, as an error instead of a warning.
MOST_PIXELS = 89_000_000
# A picture is decoded in memory to be believed, whatever larger videos may be.
MOST_PICTURE_BYTES = 100_000_000
EXTENSIONS = {"video/mp4": "mp4", "video/quicktime": "mov"}
PIECE = 1_000_000


class NotAnImage(Exception):
    """The file cannot be used; the message says why, for the person who chose it."""


def read_media(file: BinaryIO, *, size: int, alt: str = "") -> Media:
    """An unsaved Media from an uploaded picture or video; raises NotAnImage or NotAVideo."""
    head = file.read(12)
    file.seek(0)
    return (read_video if video.looks_like(head) else read_image)(file, size=size, alt=alt)


def read_video(file: BinaryIO, *, size: int, alt: str = "") -> Media:
    """An unsaved Media from an uploaded video, of which never more than a piece is in memory."""
    if size > settings.MEDIA_MAX_BYTES:
        raise video.NotAVideo(
            f"The file has {size:,} bytes; at most {settings.MEDIA_MAX_BYTES:,} are taken."
        )
    found = video.read(file, size=size)
    digest, count = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(PIECE):
        digest.update(piece)
        count += len(piece)
    if count != size:
        raise video.NotAVideo("The upload broke off.")
    file.seek(0)
    media_id = uuid7()
    return Media(
        id=media_id,
        file=File(file, name=f"{media_id}.{EXTENSIONS[found.mime]}"),
        mime=found.mime,
        size=size,
        width=found.width,
        height=found.height,
        duration_ms=max(1, round(found.duration * 1_000)),
        sha256=digest.hexdigest(),
        alt=alt,
    )


def read_image(file: BinaryIO, *, size: int, alt: str = "") -> Media:
    """An unsaved Media from an upload, its file named by us; raises NotAnImage."""
    most = min(settings.MEDIA_MAX_BYTES, MOST_PICTURE_BYTES)
    if size > most:
        raise NotAnImage(f"The file has {size:,} bytes; at most {most:,} are taken.")
    content = file.read(most + 1)
    if not content:
        raise NotAnImage("The file is empty.")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=list(KINDS)) as image:
                width, height, kind = image.width, image.height, image.format or ""
                if width * height > MOST_PIXELS:
                    raise NotAnImage(f"{width:,} x {height:,} pixels are too many.")
                # The header alone proves nothing: a cut-off file fails only when it is decoded.
                image.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise NotAnImage("The picture unpacks to too many pixels.") from None
    except UnidentifiedImageError:
        raise NotAnImage(
            "This is no JPEG, PNG, GIF or WebP image and no MP4 or MOV video."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise NotAnImage(f"The image is damaged: {error}.") from None
    mime, extension = KINDS[kind]
    media_id = uuid7()
    return Media(
        id=media_id,
        file=ContentFile(content, name=f"{media_id}.{extension}"),
        mime=mime,
        size=len(content),
        width=width,
        height=height,
        sha256=hashlib.sha256(content).hexdigest(),
        alt=alt,
    )
