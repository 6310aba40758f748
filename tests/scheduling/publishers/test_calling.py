"""What each outcome of an HTTP call means: may the post be there, and what is said to a person."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import httpx
import pytest
import time_machine
from pytest_django import Settings

from apps.core.http import AddressRefused
from apps.scheduling.publishers.base import (
    Account,
    Identity,
    NeedsReconnect,
    Outgoing,
    Permanent,
    PublishError,
    Receipt,
    Safety,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.calling import HttpPublisher, bounded, wait_of

TOKEN = "token-nobody-may-see"


class Anywhere(HttpPublisher):
    """The smallest network over HTTP."""

    label: ClassVar[str] = "Anywhere"
    safety: ClassVar[Safety] = Safety.BLIND

    def test(self, account: Account) -> Identity:
        raise NotImplementedError

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        raise NotImplementedError


ACCOUNT = Account(id="1", handle="luna", credentials={"token": TOKEN})


def outcome(answer: Any, *, publishing: bool) -> PublishError:
    """The error that a call ends in when the network answers so."""

    def transport(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx.Response)
        return answer

    network = Anywhere(transport=httpx.MockTransport(transport))
    with pytest.raises(PublishError) as caught:
        network.call(ACCOUNT, "POST", "https://a.example/", publishing=publishing)
    assert TOKEN not in str(caught.value)
    return caught.value


NOTHING_LEFT = [
    httpx.ConnectError("[Errno 111] Connection refused"),
    httpx.ConnectError("a.example could not be resolved: Name or service not known"),
    httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"),
    httpx.ConnectTimeout("timed out"),
    httpx.PoolTimeout("no free connection"),
]
NO_ANSWER = [
    httpx.ReadTimeout("timed out"),
    httpx.WriteTimeout("timed out"),
    httpx.WriteError("Broken pipe"),
    httpx.ReadError("Connection reset by peer"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.DecodingError("not gzip"),
    *(httpx.Response(status, text="oops") for status in (500, 502, 503, 504, 520)),
]


@pytest.mark.parametrize("publishing", [True, False])
@pytest.mark.parametrize("failure", NOTHING_LEFT, ids=str)
def test_what_never_reached_the_network_is_tried_again(
    failure: Exception, publishing: bool
) -> None:
    error = outcome(failure, publishing=publishing)
    assert isinstance(error, Temporary)
    assert error.code == "unreachable"


@pytest.mark.parametrize("answer", NO_ANSWER, ids=str)
def test_an_unanswered_publishing_call_may_have_published(answer: Any) -> None:
    assert isinstance(outcome(answer, publishing=True), Unconfirmed)


@pytest.mark.parametrize("answer", NO_ANSWER, ids=str)
def test_an_unanswered_call_that_publishes_nothing_is_tried_again(answer: Any) -> None:
    assert isinstance(outcome(answer, publishing=False), Temporary)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 413, 415, 422, 451])
@pytest.mark.parametrize("publishing", [True, False])
def test_a_refusal_is_final_and_in_the_networks_words(status: int, publishing: bool) -> None:
    error = outcome(httpx.Response(status, json={"error": "Too long"}), publishing=publishing)
    assert isinstance(error, Permanent)
    assert str(error) == "Anywhere refused: Too long"
    assert error.code == f"http_{status}"


@pytest.mark.parametrize("status", [408, 425])
def test_a_request_the_server_did_not_take_in_is_made_again(status: int) -> None:
    assert isinstance(outcome(httpx.Response(status), publishing=True), Temporary)


def test_401_asks_to_reconnect() -> None:
    error = outcome(httpx.Response(401, json={"error": "no"}), publishing=True)
    assert isinstance(error, NeedsReconnect)


@pytest.mark.parametrize("publishing", [True, False])
def test_a_rate_limit_holds_the_whole_account(publishing: bool) -> None:
    answer = httpx.Response(429, headers={"Retry-After": "37"}, json={"error": "Slow down"})
    error = outcome(answer, publishing=publishing)
    assert isinstance(error, Temporary)
    assert (error.retry_after, error.whole_account) == (37.0, True)


def test_a_server_in_trouble_says_when_to_come_back_but_a_quota_reset_is_no_such_word() -> None:
    told = outcome(httpx.Response(503, headers={"Retry-After": "60"}), publishing=False)
    assert isinstance(told, Temporary) and told.retry_after == 60 and not told.whole_account
    quota = outcome(httpx.Response(503, headers={"RateLimit-Reset": "9999"}), publishing=False)
    assert isinstance(quota, Temporary) and quota.retry_after is None


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=100)


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("Retry-After", "0", 0),
        ("Retry-After", "120", 120),
        ("Retry-After", "1.5", 1.5),
        ("Retry-After", format_datetime(SOON, usegmt=True), 100),
        ("RateLimit-Reset", str(int(SOON.timestamp())), 100),
        ("RateLimit-Reset", "30", 30),
        ("X-RateLimit-Reset", SOON.isoformat(), 100),
        ("X-RateLimit-Reset", str(int(SOON.timestamp() * 1000)), 100),
        ("Retry-After", "Mon, 01 Jan 1990 00:00:00 GMT", 0),
        ("Retry-After", "999999999", 86_400),
        ("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_every_spelling_of_wait(header: str, value: str, seconds: float) -> None:
    with time_machine.travel(NOW, tick=False):
        assert wait_of(httpx.Headers({header: value})) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "soon", "-5", "nan", "inf", "1e400", "٣", "0x10", "9" * 400])
def test_a_wait_that_makes_no_sense_is_none(value: str) -> None:
    assert wait_of(httpx.Headers({b"Retry-After": value.encode()})) is None


@pytest.mark.parametrize("publishing", [True, False])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, publishing: bool) -> None:
    to = f"https://user:{TOKEN}@elsewhere.example/?t={TOKEN}"
    error = outcome(httpx.Response(status, headers={"Location": to}), publishing=publishing)
    assert isinstance(error, Permanent)
    assert "redirect to elsewhere.example" in str(error)


def test_a_private_address_is_refused_for_good() -> None:
    error = outcome(AddressRefused("db.internal is a private address"), publishing=True)
    assert isinstance(error, Permanent)
    assert error.code == "private_address"


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}\r\nX: y", f"Bearer {TOKEN}é"])
def test_a_token_with_stray_characters_asks_to_reconnect_without_showing_it(header: str) -> None:
    failure = httpx.LocalProtocolError(f"Illegal header value b'{header}'")
    error = outcome(failure, publishing=True)
    assert isinstance(error, NeedsReconnect)
    # The cause would be logged with its words.
    assert error.__cause__ is None and error.__suppress_context__
    network = Anywhere(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
    with pytest.raises(NeedsReconnect):
        network.call(ACCOUNT, "GET", "https://a.example/", headers={"Authorization": "Bearer é"})


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b"9" * 9_000])
def test_an_answer_that_is_not_json_leaves_the_post_in_doubt(content: bytes) -> None:
    network = Anywhere()
    response = httpx.Response(200, content=content)
    with pytest.raises(Unconfirmed):
        network.read(response, publishing=True)
    with pytest.raises(Temporary):
        network.read(response)


# -- Hostile words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (httpx.Response(422, text="<h1>No</h1><script>alert(1)</script>"), "No"),
        (
            httpx.Response(422, json={"error": "a\r\nSet-Cookie: b\x00\x1b[31m"}),
            "a Set-Cookie: b [31m",
        ),
        (httpx.Response(422, json={"error": "safe\u202egnirts\u2066"}), "safe gnirts"),
        (httpx.Response(422, json={"error": f"You sent {TOKEN}!"}), "You sent [hidden]!"),
        (httpx.Response(422, json={"error": "X", "message": "Said in full"}), "Said in full"),
        (httpx.Response(422, json={"error": {"a": [1]}}), '{"error":{"a":[1]}}'),
        (httpx.Response(422, json=["a"]), '["a"]'),
        (httpx.Response(422), "HTTP 422"),
        (httpx.Response(422, content=b"\xff\xfe\x00"), "\ufffd\ufffd"),
        (
            httpx.Response(422, content=b"x" * 99, headers={"Content-Type": "a; charset=zlib"}),
            "x" * 99,
        ),
    ],
)
def test_a_hostile_answer_is_shown_as_one_harmless_line(answer: httpx.Response, shown: str) -> None:
    assert str(outcome(answer, publishing=True)) == f"Anywhere refused: {shown}"


def test_long_words_are_cut() -> None:
    assert len(bounded("word " * 1_000)) == 300


@pytest.mark.parametrize("text", ["<" * 9_000_000, "<script" * 1_000_000, "<a" * 4_000_000])
def test_a_huge_answer_is_read_quickly(text: str) -> None:
    start = time.monotonic()
    outcome(httpx.Response(400, text=text), publishing=False)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("slug", ["a" * 61, "a b", "<b>", "é", "", 7, None, TOKEN + "é"])
def test_only_a_plain_word_becomes_the_code(slug: Any) -> None:
    error = outcome(httpx.Response(400, json={"error": slug, "message": "m"}), publishing=False)
    assert error.code == "http_400"


def test_the_networks_own_code_is_kept() -> None:
    answer = httpx.Response(400, json={"error": "InvalidRequest", "message": "m"})
    assert outcome(answer, publishing=False).code == "InvalidRequest"


# -- Addresses ------------------------------------------------------------------------------------


def of(server: str) -> Account:
    return Account(id="1", handle="luna", server=server)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://a.example", "https://a.example"),
        ("a.example", "https://a.example"),
        (" https://a.example/about?x#y ", "https://a.example"),
        ("https://a.example:8443/", "https://a.example:8443"),
    ],
)
def test_a_server_is_reached_by_https(given: str, address: str) -> None:
    assert Anywhere().server(of(given)) == address


@pytest.mark.parametrize(
    "given",
    ["", "http://a.example", "ftp://a.example", "https://", "https://[::1", "https://a:99999999"],
)
def test_credentials_are_never_sent_in_the_clear_or_to_nowhere(given: str) -> None:
    with pytest.raises(Permanent):
        Anywhere().server(of(given))


def test_a_private_host_that_the_operator_named_may_be_plain(settings: Settings) -> None:
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = ["Localhost:3000"]
    assert Anywhere().server(of("http://localhost:3000")) == "http://localhost:3000"
    with pytest.raises(Permanent):
        Anywhere().server(of("http://localhost:3001"))
