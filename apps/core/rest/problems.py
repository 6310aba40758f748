"""Errors of the API as problem+json (RFC 9457): a stable `code`, and each field with its reason."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import IntegrityError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.errors import Duplicate, Refused, WrongState

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api/"

# What a code means in a few words, and the status it comes with; docs/api.md explains each.
TITLES: dict[str, tuple[int, str]] = {
    "invalid": (400, "Some fields are missing or wrong"),
    "parse_error": (400, "The body could not be read"),
    "bad_request": (400, "The request could not be read"),
    "idempotency_key_invalid": (400, "The Idempotency-Key cannot be used"),
    "not_authenticated": (401, "Sign in first"),
    "authentication_failed": (401, "These credentials are not valid"),
    "token_not_valid": (401, "This token is not valid"),
    "sign_in_failed": (401, "Wrong name or password"),
    "permission_denied": (403, "You may not do this"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This address does not take that method"),
    "not_acceptable": (406, "No such format"),
    "wrong_state": (409, "Not possible in its present state"),
    "duplicate": (409, "The same is there already"),
    "in_use": (409, "Something else needs it"),
    "conflict": (409, "Somebody else was faster"),
    "still_running": (409, "The first request with this key is still running"),
    "too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "This content type is not taken"),
    "refused": (422, "This cannot be done as asked"),
    "idempotency_key_reused": (422, "This Idempotency-Key belongs to another request"),
    "throttled": (429, "Too many requests"),
    "error": (500, "Something broke on our side"),
    "unavailable": (503, "The database does not answer"),
}
_BY_STATUS = {
    **{status: code for code, (status, _) in reversed(TITLES.items())},
    400: "bad_request",
    401: "not_authenticated",
    409: "conflict",
}

Entry = dict[str, str]


class Problem(exceptions.APIException):
    """An error of the API itself, named by one of the codes above."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code)
        self.status_code = TITLES[code][0]


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: whatever was raised becomes one problem, and never a traceback."""
    set_rollback()
    return typed(_respond(error), context.get("request"))


def typed(response: Response, request: Any) -> Response:
    """Name a problem's media type; in a browser DRF shows the same problem inside its own page."""
    renderer = getattr(request, "accepted_renderer", None)
    if renderer is None or renderer.format != "api":
        response.content_type = MEDIA_TYPE
    return response


def _respond(error: Exception) -> Response:
    match error:
        case Duplicate():
            return problem("duplicate", str(error), errors=_listed(error))
        case WrongState():
            return problem("wrong_state", str(error), errors=_listed(error))
        case Refused():
            return problem("refused", str(error), errors=_listed(error))
        case exceptions.ValidationError():
            errors = list(_flattened(error.get_full_details()))
            detail = " ".join(
                f"{each['field']}: {each['message']}" if each["field"] else each["message"]
                for each in errors[:5]
            )
            return problem("invalid", detail, errors=errors)
        case Http404():
            return problem("not_found", "There is nothing at this address.")
        case PermissionDenied():
            return problem("permission_denied", "You may not do this.")
        case RequestDataTooBig():
            return problem("too_large", "The body is larger than this address takes.")
        case SuspiciousOperation():
            return problem("bad_request", "The request could not be read.")
        case ProtectedError():
            return problem("in_use", "Other things refer to it, so it stays.")
        case IntegrityError():
            return problem("conflict", "It changed at the same moment; look again and retry.")
        case OperationalError():
            log.exception("database does not answer")
            return problem("unavailable", "Try again soon.", headers={"Retry-After": "5"})
        case exceptions.APIException():
            return _from_drf(error)
    log.exception("unexpected error in the API")
    return problem("error", "It was logged under this request's id.")


def _from_drf(error: exceptions.APIException) -> Response:
    headers: dict[str, str] = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(1, int(wait)))
    detail = error.detail
    if isinstance(detail, dict):
        # simplejwt's errors carry a dictionary.
        code, words = str(detail.get("code", "")), str(detail.get("detail", ""))
    else:
        code, words = str(getattr(detail, "code", "")), str(detail)
    if code not in TITLES or TITLES[code][0] != error.status_code:
        code = _BY_STATUS.get(error.status_code, "error")
    return problem(code, words, headers=headers, status=error.status_code)


def problem(
    code: str,
    detail: str,
    *,
    errors: list[Entry] | None = None,
    headers: dict[str, str] | None = None,
    status: int | None = None,
) -> Response:
    """The answer for one code."""
    return Response(body(code, detail, errors=errors), status or TITLES[code][0], headers=headers)


def body(code: str, detail: str, *, errors: list[Entry] | None = None) -> dict[str, Any]:
    """The members of a problem, in RFC 9457's order with ours behind."""
    status, title = TITLES[code]
    return {
        "type": f"urn:gator:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": errors or [],
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }


def _listed(error: Refused) -> list[Entry]:
    return [{"field": f, "code": code, "message": words} for f, code, words in error.problems]


def _flattened(details: Any, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    if isinstance(details, dict) and isinstance(details.get("message"), str):
        field = ".".join(part for part in path if part != "non_field_errors")
        yield {"field": field, "code": str(details["code"]), "message": details["message"]}
    elif isinstance(details, dict):
        for key, value in details.items():
            yield from _flattened(value, (*path, str(key)))
    elif isinstance(details, list):
        for index, value in enumerate(details):
            # A list of words belongs to its field; a list of rows is numbered.
            words = isinstance(value, dict) and isinstance(value.get("message"), str)
            if value:
                yield from _flattened(value, path if words else (*path, str(index)))


class ApiProblemsMiddleware(MiddlewareMixin):
    """Turns what Django itself refuses under /api/ (no such address, bad host) into a problem."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if (
            response.status_code < 400
            or not request.path.startswith(PREFIX)
            or hasattr(response, "accepted_renderer")
            or response.get("Content-Type", "").startswith(MEDIA_TYPE)
        ):
            return response
        code = _BY_STATUS.get(response.status_code, "error")
        content = {
            **body(code, HTTPStatus(response.status_code).description or TITLES[code][1]),
            "status": response.status_code,
        }
        return HttpResponse(
            json.dumps(content), status=response.status_code, content_type=MEDIA_TYPE
        )
