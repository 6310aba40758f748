"""Uploaded pictures and videos as the world sees them: media and avatars, nothing else stored."""

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
# One stretch of a file, as players ask for it (RFC 9110); several at once nobody needs.
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
SAFE_NAME = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
HEADERS = {
    # A row's file never changes: another picture gets another name.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Disposition": "inline",
    "X-Content-Type-Options": "nosniff",
    "Accept-Ranges": "bytes",
    # Even a picture that a browser takes for a page could do nothing.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@require_safe
def picture(request: HttpRequest, path: str) -> HttpResponseBase:
    """A picture or video that some row names: what no row names is not there."""
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
    start, end, status = 0, file.size, 200
    if wanted := _wanted(request, tag, file.size):
        start, end = wanted
        if start >= end:
            file.close()
            headers["Content-Range"] = f"bytes */{file.size}"
            return HttpResponse(status=416, headers={**headers, "Content-Length": "0"})
        status, headers["Content-Length"] = 206, str(end - start)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        file.seek(start)
    pieces = _read_async if isinstance(request, ASGIRequest) else _read
    chunks = pieces(file, end - start)
    return StreamingHttpResponse(chunks, content_type=mime, headers=headers, status=status)


def _wanted(request: HttpRequest, tag: str, size: int) -> tuple[int, int] | None:
    """The stretch that is asked for, from there until before there; None for all of it."""
    match = RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or match[0] == "bytes=-" or request.headers.get("If-Range", tag) != tag:
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size


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


def _read(file: "File[bytes]", size: int) -> Iterator[bytes]:
    with file:
        while size > 0 and (chunk := file.read(min(CHUNK, size))):
            size -= len(chunk)
            yield chunk


async def _read_async(file: "File[bytes]", size: int) -> AsyncIterator[bytes]:
    read = sync_to_async(file.read, thread_sensitive=False)
    try:
        while size > 0 and (chunk := await read(min(CHUNK, size))):
            size -= len(chunk)
            yield chunk
    finally:
        file.close()
