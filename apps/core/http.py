"""The one client for outgoing HTTP: it resolves first, refuses private addresses, then connects
to the very address it checked, and follows no redirect."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx
from django.conf import settings

# Deadlines live here: thread pools cannot stop a task that hangs.
TIMEOUT = httpx.Timeout(20, connect=5)
# A whole call, however slowly the other side drips; a request may carry its own `deadline`.
DEADLINE_SECONDS = 30.0
# No answer we ask for is larger; a hostile server must not fill our memory.
LARGEST_ANSWER = 10_000_000
# A write is cut into pieces of one TLS record, because every piece starts the socket's clock anew.
PIECE = 16_384

IPV6_INTERNET = ipaddress.ip_network("2000::/3")
# Carry an IPv4 address at their end; a translator on the way may deliver to it.
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(httpx.RequestError):
    """The host leads to a private address that GATOR_ALLOWED_PRIVATE_HOSTS does not name."""


def is_public(address: str) -> bool:
    """Whether an IP address is one anybody on the internet could reach."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
        if (inner := ip.ipv4_mapped or ip.sixtofour) is not None:
            return is_public(str(inner))
        # Python calls ::127.0.0.1 and fec0::1 global; only this block was ever given out.
        if ip not in IPV6_INTERNET:
            return False
    return ip.is_global and not ip.is_multicast


def is_named(host: str, port: int) -> bool:
    """Whether the operator allowed this private host, on every port or on this one."""
    allowed = {name.lower() for name in settings.GATOR_ALLOWED_PRIVATE_HOSTS}
    return not allowed.isdisjoint({host.lower(), f"{host}:{port}".lower()})


def _checked_addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} could not be resolved: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    # All of them must be public: a name with one private address is a trick or a mistake.
    if not is_named(host, port) and not all(is_public(address) for address in addresses):
        raise AddressRefused(
            f"{host} is a private address; name it in GATOR_ALLOWED_PRIVATE_HOSTS to allow it."
        )
    return addresses


def open_socket(host: str, port: int, *, seconds: float) -> socket.socket:
    """A connection to an address that was checked, for what is not HTTP; the caller closes it.

    Raises AddressRefused, or httpx.ConnectError where nobody answers.
    """
    deadline = time.monotonic() + seconds
    try:
        addresses = _checked_addresses(host, port)
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error)) from None
    last: OSError | None = None
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as error:
            last = error
    raise httpx.ConnectError(f"{host} does not answer: {last or 'too late'}")


_call = threading.local()


def _within_deadline(
    timeout: float | None, late: type[httpcore.TimeoutException] = httpcore.ReadTimeout
) -> float:
    left = float(_call.deadline - time.monotonic())
    if left <= 0:
        raise late("The call took longer than its deadline.")
    return left if timeout is None else min(timeout, left)


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the call's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _within_deadline(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), PIECE):
            limit = _within_deadline(timeout, httpcore.WriteTimeout)
            self._stream.write(buffer[start : start + PIECE], limit)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        # Nothing of the request has left yet: whoever asks may safely try again.
        limit = _within_deadline(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedBackend(httpcore.SyncBackend):
    """Opens connections to the address that was checked, not to a second look-up of the name."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        last: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in _checked_addresses(host, port):
            try:
                limit = _within_deadline(timeout, httpcore.ConnectTimeout)
                return _DeadlineStream(
                    super().connect_tcp(address, port, limit, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError(f"{host} has no address.")


class _Capped(httpx.SyncByteStream):
    """A response body that ends in an error once it exceeds LARGEST_ANSWER."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        seen = 0
        for chunk in self._stream:
            seen += len(chunk)
            if seen > LARGEST_ANSWER:
                raise httpx.ReadError(f"The answer is larger than {LARGEST_ANSWER:,} bytes.")
            yield chunk

    def close(self) -> None:
        self._stream.close()


class CheckedTransport(httpx.HTTPTransport):
    """httpx's own transport with our way of opening connections."""

    def __init__(self) -> None:
        super().__init__(trust_env=False, limits=httpx.Limits(max_keepalive_connections=20))
        # httpx offers no argument for httpcore's network backend.
        self._pool._network_backend = _CheckedBackend()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # Reading the body happens in this same thread, so it ends at the same deadline.
        allowed = request.extensions.get("deadline", DEADLINE_SECONDS)
        _call.deadline = time.monotonic() + allowed
        response = super().handle_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            # We asked for none; a packed body could unpack to a thousand times its size.
            response.close()
            raise httpx.ReadError("The answer is compressed though we asked for plain.")
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Capped(response.stream)
        return response


def client(*, transport: httpx.BaseTransport | None = None, **options: Any) -> httpx.Client:
    """An httpx client; tests hand in `transport`, everybody else gets the checked one."""
    options.setdefault("timeout", TIMEOUT)
    headers = {
        "User-Agent": f"Gator/{settings.VERSION}",
        "Accept-Encoding": "identity",
        **options.pop("headers", {}),
    }
    return httpx.Client(
        transport=transport or CheckedTransport(),
        # Accounts share a client: one's session cookie must never ride on another's call.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
        headers=headers,
        **options,
    )
