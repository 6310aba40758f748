"""Middleware of the whole studio: request ids in the logs, and the content security policy."""

import uuid
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import structlog
from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

# The admin's theme runs inline scripts and styles; the API's own pages have inline styles.
# Everything else is served under the strict policy of settings.CONTENT_SECURITY_POLICY.
LOOSER: dict[str, dict[str, list[str]]] = {
    "/admin/": {
        "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
        "style-src": ["'self'", "'unsafe-inline'"],
    },
    "/api/": {"style-src": ["'self'", "'unsafe-inline'"]},
}


class RequestIdMiddleware(MiddlewareMixin):
    """Gives every request an id, in its log lines and in the X-Request-ID answer header."""

    def process_request(self, request: HttpRequest) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=uuid.uuid4().hex)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id:
            response["X-Request-ID"] = request_id
        return response


class ViewerZoneMiddleware(MiddlewareMixin):
    """Shows the admin's times in the zone of the viewer's browser (static/js/zone.js tells it)."""

    def process_request(self, request: HttpRequest) -> None:
        timezone.deactivate()
        name = unquote(request.COOKIES.get("gator_zone", ""))[:64]
        if name and request.path.startswith("/admin/"):
            try:
                timezone.activate(ZoneInfo(name))
            except (ValueError, OSError, LookupError):
                return  # No such zone: the studio's own stands.

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        timezone.deactivate()
        return response


class ContentSecurityMiddleware(CSPMiddleware):
    """django-csp's middleware with the two exceptions above."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        for prefix, directives in LOOSER.items():
            if request.path.startswith(prefix):
                response._csp_replace = directives
        return super().process_response(request, response)
