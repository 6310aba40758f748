"""Uploaded images: believed by their content, never by their name or declared type."""

import hashlib
import warnings
from typing import BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile
from PIL import Image, UnidentifiedImageError

from apps.core.ids import uuid7
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


class NotAnImage(Exception):
    """The file cannot be used; the message says why, for the person who chose it."""


def read_image(file: BinaryIO, *, size: int, alt: str = "") -> Media:
    """An unsaved Media from an upload, its file named by us; raises NotAnImage."""
    if size > settings.MEDIA_MAX_BYTES:
        raise NotAnImage(
            f"The file has {size:,} bytes; at most {settings.MEDIA_MAX_BYTES:,} are taken."
        )
    content = file.read(settings.MEDIA_MAX_BYTES + 1)
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
        raise NotAnImage("This is no JPEG, PNG, GIF or WebP image.") from None
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
