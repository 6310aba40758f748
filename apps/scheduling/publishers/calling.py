"""Networks spoken to over HTTP: one way to call them, and what each outcome means.

An outcome becomes one of the four errors by one question: may the post be there? Only the call that
publishes (`publishing=True`) can leave that open; an upload that went unanswered is simply made
again.
"""

import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, BinaryIO, ClassVar, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx

from apps.core import http
from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    NeedsReconnect,
    Permanent,
    Processing,
    Publisher,
    PublishError,
    Temporary,
    Unconfirmed,
)

LONGEST_WORDS = 300
REACH_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 86_400.0
RESET_HEADERS = ("retry-after", "ratelimit-reset", "x-ratelimit-reset")
# The server did not take the request in; nothing came of it.
TRY_LATER = frozenset({408, 425})
T = TypeVar("T")
# A line slower than this, in bytes a second, is given up.
SLOWEST_UPLOAD = 100_000
# While a large file flows, its delivery stays ours: a third of the lease.
SIGN_OF_LIFE_SECONDS = 30.0
# What a network does with a video takes minutes: it is asked a few times, then later again.
VIDEO_PROCESSING_SECONDS = 6.0
SLUG = re.compile(r"[A-Za-z][\w.-]{0,59}", re.ASCII)


class HttpPublisher(Publisher):
    """A publisher that calls a server; `transport` and `sleep` are for tests."""

    default_server: ClassVar[str] = ""
    # Error codes in the network's own answers that say "sign in again", whatever the status.
    reconnect_codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._sleep = sleep

    @cached_property
    def _client(self) -> httpx.Client:
        return http.client(transport=self._transport)

    def close(self) -> None:
        """Give back the connections kept open between calls; a later call opens its own."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    def call(
        self,
        account: Account,
        method: str,
        url: str,
        *,
        publishing: bool = False,
        seconds: float = http.DEADLINE_SECONDS,
        **request: Any,
    ) -> httpx.Response:
        """One request, answered with 2xx, or one of the four errors."""
        try:
            response = self._client.request(
                method, url, extensions={"deadline": seconds}, **request
            )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            # `from None`: the cause may quote a header, and tracebacks are logged.
            raise self._from_failure(error, publishing=publishing) from None
        if not response.is_success:
            raise self.refusal(account, response, publishing=publishing)
        return response

    def reach(self) -> None:
        """Ask whether the network's own server answers at all; raises Temporary if it does not."""
        try:
            self._client.get(self.default_server, extensions={"deadline": REACH_SECONDS})
        except httpx.HTTPError as error:
            raise self._from_failure(error, publishing=False) from None

    def read(self, response: httpx.Response, *, publishing: bool = False) -> Any:
        """The JSON of a successful answer."""
        try:
            return response.json()
        except (ValueError, RecursionError):
            self.malformed("its answer is not JSON", publishing=publishing)

    def until(self, ready: Callable[[], T | None], *, seconds: float) -> T:
        """What `ready` answers once it is not None; asked ever more rarely, at most so long."""
        deadline = time.monotonic() + seconds
        pause = 0.5
        while (answer := ready()) is None:
            if time.monotonic() + pause > deadline:
                raise Processing(f"{self.label} is still processing it.", code="media_processing")
            self._sleep(pause)
            pause = min(pause * 2, 5.0)
        return answer

    def delete(self, gone: frozenset[str], call: Callable[[], Any]) -> None:
        """Make the call that deletes a post; these codes of a refusal say that it is gone."""
        try:
            call()
        except Permanent as error:
            if error.code not in gone:
                raise

    def malformed(self, what: str, *, publishing: bool = False) -> NoReturn:
        """A 2xx that does not say what it must: the post may well be there."""
        error = Unconfirmed if publishing else Temporary
        raise error(f"{self.label} answered, but {what}.", code="malformed_answer")

    def server(self, account: Account) -> str:
        """The server's address without a path: https, or plain http to a named private host."""
        parts = urlsplit(self.address(account))
        return f"{parts.scheme}://{parts.netloc}"

    def address(self, account: Account) -> str:
        """The address the account gives, checked before anything secret is sent to it."""
        given = (account.server or self.default_server).strip()
        if given and "://" not in given:
            given = f"https://{given}"
        try:
            parts = urlsplit(given)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host:
            raise Permanent(f"{given[:100]!r} is no server address.", code="bad_address")
        plain = parts.scheme == "http" and http.is_named(host, port or 80)
        if parts.scheme != "https" and not plain:
            raise Permanent(
                f"{host} must be reached by https: credentials never travel in the clear.",
                code="insecure_address",
            )
        return given

    def _from_failure(self, error: Exception, *, publishing: bool) -> PublishError:
        if isinstance(error, http.AddressRefused):
            return Permanent(bounded(error), code="private_address")
        if isinstance(error, httpx.ConnectError):
            words = f"{self.label} could not be reached: {bounded(error)}"
            return Temporary(words, code="unreachable")
        if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
            return Temporary(f"{self.label} could not be reached in time.", code="unreachable")
        if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
            return Permanent(f"{self.label}: this is no address to call.", code="bad_address")
        if isinstance(error, (httpx.LocalProtocolError, UnicodeError)):
            words = f"{self.label}: the credentials hold characters that cannot be sent."
            return NeedsReconnect(words, code="bad_credentials")
        late = isinstance(error, httpx.TimeoutException)
        what = "did not answer in time" if late else "broke off the connection"
        code = "timeout" if late else "connection_lost"
        if publishing:
            return Unconfirmed(f"{self.label} {what} after the post was sent.", code=code)
        return Temporary(f"{self.label} {what}.", code=code)

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        """What an answer other than 2xx means."""
        status = response.status_code
        slug, said = self.said(response)
        words = bounded(said, hide=account.credentials) or f"HTTP {status}"
        slug = bounded(slug, hide=account.credentials)
        code = slug if SLUG.fullmatch(slug) else f"http_{status}"
        if status == 429:
            return Temporary(
                f"{self.label} asks to slow down: {words}",
                code="rate_limited",
                retry_after=self.wait(response),
                whole_account=True,
            )
        if status >= 500 or status < 200:
            if publishing:
                words = f"{self.label} failed after the post was sent: {words}"
                return Unconfirmed(words, code=code)
            return Temporary(
                f"{self.label} has trouble: {words}",
                code=code,
                retry_after=wait_of(response.headers, names=("retry-after",)),
            )
        if status < 400:
            host = bounded(host_of(response.headers.get("location", "")))
            return Permanent(
                f"{self.label} answered with a redirect to {host or 'elsewhere'}, which is not "
                "followed; enter the server's final address.",
                code="redirect",
            )
        if status == 401 or slug in self.reconnect_codes:
            return NeedsReconnect(f"{self.label} refused the credentials: {words}", code=code)
        if status in TRY_LATER:
            return Temporary(f"{self.label} asks to try again: {words}", code=code)
        return Permanent(f"{self.label} refused: {words}", code=code)

    def said(self, response: httpx.Response) -> tuple[str, str]:
        """The error code and the words of a refusal; networks with a spelling of their own."""
        return _said(response)

    def wait(self, response: httpx.Response) -> float | None:
        """How many seconds a network that asks to slow down wants us to wait."""
        return wait_of(response.headers)


class Flow:
    """An open file, or a stretch of it, that tells `alive` now and then while it is read.

    For uploads in one request: they may take longer than a lease, and must not take memory.
    """

    def __init__(
        self,
        file: BinaryIO,
        alive: Callable[[], None],
        *,
        start: int = 0,
        size: int | None = None,
    ) -> None:
        self._file, self._alive, self._start = file, alive, start
        self._size = file.seek(0, os.SEEK_END) - start if size is None else size
        self._place, self._last = 0, time.monotonic()
        self.seek(0)

    def read(self, size: int = -1) -> bytes:
        if time.monotonic() - self._last > SIGN_OF_LIFE_SECONDS:
            self._last = time.monotonic()
            self._alive()
        left = self._size - self._place
        piece = self._file.read(left if size < 0 else min(size, left))
        self._place += len(piece)
        return piece

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._place = place + {os.SEEK_CUR: self._place, os.SEEK_END: self._size}.get(whence, 0)
        self._file.seek(self._start + self._place)
        return self._place

    def tell(self) -> int:
        return self._place

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(65_536):
            yield piece


def upload_seconds(attachment: Attachment) -> float:
    """How long uploading it in one request may take."""
    return 60 + attachment.size / SLOWEST_UPLOAD


def bounded(text: object, *, hide: Mapping[str, Any] | None = None) -> str:
    """A stranger's words made fit to show: one short line, no control characters, no secrets."""
    words = str(text)[: LONGEST_WORDS * 10]
    for secret in (hide or {}).values():
        if isinstance(secret, str) and len(secret) >= 6:
            words = words.replace(secret, "[hidden]")
    # "C": control and format characters, which include the ones that turn the writing direction.
    words = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in words)
    words = " ".join(words.split())
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 1]}…"


def within(answer: Any, *path: str) -> Any:
    """What stands at this path of a stranger's JSON, or None where the path breaks off."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def moment_of(value: Any) -> datetime | None:
    """A stranger's ISO moment, or None."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def host_of(url: str) -> str:
    """The host of a stranger's URL, or nothing."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def wait_of(headers: httpx.Headers, *, names: tuple[str, ...] = RESET_HEADERS) -> float | None:
    """How many seconds the network asks us to wait: Retry-After, else when its limit resets."""
    for name in names:
        if (wait := _seconds(headers.get(name, ""))) is not None:
            return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)
    return None


def _seconds(value: str) -> float | None:
    """From now: a number of seconds, a moment in Unix time, an HTTP date or an ISO date."""
    if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", value, re.ASCII):
        number = float(value)
        if number > 1e11:
            number /= 1_000
        return number - time.time() if number > 1e9 else number
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(value)
        except (ValueError, OverflowError):
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - datetime.now(UTC)).total_seconds()
    return None


def _said(response: httpx.Response) -> tuple[str, str]:
    """The error code and the words of an answer, in the spellings that servers use."""
    # Not response.text: the server would choose the codec.
    text = response.content[:4_000].decode("utf-8", "replace")
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return "", re.sub(r"<(script|style)\b.*?</\1\s*>|<[^<>]*>", " ", text, flags=re.I | re.S)
    if not isinstance(answer, dict):
        return "", text
    slug = answer.get("error") or answer.get("code") or ""
    for name in ("message", "error_description", "detail", "error"):
        if isinstance(words := answer.get(name), str) and words:
            return str(slug), words
    return str(slug), text
