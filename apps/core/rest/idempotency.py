"""Idempotency-Key: the same unsafe call made twice is done once, and answered twice.

A row per user and key is written before the call; the unique constraint decides between two that
come at once. The call and its answer are committed together, so that a crash leaves either both
or neither; a key without an answer is free again once no call can still be running.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.models import ReplayableResponse, User
from apps.core.rest.problems import Problem, typed
from apps.core.tasks import REPLAYS_KEPT

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
# Longer than any request takes, calls to a slow network included.
STILL_RUNNING = timedelta(minutes=5)

Handler = Callable[..., Response]


class _TakenOver(Exception):
    """This call outlived its key, and another took it: its own work must not count as well."""


def answer_once(
    handler: Handler,
    refuse: Callable[[Exception], Response],
    request: Request,
    *args: Any,
    atomic: bool = True,
    **kwargs: Any,
) -> Response:
    """Run `handler` unless this key has its answer; `refuse` makes a response of an error.

    `atomic` is False for a call that talks to a network: no transaction may wait for that.
    """
    key = request.headers[HEADER]
    if not (0 < len(key) <= 200 and key.isascii() and key.isprintable()):
        raise Problem("idempotency_key_invalid", "Give 1 to 200 printable ASCII characters.")
    row = _take(request, key)
    if row.status is not None:
        stored = row.body or {}
        headers = {**stored.get("headers", {}), REPLAYED: "true"}
        content = stored.get("content")
        replay = Response(content and json.loads(content), status=row.status, headers=headers)
        return typed(replay, request) if row.status >= 400 else replay
    kept = False
    try:
        try:
            if atomic:
                with transaction.atomic():
                    response = handler(request, *args, **kwargs)
                    kept = response.status_code < 400 and _keep(row, response)
            else:
                response = handler(request, *args, **kwargs)
        except _TakenOver:
            raise Problem("still_running", "Another request took this key over.") from None
        except Exception as error:
            response = refuse(error)
        if not kept and response.status_code < 500:
            kept = _keep(row, response)
        return response
    finally:
        if not kept:
            _mine(row).delete()


def _take(request: Request, key: str) -> ReplayableResponse:
    user, now = request.user, timezone.now()
    assert isinstance(user, User)
    wanted = fingerprint(request)
    try:
        with transaction.atomic():
            return ReplayableResponse.objects.create(
                user=user, key=key, fingerprint=wanted, started_at=now
            )
    except IntegrityError:
        pass
    rows = ReplayableResponse.objects.filter(user=user, key=key)
    expired = Q(started_at__lt=now - REPLAYS_KEPT) | Q(
        status=None, started_at__lt=now - STILL_RUNNING
    )
    # One conditional UPDATE decides who takes over a key that a crash left behind.
    taken = rows.filter(expired).update(started_at=now, fingerprint=wanted, status=None, body=None)
    row = rows.first()
    if row is None or (row.status is None and not taken):
        raise Problem("still_running", "The first request with this key has no answer yet.")
    if row.fingerprint != wanted:
        raise Problem(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request; make a new key for a new request.",
        )
    return row


def _mine(row: ReplayableResponse) -> Any:
    # `started_at` is the fence: whoever took the key over wrote another.
    return ReplayableResponse.objects.filter(pk=row.pk, started_at=row.started_at, status=None)


def _keep(row: ReplayableResponse, response: Response) -> bool:
    # As text: PostgreSQL's JSON would bring the members into another order.
    content = JSONRenderer().render(response.data).decode() if response.data else None
    headers = {name: response[name] for name in ("Location",) if name in response}
    stored = {"content": content, "headers": headers}
    if not _mine(row).update(status=response.status_code, body=stored):
        raise _TakenOver
    return True


def fingerprint(request: Request) -> str:
    """Method, path and body in one keyed hash: a stored row tells nobody what was sent."""
    digest = hashlib.sha256()
    for part in (str(request.method), request.get_full_path()):
        digest.update(part.encode() + b"\0")
    if (request.content_type or "").startswith("multipart/"):
        # Parsed, because every attempt of a client draws a new boundary.
        data: Any = request.data
        for name, values in sorted(data.lists()):
            for value in values:
                digest.update(repr(name).encode())
                if isinstance(value, UploadedFile):
                    for chunk in value.chunks():
                        digest.update(chunk)
                    value.seek(0)
                else:
                    digest.update(repr(value).encode())
    else:
        digest.update(request._request.body)
    return salted_hmac("gator.idempotency", digest.digest(), algorithm="sha256").hexdigest()
