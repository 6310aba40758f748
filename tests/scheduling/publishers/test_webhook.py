"""Webhook: signed as Standard Webhooks has it, and taken once by its id."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Permanent,
    PublishError,
    Safety,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.webhook import Webhook, secret_of, signature
from tests.scheduling.publishers.network import Answer, Network, ok, photo, post, refusal

SECRET = base64.b64encode(b"k" * 32).decode()
HOOK = "POST /hooks/luna"


def luna(secret: str = SECRET) -> Account:
    return Account(
        id="1",
        handle="luna",
        server="https://hooks.example/hooks/luna?team=a",
        credentials={"secret": secret},
    )


def asked(answer: Answer | list[Answer]) -> tuple[Webhook, Network]:
    network = Network({HOOK: answer})
    return Webhook(transport=network.transport), network


def test_the_signature_is_the_one_of_the_specification() -> None:
    # From the specification's own libraries.
    secret = secret_of({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    signed = signature(
        secret, key="msg_p5jXN8AQM9LWM0D4loKWxJek", moment=1614265330, body=b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_post_is_one_signed_request() -> None:
    publisher, network = asked(httpx.Response(204))
    outgoing = post(text="Olá", link="https://a.example", hashtags=("fog",), attachments=(photo(),))
    receipt = publisher.publish(luna(), outgoing)
    (request,) = network.asked
    assert str(request.url) == "https://hooks.example/hooks/luna?team=a"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "3kkeytestpost"
    stamp = request.headers["webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < 5
    signed = f"3kkeytestpost.{stamp}.".encode() + request.content
    digest = hmac.new(b"k" * 32, signed, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert request.content.startswith(
        '{"type":"post.published","timestamp":"2026-11-22T12:00:00.123Z",'
        '"data":{"id":"3kkeytestpost","handle":"luna","text":"Olá",'.encode()
    )
    assert json.loads(request.content)["data"] == {
        "id": "3kkeytestpost",
        "handle": "luna",
        "text": "Olá",
        "full_text": "Olá\n\nhttps://a.example\n\n#fog",
        "link": "https://a.example",
        "hashtags": ["fog"],
        "language": "en",
        "made_with_ai": True,
        "media": [
            {
                "url": "https://gator.example/media/fog.jpg",
                "name": "fog.jpg",
                "mime": "image/jpeg",
                "size": 1,
                "width": 800,
                "height": 600,
                "alt": "Fog over the river",
                "sha256": "0" * 64,
            }
        ],
    }
    assert (receipt.remote_id, receipt.url) == ("3kkeytestpost", "")


def test_a_second_try_has_the_same_id_and_the_same_body() -> None:
    publisher, network = asked([httpx.ReadTimeout("late"), ok({})])
    assert publisher.safety is Safety.KEYED and publisher.key_life is None
    with pytest.raises(Unconfirmed):
        publisher.publish(luna(), post())
    publisher.publish(luna(), post())
    first, second = network.asked
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("answer", "remote_id", "url"),
    [
        ({"id": "p1", "url": "https://b.example/p1"}, "p1", "https://b.example/p1"),
        ({"id": 7}, "7", ""),
        ({"id": "", "url": "javascript:alert(1)"}, "3kkeytestpost", ""),
        ({"id": "x" * 501, "url": "https://" + "x" * 1_000}, "3kkeytestpost", ""),
        ({"id": {"a": 1}, "url": 7}, "3kkeytestpost", ""),
        ([1], "3kkeytestpost", ""),
        (None, "3kkeytestpost", ""),
    ],
)
def test_the_receiver_may_say_where_the_post_is(answer: Any, remote_id: str, url: str) -> None:
    publisher, _ = asked(ok(answer))
    receipt = publisher.publish(luna(), post())
    assert (receipt.remote_id, receipt.url) == (remote_id, url)


@pytest.mark.parametrize("body", [b"ok", b"\xff", b"[" * 100_000])
def test_any_2xx_means_taken(body: bytes) -> None:
    publisher, _ = asked(httpx.Response(202, content=body))
    assert publisher.publish(luna(), post()).remote_id == "3kkeytestpost"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, {"message": "no such team"}), Permanent),
        (refusal(401), NeedsReconnect),
        (refusal(410, {"error": "gone"}), NeedsReconnect),
        (refusal(429, None, retry_after="5"), Temporary),
        (refusal(301, None, location="https://hooks.example/new"), Permanent),
        (refusal(502), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadError("reset"), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked(answer)
    with pytest.raises(error):
        publisher.publish(luna(), post())
    assert len(network.asked) == 1


def test_testing_sends_a_signed_ping_that_publishes_nothing() -> None:
    publisher, network = asked(ok({}))
    assert publisher.test(luna()).handle == "luna"
    assert network.body()["type"] == "ping"
    assert network.body()["data"] == {"handle": "luna"}
    assert network.asked[0].headers["webhook-id"].startswith("ping-")


@pytest.mark.parametrize("answer", [refusal(500), httpx.ReadTimeout("late")])
def test_a_ping_without_answer_leaves_no_doubt(answer: Answer) -> None:
    publisher, _ = asked(answer)
    with pytest.raises(Temporary):
        publisher.test(luna())


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "not base64!", "é" * 40, "QUJD"])
def test_a_bad_secret_asks_to_reconnect_and_sends_nothing(secret: str) -> None:
    publisher, network = asked(ok({}))
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(secret), post())
    assert not network.asked
