"""Telegram: one message or album by a bot, and no second one when its answer is lost."""

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
from apps.scheduling.publishers.telegram import Telegram
from tests.scheduling.publishers.network import Answer, Network, ok, photo, post, refusal

TOKEN = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
BASE = f"/bot{TOKEN}"
SEND = f"POST {BASE}/sendMessage"
MADE = {"ok": True, "result": {"message_id": 7, "chat": {"id": -1001234, "username": "lunafog"}}}


def luna(token: str = TOKEN, chat: str = "@lunafog") -> Account:
    return Account(id="1", handle="@lunafog", credentials={"token": token, "chat": chat})


def asked(answers: dict[str, Any]) -> tuple[Telegram, Network]:
    network = Network(answers)
    return Telegram(transport=network.transport), network


def test_a_post_is_one_message_of_plain_text() -> None:
    publisher, network = asked({SEND: ok(MADE)})
    receipt = publisher.publish(luna(), post(text="Olá *fog*", link="https://a.example"))
    (request,) = network.asked
    assert str(request.url) == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert request.content == (
        b'{"chat_id":"@lunafog","text":"Ol\xc3\xa1 *fog*\\n\\nhttps://a.example"}'
    )
    assert (receipt.remote_id, receipt.url) == ("7", "https://t.me/lunafog/7")


def test_one_picture_is_a_photo_with_a_caption() -> None:
    publisher, network = asked({f"POST {BASE}/sendPhoto": ok(MADE)})
    publisher.publish(luna(), post(attachments=(photo(),)))
    body = network.asked[0].content
    assert b'name="caption"\r\n\r\nGood morning\r\n' in body
    assert b'name="photo"; filename="photo.jpeg"\r\nContent-Type: image/jpeg\r\n\r\nF\r\n' in body


def test_several_pictures_are_one_album_with_one_caption() -> None:
    sent = {"message_id": 8, "chat": {"id": -1001234}}
    answer = ok({"ok": True, "result": [sent, {**sent, "message_id": 9}]})
    publisher, network = asked({f"POST {BASE}/sendMediaGroup": answer})
    receipt = publisher.publish(luna(), post(attachments=(photo(), photo())))
    body = network.asked[0].content
    assert (
        b'[{"type": "photo", "media": "attach://picture0", "caption": "Good morning"}, '
        b'{"type": "photo", "media": "attach://picture1"}]'
    ) in body
    assert b'name="picture1"; filename="picture1.jpeg"' in body
    assert (receipt.remote_id, receipt.url) == ("8", "https://t.me/c/1234/8")


def said(code: int, words: str, **parameters: Any) -> httpx.Response:
    answer = {"ok": False, "error_code": code, "description": words, "parameters": parameters}
    return refusal(code, answer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(401, "Unauthorized"), NeedsReconnect),
        (said(404, "Not Found"), NeedsReconnect),
        (said(403, "Forbidden: bot was kicked from the channel chat"), NeedsReconnect),
        (said(400, "Bad Request: chat not found"), NeedsReconnect),
        (said(400, "Bad Request: message is too long"), Permanent),
        (said(413, "Request Entity Too Large"), Permanent),
        (said(500, "Internal Server Error"), Unconfirmed),
        (refusal(502), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(200, text="<html>"), Unconfirmed),
        (ok({"ok": True}), Unconfirmed),
        (ok({"ok": True, "result": []}), Unconfirmed),
        (ok([]), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({SEND: answer})
    with pytest.raises(error) as caught:
        publisher.publish(luna(), post())
    assert len(network.asked) == 1
    assert TOKEN not in str(caught.value)


def test_a_lost_answer_leaves_the_question_to_a_person() -> None:
    assert Telegram.safety is Safety.BLIND
    assert Telegram.find is Publisher.find


def test_a_flood_wait_in_the_answers_body_holds_the_whole_account() -> None:
    words = "Too Many Requests: retry after 35"
    publisher, _ = asked({SEND: said(429, words, retry_after=35)})
    with pytest.raises(Temporary, match=words) as caught:
        publisher.publish(luna(), post())
    assert (caught.value.retry_after, caught.value.whole_account) == (35, True)


@pytest.mark.parametrize("token", ["", "abc", f"{TOKEN}/../x", f"{TOKEN}?a=1", "1:é" + "x" * 40])
def test_what_is_no_token_is_never_put_into_an_address(token: str) -> None:
    publisher, network = asked({})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(token), post())
    assert not network.asked


@pytest.mark.parametrize(
    ("text", "length"),
    [("", 0), ("Good morning", 12), ("霧", 1), ("🌫", 2), ("👨‍👩‍👧", 8), ("e\u0301", 2), ("a\n", 2)],
)
def test_text_is_counted_in_utf_16(text: str, length: int) -> None:
    assert Telegram().count(text, luna()) == length


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in Telegram().check(luna(), post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="a" * 4_096) == []
    assert problems(text="a" * 4_097) == ["text_too_long"]
    assert problems(text="a" * 1_024, attachments=(photo(),)) == []
    assert problems(text="a" * 1_025, attachments=(photo(),)) == ["text_too_long"]
    assert problems(text="", attachments=(photo(),) * 10) == []
    assert problems(attachments=(photo(),) * 11) == ["too_many_media"]
    assert problems(attachments=(photo(mime="image/gif"),)) == ["media_type"]
    assert problems(attachments=(photo(size=10_000_001),)) == ["media_too_large"]
    assert problems(attachments=(photo(width=9_000, height=1_001),)) == ["media_shape"]
    assert problems(attachments=(photo(width=2_100, height=100),)) == ["media_shape"]


WHO = {
    f"POST {BASE}/getMe": ok({"ok": True, "result": {"id": 123456, "username": "lunabot"}}),
    f"POST {BASE}/getChat": ok(
        {"ok": True, "result": {"id": -1001234, "type": "channel", "username": "lunafog"}}
    ),
}
MEMBER = f"POST {BASE}/getChatMember"


def test_testing_says_where_the_bot_may_post() -> None:
    member = {"ok": True, "result": {"status": "administrator", "can_post_messages": True}}
    publisher, network = asked({**WHO, MEMBER: ok(member)})
    identity = publisher.test(luna())
    assert (identity.handle, identity.remote_id) == ("@lunafog", "-1001234")
    assert identity.url == "https://t.me/lunafog"
    assert network.names == ["POST getMe", "POST getChat", "POST getChatMember"]


def test_a_bot_that_may_not_post_asks_for_the_right_to() -> None:
    publisher, _ = asked({**WHO, MEMBER: ok({"ok": True, "result": {"status": "left"}})})
    with pytest.raises(NeedsReconnect, match="administrator"):
        publisher.test(luna())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(401, "Unauthorized"), NeedsReconnect),
        (refusal(502), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (ok({"ok": True, "result": "x"}), Temporary),
    ],
)
def test_a_failed_test_says_why(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({**WHO, f"POST {BASE}/getMe": answer})
    with pytest.raises(error):
        publisher.test(luna())
