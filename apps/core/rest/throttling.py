"""How often somebody may ask: counters in Redis, rates from the settings, headers that say so."""

import hashlib
import math
import time
from typing import Any

import structlog
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

log = structlog.get_logger(__name__)


class Throttle(BaseThrottle):
    """So many requests in a fixed window; subclasses say who is counted."""

    scope: str

    def __init__(self) -> None:
        self.limit = self.left = self.reset = 0

    def who(self, request: Request) -> str | None:
        """Under which name this request counts; None lets it pass uncounted."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: Any) -> bool:
        rate = api_settings.DEFAULT_THROTTLE_RATES.get(self.scope)
        who = self.who(request)
        if not rate or who is None:
            return True
        limit, seconds = _parsed(str(rate))
        now = time.time()
        window = int(now // seconds)
        digest = hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:32]
        key = f"throttle:{self.scope}:{digest}:{window}"
        try:
            # add and incr are one step each in Redis: a hundred guesses sent at once all count.
            cache.add(key, 0, timeout=seconds + 1)
            count = cache.incr(key)
        except Exception as error:
            # A studio without Redis must still take posts; they are rows in the database.
            log.warning("nobody counts requests", scope=self.scope, error=type(error).__name__)
            return True
        self.limit, self.left = limit, max(0, limit - count)
        self.reset = math.ceil((window + 1) * seconds - now)
        request._request.META.setdefault("gator.throttles", []).append(self)
        return count <= limit

    def wait(self) -> float | None:
        return float(self.reset)


def _parsed(rate: str) -> tuple[int, int]:
    number, _, period = rate.partition("/")
    return int(number), {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[period[0]]


class AnonymousThrottle(Throttle):
    """Those who are not signed in, by address."""

    scope = "anon"

    def who(self, request: Request) -> str | None:
        if request.user and request.user.is_authenticated:
            return None
        return self.get_ident(request)


class UserThrottle(Throttle):
    """Each user."""

    scope = "user"

    def who(self, request: Request) -> str | None:
        if request.user and request.user.is_authenticated:
            return str(request.user.pk)
        return None


class SignInByAddress(Throttle):
    """Attempts to sign in from one address."""

    scope = "sign-in"

    def who(self, request: Request) -> str | None:
        return f"address {self.get_ident(request)}"


class SignInByName(Throttle):
    """Attempts to sign in under one name, from wherever they come."""

    scope = "sign-in"

    def who(self, request: Request) -> str | None:
        data = request.data
        name = data.get("username") if isinstance(data, dict) else None
        return f"name {name.casefold()}" if isinstance(name, str) else None


def headers(request: Any) -> dict[str, str]:
    """The RateLimit headers of the throttle that is nearest to its limit."""
    throttles: list[Throttle] = request.META.get("gator.throttles", [])
    if not throttles:
        return {}
    tightest = min(throttles, key=lambda each: each.left)
    return {
        "RateLimit-Limit": str(tightest.limit),
        "RateLimit-Remaining": str(tightest.left),
        "RateLimit-Reset": str(tightest.reset),
    }
