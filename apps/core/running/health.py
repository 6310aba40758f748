"""What monitoring polls: /healthz says that the process answers, /readyz that the studio works."""

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.core.models import Lease
from apps.core.running import beat, workers

log = structlog.get_logger(__name__)

# However often it is polled, the database is asked once in this time.
CACHE_SECONDS = 1.0
ADVICE_SECONDS = 60.0


class NotReady(Exception):
    """Why a part does not work, in words that hold no secret."""


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The web process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Every part with its state; 200 when all work, else 503. Advisories change neither."""
    parts = _report.get()
    ready = all(part["ok"] for part in parts.values())
    status = "ready" if ready else "not ready"
    # A missing backup needs a person today; it is no reason to send visitors away.
    said = {"status": status, "parts": parts, "advisories": _advisories.get()}
    return JsonResponse(said, status=200 if ready else 503)


# -- The parts ----------------------------------------------------------------------------------


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    cache.has_key("readyz")


@lru_cache(maxsize=1)
def _known_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.nodes)


def _migrations() -> None:
    applied = MigrationRecorder(connection).applied_migrations()
    if missing := sorted(_known_migrations().difference(applied)):
        raise NotReady("not applied: " + ", ".join(f"{app}.{name}" for app, name in missing))


def _beat() -> None:
    if not Lease.objects.live().filter(name=beat.LEASE).exists():
        raise NotReady("nobody ticks")


def _workers() -> None:
    if unserved := workers.unserved_queues():
        raise NotReady(f"no worker for: {', '.join(sorted(unserved))}")


PARTS: dict[str, Callable[[], None]] = {
    "database": _database,
    "redis": _redis,
    "migrations": _migrations,
    "beat": _beat,
    "workers": _workers,
}


def _advising(name: str) -> Callable[[], None]:
    def check() -> None:
        if words := import_string(settings.ADVISORIES[name])():
            raise NotReady(words)

    return check


def _advice() -> dict[str, Callable[[], None]]:
    return {name: _advising(name) for name in settings.ADVISORIES}


class _Report:
    """The last look at every part; many who poll at once share one look."""

    def __init__(self, parts: Callable[[], dict[str, Callable[[], None]]], seconds: float) -> None:
        self._lock = threading.Lock()
        self._checks = parts
        self._seconds = seconds
        self._taken_at = -seconds
        self._parts: dict[str, Any] = {}

    def get(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() - self._taken_at > self._seconds:
                checks = self._checks()
                self._parts = {name: self._look(name, check) for name, check in checks.items()}
                self._taken_at = time.monotonic()
            return self._parts

    def forget(self) -> None:
        """Look anew at the next question (for tests)."""
        self._taken_at = -self._seconds

    @staticmethod
    def _look(name: str, check: Callable[[], None]) -> dict[str, Any]:
        started = time.monotonic()
        try:
            check()
        except NotReady as error:
            return {"ok": False, "why": str(error)}
        except Exception as error:
            # Its text may name hosts and users: that goes into the log, the poller gets the kind.
            log.warning("not ready", part=name, error=str(error))
            return {"ok": False, "why": type(error).__name__}
        return {"ok": True, "ms": round((time.monotonic() - started) * 1000, 1)}


_report = _Report(lambda: PARTS, CACHE_SECONDS)
_advisories = _Report(_advice, ADVICE_SECONDS)
