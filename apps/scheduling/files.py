"""Uploaded pictures as the world sees them: media and avatars, and nothing else of the storage."""

import mimetypes
import re
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from apps.personas.models import Persona
from apps.scheduling.models import Media

CHUNK = 64 * 1024
SAFE_NAME = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
HEADERS = {
    # A row's file never changes: another picture gets another name.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Disposition": "inline",
    "X-Content-Type-Options": "nosniff",
    # Even a picture that a browser takes for a page could do nothing.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@require_safe
def picture(request: HttpRequest, path: str) -> HttpResponseBase:
    """A picture that some row names: what no row names is not there."""
    if not SAFE_NAME.fullmatch(path) or ".." in path:
        raise Http404
    mime, tag = _known(path)
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers={**HEADERS, "ETag": tag})
    try:
        file = default_storage.open(path)
    except OSError:
        raise Http404 from None
    headers = {**HEADERS, "ETag": tag, "Content-Length": str(file.size)}
    if request.method == "HEAD":
        file.close()
        return HttpResponse(content_type=mime, headers=headers)
    chunks = _read_async(file) if isinstance(request, ASGIRequest) else _read(file)
    return StreamingHttpResponse(chunks, content_type=mime, headers=headers)


def _known(path: str) -> tuple[str, str]:
    """The content type and the entity tag of a stored picture."""
    if path.startswith("media/"):
        named = Q(file=path) | Q(marked=path)
        row = Media.objects.filter(named).only("mime", "sha256", "marked", "marked_sha256").first()
        if row is not None:
            return row.mime, f'"{row.marked_sha256 if row.marked == path else row.sha256}"'
    elif path.startswith("avatars/") and Persona.objects.filter(avatar=path).exists():
        mime = mimetypes.guess_type(path)[0]
        if mime in {"image/jpeg", "image/png", "image/webp"}:
            return mime, f'"{path}"'
    raise Http404


def _read(file: "File[bytes]") -> Iterator[bytes]:
    with file:
        yield from file.chunks(CHUNK)


async def _read_async(file: "File[bytes]") -> AsyncIterator[bytes]:
    try:
        while chunk := await sync_to_async(file.read, thread_sensitive=False)(CHUNK):
            yield chunk
    finally:
        file.close()
