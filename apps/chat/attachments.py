"""Files in chat: typed by their content, named by us, served only as what they are."""

import hashlib
import warnings
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from PIL import Image, UnidentifiedImageError

from apps.chat.models import Attachment
from apps.core.ids import uuid7

IMAGES = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
    "WEBP": ("image/webp", "webp"),
}
MOST_PIXELS = 50_000_000


class NotTaken(Exception):
    """The file cannot be attached; the message says why."""


def read(
    file: BinaryIO, *, name: str, size: int, conversation_id: UUID, user_id: UUID
) -> Attachment:
    """An unsaved attachment from an upload; raises NotTaken."""
    if size > settings.CHAT_MAX_ATTACHMENT:
        raise NotTaken(f"At most {settings.CHAT_MAX_ATTACHMENT:,} bytes are taken.")
    content = file.read(settings.CHAT_MAX_ATTACHMENT + 1)
    if not content:
        raise NotTaken("The file is empty.")
    mime, extension, width, height = _kind(file, content)
    pk = uuid7()
    return Attachment(
        id=pk,
        conversation_id=conversation_id,
        uploaded_by_id=user_id,
        # The sender's own name is shown as text, never used as one.
        file=ContentFile(content, name=f"{pk}.{extension}"),
        name=_shown_name(name),
        mime=mime,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        width=width,
        height=height,
    )


def _shown_name(name: str) -> str:
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[-120:].strip() or "file"


def _kind(file: BinaryIO, content: bytes) -> tuple[str, str, int | None, int | None]:
    if content.startswith(b"%PDF-"):
        return "application/pdf", "pdf", None, None
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=list(IMAGES)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise NotTaken("The picture has too many pixels.")
                # The header alone proves nothing.
                image.load()
                return (*IMAGES[image.format or ""], image.width, image.height)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise NotTaken("The picture has too many pixels.") from None
    except UnidentifiedImageError:
        return _text(content)
    except (OSError, SyntaxError, ValueError, EOFError):
        raise NotTaken("The picture is damaged.") from None


def _text(content: bytes) -> tuple[str, str, int | None, int | None]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise NotTaken("Pictures (JPEG, PNG, GIF, WebP), PDF and plain text are taken.")
    return "text/plain; charset=utf-8", "txt", None, None
