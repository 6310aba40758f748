"""Who opens a socket: by session cookie, `Authorization: Bearer`, or a subprotocol's token.

Proofs of many sockets are checked in one query each for sessions and users, at the connect and
once a second afterwards; nothing about a user is remembered longer than that.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from apps.chat import protocol
from apps.chat.databases import as_uuid, rows_of

TOKEN, SESSION = "token", "session"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a socket was opened with: a session's key, or a token's claims about its user."""

    kind: str
    key: str
    user_id: UUID | None = None
    version: int = 0
    # The first characters of the hash that changes with the password.
    password_mark: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user whose proof was good when it was last looked at."""

    user_id: UUID
    name: str
    is_staff: bool
    proof: Proof
    expires_at: float | None = None


class Refused(Exception):
    """The socket is refused with this close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# -- Reading the handshake -----------------------------------------------------------------------


def _header(scope: Any, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key.lower() == name:
            return str(value, "latin-1")
    return ""


def check_origin(scope: Any) -> None:
    """Refuse pages of other sites: a browser would send them our visitor's cookie.

    Programs send no Origin. `http://localhost:8000` and `http://127.0.0.1:8000` are both this
    studio when the Host header says so.
    """
    origin = _header(scope, b"origin")
    if not origin:
        return
    try:
        parts = urlsplit(origin)
        host = parts.netloc.lower()
    except ValueError:
        raise Refused(protocol.FORBIDDEN, "origin not allowed") from None
    own = urlsplit(settings.GATOR_PUBLIC_URL)
    allowed = {f"{own.scheme}://{own.netloc}".lower(), *map(str.lower, settings.CHAT_ORIGINS)}
    if origin.lower() in allowed:
        return
    same = host == _header(scope, b"host").lower() and parts.scheme in ("http", "https")
    if not (same and _is_allowed_host(parts.hostname or "")):
        raise Refused(protocol.FORBIDDEN, "origin not allowed")


def _is_allowed_host(host: str) -> bool:
    # A name pointed at us by somebody else (DNS rebinding) is not one of ALLOWED_HOSTS.
    from django.http.request import validate_host

    return validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS)


def proof_of(scope: Any) -> tuple[Proof, float | None, str | None]:
    """The proof in a handshake, when it expires, and the subprotocol to answer with."""
    offered: list[str] = scope.get("subprotocols") or []
    chosen = protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None
    kind, _, bearer = _header(scope, b"authorization").partition(" ")
    if kind.lower() == "bearer" and bearer:
        return (*of_token(bearer.strip()), chosen)
    for each in offered:
        if each.startswith("bearer."):
            return (*of_token(each.removeprefix("bearer.")), chosen)
    key = _session_key(scope)
    if key is None:
        raise Refused(protocol.UNAUTHENTICATED, "sign in first")
    return Proof(SESSION, key), None, chosen


def _session_key(scope: Any) -> str | None:
    try:
        morsel = SimpleCookie(_header(scope, b"cookie")).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    key = morsel.value if morsel is not None else ""
    return key if key.isalnum() and 8 <= len(key) <= 40 else None


def of_token(raw: str) -> tuple[Proof, float]:
    """The proof in an access token whose signature and time are good."""
    if len(raw) > protocol.LONGEST_TOKEN:
        raise Refused(protocol.UNAUTHENTICATED, "token not valid")
    try:
        token = AccessToken(raw)  # type: ignore[arg-type]
        user_id = UUID(str(token[api_settings.USER_ID_CLAIM]))
        version = int(token["ver"])
        mark = str(token["pwd"])
    except (TokenError, KeyError, ValueError, TypeError):
        raise Refused(protocol.UNAUTHENTICATED, "token not valid") from None
    return Proof(TOKEN, "", user_id, version, mark), float(token["exp"])


# -- Checking proofs -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Person:
    id: UUID
    name: str
    is_staff: bool
    version: int
    password: str


@lru_cache(maxsize=20_000)
def _password_hash(password: str, secret: str) -> str:
    # As AbstractBaseUser.get_session_auth_hash makes it, which works on instances only.
    salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    return salted_hmac(salt, password, secret=secret, algorithm="sha256").hexdigest()


_PEOPLE = (
    "SELECT id, username, first_name, last_name, is_staff, token_version, password "
    "FROM core_user WHERE is_active AND id IN (ids)"
)


def _people(ids: Iterable[UUID]) -> dict[UUID, _Person]:
    found: dict[UUID, _Person] = {}
    for kept, username, first, last, is_staff, version, password in rows_of(_PEOPLE, ids):
        user_id = as_uuid(kept)
        name = f"{first} {last}".strip() or username
        found[user_id] = _Person(user_id, name, bool(is_staff), version, password)
    return found


def _sessions(keys: Iterable[str]) -> dict[str, tuple[UUID, str]]:
    """The user and password hash in each live session."""
    rows = Session.objects.filter(session_key__in=list(keys), expire_date__gt=timezone.now())
    return {
        key: found
        for key, data in rows.values_list("session_key", "session_data")
        if (found := _decoded(data)) is not None
    }


@lru_cache(maxsize=20_000)
def _decoded(data: str) -> tuple[UUID, str] | None:
    content = SessionStore().decode(data)
    try:
        return UUID(content["_auth_user_id"]), content["_auth_user_hash"]
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def people_behind(proofs: Iterable[Proof]) -> dict[Proof, _Person]:
    """The user behind each proof that is good now."""
    wanted = list(proofs)
    sessions = _sessions(proof.key for proof in wanted if proof.kind == SESSION)
    ids = {proof.user_id for proof in wanted if proof.user_id is not None}
    people = _people(ids | {user_id for user_id, _ in sessions.values()})
    found: dict[Proof, _Person] = {}
    for proof in wanted:
        if proof.kind == SESSION:
            user_id, mark = sessions.get(proof.key, (None, ""))
            person = people.get(user_id) if user_id is not None else None
        else:
            mark = proof.password_mark
            person = people.get(proof.user_id) if proof.user_id is not None else None
            if person is not None and person.version != proof.version:
                continue
        if person is not None and _fits(person, mark):
            found[proof] = person
    return found


def _fits(person: _Person, mark: str) -> bool:
    # After a change of SECRET_KEY the old ones count until their users have signed in again.
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return _is_of_password(mark, person.password, secrets)


@lru_cache(maxsize=20_000)
def _is_of_password(mark: str, password: str, secrets: tuple[str, ...]) -> bool:
    # A session keeps the whole hash, a token its first 24 characters.
    return len(mark) >= 24 and any(
        constant_time_compare(_password_hash(password, secret)[: len(mark)], mark)
        for secret in secrets
    )


def still_good(proofs: Iterable[Proof]) -> set[Proof]:
    """Which of these proofs still open a socket."""
    return set(people_behind(proofs))


async def identify(proof: Proof, expires_at: float | None, *, loader: Any) -> Identity:
    """The user behind a proof; Refused when it is not good, or no longer."""
    person: _Person | None = await loader.get(proof)
    if person is None or (expires_at is not None and expires_at <= time.time()):
        raise Refused(protocol.UNAUTHENTICATED, "sign in first")
    return Identity(person.id, person.name, person.is_staff, proof, expires_at)
