"""The outgoing client: no trick leads it to a private address, no server holds it or fills it."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpcore
import httpx
import pytest
from pytest_django import Settings

from apps.core import http

Resolver = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """DNS as the test has it; the addresses of a name, or the machine's own answer."""
    table: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> list[tuple[Any, ...]]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name not in table:
            return list(real(host, port, *args, **options))
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (family[":" in address], socket.SOCK_STREAM, 6, "", (address, port))
            for address in table[name]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


@pytest.fixture(autouse=True)
def connected(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """Where a connection was opened; none is, unless the test runs a server of its own."""
    opened: list[str] = []
    if "server" in request.fixturenames:
        return opened

    def refuse(address: tuple[str, int], *args: Any, **options: Any) -> None:
        opened.append(address[0])
        raise ConnectionRefusedError(111, "nobody is there")

    monkeypatch.setattr(socket, "create_connection", refuse)
    return opened


# -- Addresses ----------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9",
    "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fe80::1%lo",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2001:0:4136:e378::",
    "::ffff:0:7f00:1", "5f00::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8",
    "64:ff9b::808:808", "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_known_in_every_dress(address: str) -> None:
    assert not http.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_through(address: str) -> None:
    assert http.is_public(address)


TRICKS = [
    "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/",
    "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/", "http://127.0.1/",
    "http://0/", "http://0.0.0.0/", "http://[::]/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/", "http://[2002:7f00:1::]/", "http://[fe80::1]/",
    "http://169.254.169.254/latest/meta-data/", "http://0xa9fea9fe/", "http://2852039166/",
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://127.0.0.1./",
    "http://public.example@127.0.0.1/", "http://public.example:80@127.0.0.1/",
    "http://public.example%2f@127.0.0.1/", "http://127.0.0.1#@public.example/",
    "http://127.0.0.1?@public.example/", "http://127。0。0。1/", "http://127．0．0．1/",
    "https://10.0.0.1/", "https://192.168.0.1:8443/",
]  # fmt: skip


@pytest.mark.parametrize("url", TRICKS)
def test_no_spelling_leads_inside(url: str, connected: list[str]) -> None:
    # ConnectError: some machines cannot resolve some of the spellings at all.
    refusals = (http.AddressRefused, httpx.InvalidURL, httpx.ConnectError)
    with http.client() as client, pytest.raises(refusals):
        client.get(url)
    assert connected == []


@pytest.mark.parametrize(
    "url",
    ["http://１２７.０.０.１/", "http://①②⑦.⓪.⓪.①/", "http://ⓛocalhost/", "file:///etc/passwd",
     "gopher://127.0.0.1/", "http+unix://%2frun%2fdocker.sock/", "http:///", "//127.0.0.1/"],
)  # fmt: skip
def test_what_is_no_web_address_is_not_called(url: str, connected: list[str]) -> None:
    with (
        http.client() as client,
        pytest.raises((httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)),
    ):
        client.get(url)
    assert connected == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["2606:4700::1", "::1"]],
)
def test_a_name_with_one_private_address_is_refused(
    addresses: list[str], names: dict[str, list[str]], connected: list[str]
) -> None:
    names["trick.example"] = addresses
    with http.client() as client, pytest.raises(http.AddressRefused, match=r"trick\.example"):
        client.get("http://trick.example/")
    assert connected == []


def test_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    """Rebinding: the second look-up would say 127.0.0.1, so there must be none."""
    looked_up: list[str] = []

    def look_up(host: str, port: int, *args: Any, **options: Any) -> list[tuple[Any, ...]]:
        looked_up.append(host)
        address = "8.8.8.8" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with http.client() as client, pytest.raises(httpx.ConnectError):
        client.get("http://rebinding.example/")
    assert looked_up == ["rebinding.example"]
    assert connected == ["8.8.8.8"]


def test_every_address_of_a_name_is_tried(
    names: dict[str, list[str]], connected: list[str]
) -> None:
    names["two.example"] = ["8.8.8.8", "2606:4700::1", "8.8.8.8"]
    with http.client() as client, pytest.raises(httpx.ConnectError):
        client.get("http://two.example/")
    assert connected == ["8.8.8.8", "2606:4700::1"]


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 64 + ".example", "x..example"])
def test_a_name_that_does_not_resolve_is_unreachable(host: str) -> None:
    with http.client() as client, pytest.raises((httpx.ConnectError, httpx.InvalidURL)):
        client.get(f"http://{host}/")


@pytest.mark.parametrize(
    ("named", "url", "allowed"),
    [
        (["ollama"], "http://ollama:11434/", True),
        (["Ollama"], "http://OLLAMA:1/", True),
        (["ollama:11434"], "http://ollama:11434/", True),
        (["ollama:11434"], "http://ollama:22/", False),
        (["ollama"], "http://ollama.evil.example/", False),
        (["::1"], "http://[::1]:9/", True),
        (["127.0.0.1"], "http://127.1/", False),
        ([""], "http://127.0.0.1/", False),
    ],
)
def test_private_hosts_are_reached_only_by_the_name_the_operator_gave(
    named: list[str],
    url: str,
    allowed: bool,
    settings: Settings,
    names: dict[str, list[str]],
    connected: list[str],
) -> None:
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = named
    names["ollama"] = names["ollama.evil.example"] = ["10.0.0.7"]
    with (
        http.client() as client,
        pytest.raises(httpx.ConnectError if allowed else http.AddressRefused),
    ):
        client.get(url)
    assert bool(connected) is allowed


def test_the_machines_proxy_settings_are_ignored(
    monkeypatch: pytest.MonkeyPatch, connected: list[str], names: dict[str, list[str]]
) -> None:
    names["public.example"] = ["8.8.8.8"]
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    with http.client() as client, pytest.raises(httpx.ConnectError):
        client.get("http://public.example/")
    assert connected == ["8.8.8.8"]


# -- What goes out ------------------------------------------------------------------------------


def test_no_cookie_of_one_account_rides_on_the_call_of_another() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"Set-Cookie": "session=luna; Path=/"})

    with http.client(transport=httpx.MockTransport(answer)) as client:
        client.get("https://m.example/")
        client.get("https://m.example/")
    assert [request.headers.get("cookie") for request in asked] == [None, None]
    assert asked[0].headers["user-agent"].startswith("Gator/")


# -- Real sockets -------------------------------------------------------------------------------

Script = Callable[[socket.socket], None]
Server = Callable[[Script], str]


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """`server(script)` listens on 127.0.0.1, runs the script on every connection, has an URL."""
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    stop = threading.Event()
    threads: list[threading.Thread] = []
    listeners: list[socket.socket] = []

    def serve(listener: socket.socket, script: Script) -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, suppress(OSError):
                connection.settimeout(5)
                script(connection)

    def start(script: Script) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.1)
        listeners.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, script)))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    stop.set()
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


def drip(connection: socket.socket, head: bytes = b"") -> None:
    """One byte every 50 ms, for ever: every single read is quick."""
    connection.recv(65_536)
    connection.sendall(head)
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")


def drip_head(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Drip: ")


def say_nothing(connection: socket.socket) -> None:
    connection.recv(65_536)
    while connection.recv(65_536):
        pass


def read_slowly(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    enough = time.monotonic() + 2
    while time.monotonic() < enough and connection.recv(4_096):
        time.sleep(0.05)


@pytest.mark.parametrize("script", [drip_body, drip_head, say_nothing])
def test_a_call_ends_at_its_deadline_however_slowly_the_answer_drips(
    server: Server, script: Script
) -> None:
    url = server(script)
    start = time.monotonic()
    with http.client() as client, pytest.raises(httpx.ReadTimeout):
        client.get(url, extensions={"deadline": 0.5})
    assert 0.4 < time.monotonic() - start < 1.5


def test_a_call_ends_at_its_deadline_however_slowly_the_other_side_reads(server: Server) -> None:
    url = server(read_slowly)
    start = time.monotonic()
    with http.client() as client, pytest.raises(httpx.WriteTimeout):
        client.post(url, content=b"x" * 20_000_000, extensions={"deadline": 0.5})
    assert time.monotonic() - start < 2


def test_a_server_that_never_says_hello_in_tls_was_sent_nothing(server: Server) -> None:
    url = server(say_nothing).replace("http://", "https://")
    with http.client() as client, pytest.raises(httpx.ConnectTimeout):
        client.get(url, extensions={"deadline": 0.3})


def test_a_server_that_speaks_no_tls_was_sent_nothing(server: Server) -> None:
    url = server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with http.client() as client, pytest.raises(httpx.ConnectError):
        client.get(url.replace("http://", "https://"), extensions={"deadline": 2})


def answer_with(head: str, body: bytes = b"", times: int = 1) -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode())
        for _ in range(times):
            connection.sendall(body)

    return script


def test_an_ordinary_answer_arrives(server: Server) -> None:
    url = server(answer_with("200 OK\r\nContent-Length: 2", b"ok"))
    with http.client() as client:
        assert client.get(url).text == "ok"


def test_an_answer_without_end_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1_000_000)
    url = server(answer_with("200 OK", b"x" * 65_536, times=1_000))
    with http.client() as client, pytest.raises(httpx.ReadError, match="larger than 1,000,000"):
        client.get(url)


def test_a_packed_answer_is_refused_before_it_unfolds(server: Server) -> None:
    url = server(answer_with("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2", b"ok"))
    with http.client() as client, pytest.raises(httpx.ReadError, match="compressed"):
        client.get(url)


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/", "http://169.254.169.254/", "file:///"])
def test_a_redirect_is_an_answer_like_any_other(server: Server, target: str) -> None:
    url = server(answer_with(f"302 Found\r\nLocation: {target}\r\nContent-Length: 0"))
    with http.client() as client:
        assert client.get(url).status_code == 302


def test_a_connection_that_is_cut_before_the_answer_is_told_apart(server: Server) -> None:
    url = server(lambda connection: None)
    with http.client() as client, pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get(url)


def test_threads_share_a_client_and_keep_their_own_deadlines(server: Server) -> None:
    slow, fast = server(drip_body), server(answer_with("200 OK\r\nContent-Length: 2", b"ok"))
    took: dict[str, float] = {}
    with http.client() as client:

        def call(name: str, url: str, seconds: float) -> None:
            start = time.monotonic()
            with suppress(httpx.TimeoutException):
                client.get(url, extensions={"deadline": seconds})
            took[name] = time.monotonic() - start

        threads = [
            threading.Thread(target=call, args=("slow", slow, 1.0)),
            threading.Thread(target=call, args=("fast", fast, 0.9)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert took["fast"] < 0.8
    assert 0.9 < took["slow"] < 2


def test_certificates_are_checked() -> None:
    context = http.CheckedTransport()._pool._ssl_context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert isinstance(http.CheckedTransport()._pool._network_backend, httpcore.NetworkBackend)
