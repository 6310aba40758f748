"""Discord: one message through a channel's webhook, which pings nobody."""

import json
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Permanent,
    Publisher,
    PublishError,
    Safety,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.discord import Discord
from tests.scheduling.publishers.network import Answer, Network, ok, photo, post, refusal

SECRET = "pLmZ2hVb3NxQd8Yw_Rt-0123456789"
PATH = f"/api/v10/webhooks/112233445566/{SECRET}"
SEND, WHO = f"POST {PATH}", f"GET {PATH}"
MADE = {"id": "42", "channel_id": "7", "content": "Good morning"}


def luna(webhook: str = f"https://discord.com/api/webhooks/112233445566/{SECRET}") -> Account:
    return Account(id="1", handle="Luna", credentials={"webhook": webhook}, facts={"guild_id": "5"})


def asked(answers: dict[str, Any]) -> tuple[Discord, Network]:
    network = Network(answers)
    return Discord(transport=network.transport), network


def test_a_post_is_one_message_that_pings_nobody() -> None:
    publisher, network = asked({SEND: ok(MADE)})
    receipt = publisher.publish(luna(), post(text="Olá @everyone", hashtags=("fog",)))
    (request,) = network.asked
    assert str(request.url) == f"https://discord.com{PATH}?wait=true"
    assert request.content == (
        b'{"allowed_mentions":{"parse":[]},"content":"Ol\xc3\xa1 @everyone\\n\\n#fog"}'
    )
    assert (receipt.remote_id, receipt.url) == ("42", "https://discord.com/channels/5/7/42")


def test_pictures_go_along_with_their_descriptions() -> None:
    publisher, network = asked({SEND: ok(MADE)})
    publisher.publish(luna(), post(text="", attachments=(photo(), photo(alt="", name='a"\n'))))
    body = network.asked[0].content
    payload = body.split(b'name="payload_json"\r\n\r\n')[1].split(b"\r\n--")[0]
    assert json.loads(payload) == {
        "allowed_mentions": {"parse": []},
        "attachments": [
            {"id": 0, "filename": "picture0.jpeg", "description": "Fog over the river"},
            {"id": 1, "filename": "picture1.jpeg"},
        ],
    }
    assert (
        b'name="files[1]"; filename="picture1.jpeg"\r\nContent-Type: image/jpeg\r\n\r\nF\r\n'
    ) in body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, {"message": "Invalid Form Body", "code": 50035}), Permanent),
        (refusal(401, {"message": "Invalid Webhook Token", "code": 50027}), NeedsReconnect),
        (refusal(404, {"message": "Unknown Webhook", "code": 10015}), NeedsReconnect),
        (refusal(413, {"message": "Request entity too large", "code": 40005}), Permanent),
        (refusal(500), Unconfirmed),
        (refusal(503, None, retry_after="60"), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(204), Unconfirmed),
        (ok({}), Unconfirmed),
        (ok([]), Unconfirmed),
        (ok({"id": "../x"}), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({SEND: answer})
    with pytest.raises(error) as caught:
        publisher.publish(luna(), post())
    assert len(network.asked) == 1
    assert SECRET not in str(caught.value)


def test_a_lost_answer_leaves_the_question_to_a_person() -> None:
    assert Discord.safety is Safety.BLIND
    assert Discord.find is Publisher.find


@pytest.mark.parametrize(
    ("body", "header", "wait"),
    [({"retry_after": 1.337}, "2", 1.337), ({}, "2", 2), (None, "2", 2), ([], "", None)],
)
def test_a_rate_limit_waits_as_long_as_told(body: Any, header: str, wait: float | None) -> None:
    publisher, _ = asked({SEND: refusal(429, body, retry_after=header)})
    with pytest.raises(Temporary) as caught:
        publisher.publish(luna(), post())
    assert (caught.value.retry_after, caught.value.whole_account) == (wait, True)


@pytest.mark.parametrize(
    "webhook",
    [
        "",
        "https://evil.example/api/webhooks/112233445566/" + SECRET,
        "https://discord.com.evil.example/api/webhooks/112233445566/" + SECRET,
        "http://discord.com/api/webhooks/112233445566/" + SECRET,
        "https://discord.com/api/webhooks/112233445566/" + SECRET + "/../../x",
        "https://discord.com/api/webhooks/x/" + SECRET,
    ],
)
def test_only_discord_is_ever_called(webhook: str) -> None:
    publisher, network = asked({})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(webhook), post())
    assert not network.asked


@pytest.mark.parametrize("start", ["https://discordapp.com/api", "https://ptb.discord.com/api/v9"])
def test_older_and_other_spellings_of_the_address_are_taken(start: str) -> None:
    publisher, network = asked({SEND: ok(MADE)})
    publisher.publish(luna(f"{start}/webhooks/112233445566/{SECRET}?thread_id=1"), post())
    assert network.asked[0].url.host == "discord.com"


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("Good morning", 12), ("霧", 1), ("🌫", 2), ("e\u0301", 2)]
)
def test_text_is_counted_in_utf_16(text: str, length: int) -> None:
    assert Discord().count(text, luna()) == length


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in Discord().check(luna(), post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="a" * 2_000) == []
    assert problems(text="a" * 2_001) == ["text_too_long"]
    assert problems(text="", attachments=(photo(),) * 10) == []
    assert problems(attachments=(photo(),) * 11) == ["too_many_media"]
    assert problems(attachments=(photo(size=6_000_000),)) == []
    assert problems(attachments=(photo(size=6_000_000),) * 2) == ["media_too_large"]
    assert problems(attachments=(photo(alt="a" * 1_025),)) == ["alt_too_long"]
    assert problems(attachments=(photo(mime="image/tiff"),)) == ["media_type"]


def test_testing_describes_the_webhook_and_publishes_nothing() -> None:
    answer = {"id": "112233445566", "name": "Luna", "guild_id": "5", "channel_id": "7"}
    publisher, network = asked({WHO: ok(answer)})
    identity = publisher.test(luna())
    assert (identity.handle, identity.url) == ("Luna", "https://discord.com/channels/5/7")
    assert identity.facts == {"guild_id": "5", "channel_id": "7"}
    assert [request.method for request in network.asked] == ["GET"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(404, {"message": "Unknown Webhook", "code": 10015}), NeedsReconnect),
        (refusal(500), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (ok({}), Temporary),
    ],
)
def test_a_failed_test_says_why(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: answer})
    with pytest.raises(error):
        publisher.test(luna())
