"""Matrix: messages under transaction ids of ours, there once however often they are sent."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Outgoing,
    Permanent,
    PublishError,
    Safety,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.matrix import Matrix
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

ROOM = "!abc:m.example"
BASE = "/_matrix/client/v3"
SEND = f"PUT {BASE}/rooms/{ROOM}/send/m.room.message/3kkeytestpost"
WHO = f"GET {BASE}/account/whoami"
JOINED = f"GET {BASE}/joined_rooms"
CIPHER = f"GET {BASE}/rooms/{ROOM}/state/m.room.encryption"
CONFIG = "GET /_matrix/client/v1/media/config"
UPLOAD = "POST /_matrix/media/v3/upload"
LIST = f"GET {BASE}/rooms/{ROOM}/messages"
ME = ok({"user_id": "@luna:m.example", "device_id": "D1"})
READY = {"room": ROOM, "user": "@luna:m.example", "devices": ["D1"]}


def luna(room: str = ROOM) -> Account:
    return Account(
        id="1",
        handle="@luna:m.example",
        server="https://m.example",
        credentials={"access_token": "secret-token", "room": room},
    )


def asked(answers: dict[str, Any]) -> tuple[Matrix, Network]:
    network = Network(answers)
    return Matrix(transport=network.transport), network


def made(number: int = 0) -> httpx.Response:
    return ok({"event_id": f"$event{number}"})


def refused(status: int, code: str, **more: Any) -> httpx.Response:
    return refusal(status, {"errcode": code, "error": f"Words on {code}", **more})


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


def picture_post(count: int = 1, **changes: Any) -> Outgoing:
    uploads = {str(n): f"mxc://m.example/p{n}" for n in range(count)}
    progress = {**READY, "uploads": uploads}
    return post(**{"attachments": (photo(),) * count, "progress": progress, **changes})


def test_a_post_is_one_message_under_its_key_that_pings_nobody() -> None:
    publisher, network = asked({f"{SEND}-0": made()})
    receipt = publisher.publish(luna(), post(text="Olá @room", progress=READY))
    (request,) = network.asked
    assert request.url.raw_path == (
        b"/_matrix/client/v3/rooms/%21abc%3Am.example/send/m.room.message/3kkeytestpost-0"
    )
    assert request.headers["authorization"] == "Bearer secret-token"
    assert request.content == (
        b'{"msgtype":"m.text","body":"Ol\xc3\xa1 @room","m.mentions":{},'
        b'"gator.key":"3kkeytestpost-0"}'
    )
    assert receipt.remote_id == "$event0"
    assert receipt.url == "https://matrix.to/#/!abc:m.example/$event0"


def test_pictures_follow_as_messages_of_their_own() -> None:
    publisher, network = asked({f"{SEND}-{n}": made(n) for n in range(3)})
    receipt = publisher.publish(luna(), picture_post(2))
    assert receipt.remote_id == "$event0"
    assert [network.body(n)["msgtype"] for n in range(3)] == ["m.text", "m.image", "m.image"]
    assert network.body() == {
        "msgtype": "m.image",
        "body": "Fog over the river",
        "filename": "fog.jpg",
        "url": "mxc://m.example/p1",
        "info": {"mimetype": "image/jpeg", "size": 1, "w": 800, "h": 600},
        "m.mentions": {},
        "gator.key": "3kkeytestpost-2",
    }


def test_a_second_try_is_the_same_to_the_byte() -> None:
    assert Matrix.safety is Safety.KEYED and Matrix.key_life == timedelta(minutes=30)
    publisher, network = asked({f"{SEND}-0": [httpx.ReadTimeout("late"), made()]})
    with pytest.raises(Unconfirmed):
        publisher.publish(luna(), post(progress=READY))
    publisher.publish(luna(), post(progress=READY))
    first, second = network.asked
    assert (first.url, first.content) == (second.url, second.content)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(401, "M_UNKNOWN_TOKEN"), NeedsReconnect),
        (refused(403, "M_FORBIDDEN"), Permanent),
        (refused(413, "M_TOO_LARGE"), Permanent),
        (refused(500, "M_UNKNOWN"), Unconfirmed),
        (refusal(502), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(200, text="<html>"), Unconfirmed),
        (ok({}), Unconfirmed),
        (ok([]), Unconfirmed),
        (ok({"event_id": "../x"}), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({f"{SEND}-0": answer})
    with pytest.raises(error):
        publisher.publish(luna(), post(progress=READY))
    assert len(network.asked) == 1


def test_a_rate_limit_in_milliseconds_holds_the_whole_account() -> None:
    answer = refused(429, "M_LIMIT_EXCEEDED", retry_after_ms=2_500)
    publisher, _ = asked({f"{SEND}-0": answer})
    with pytest.raises(Temporary, match="Words on M_LIMIT_EXCEEDED") as caught:
        publisher.publish(luna(), post(progress=READY))
    assert (caught.value.retry_after, caught.value.whole_account) == (2.5, True)


@pytest.mark.parametrize(
    "answer", [refused(429, "M_LIMIT_EXCEEDED"), refused(403, "M_FORBIDDEN"), refusal(500)]
)
def test_a_post_that_is_there_in_part_is_never_called_failed(answer: Answer) -> None:
    publisher, _ = asked({f"{SEND}-0": made(), f"{SEND}-1": answer})
    with pytest.raises(Unconfirmed):
        publisher.publish(luna(), picture_post())


def test_a_post_that_is_not_prepared_is_not_sent() -> None:
    publisher, network = asked({})
    for outgoing in (post(), post(attachments=(photo(),), progress=READY)):
        with pytest.raises(Temporary):
            publisher.publish(luna(), outgoing)
    assert not network.asked


# -- Before -------------------------------------------------------------------------------------


def test_room_and_uploads_are_kept_before_anything_is_sent() -> None:
    directory = f"GET {BASE}/directory/room/#fog:m.example"
    answers = {WHO: ME, directory: ok({"room_id": ROOM})}
    publisher, network = asked({**answers, UPLOAD: ok({"content_uri": "mxc://m.example/p0"})})
    saved: list[Mapping[str, Any]] = []
    outgoing = post(attachments=(photo(name='a"\n🦊.jpg'),))
    progress = publisher.prepare(luna(room="#fog:m.example"), outgoing, saved.append)
    assert progress == {**READY, "uploads": {"0": "mxc://m.example/p0"}}
    assert saved[-1] == progress
    upload = network.asked[-1]
    assert (upload.content, upload.headers["content-type"]) == (b"F", "image/jpeg")
    assert upload.url.params["filename"] == "a___.jpg"
    publisher.prepare(luna(), picture_post(progress=progress), forget)
    assert network.names[-1] == "GET whoami"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(413, "M_TOO_LARGE"), Permanent),
        (refusal(500), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (ok({}), Temporary),
        (ok({"content_uri": "https://evil.example/x"}), Temporary),
    ],
)
def test_a_failed_upload_leaves_no_doubt(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: ME, UPLOAD: answer})
    with pytest.raises(error):
        publisher.prepare(luna(), picture_post(progress=READY), forget)


FINE = {
    WHO: ME,
    JOINED: ok({"joined_rooms": ["!other:m.example", ROOM]}),
    CIPHER: refused(404, "M_NOT_FOUND"),
    CONFIG: ok({"m.upload.size": 1_000}),
}


def test_testing_says_who_we_are_and_what_the_server_takes() -> None:
    publisher, network = asked(FINE)
    identity = publisher.test(luna())
    assert identity.handle == "@luna:m.example"
    assert identity.url == "https://matrix.to/#/@luna:m.example"
    assert identity.facts["image_bytes"] == 1_000
    assert all(request.method == "GET" for request in network.asked)


@pytest.mark.parametrize(
    ("name", "answer", "error"),
    [
        (WHO, refused(401, "M_UNKNOWN_TOKEN"), NeedsReconnect),
        (WHO, ok({}), Temporary),
        (JOINED, ok({"joined_rooms": []}), NeedsReconnect),
        (CIPHER, ok({"algorithm": "m.megolm.v1.aes-sha2"}), Permanent),
        (CIPHER, refused(403, "M_FORBIDDEN"), Permanent),
    ],
)
def test_a_failed_test_says_why(name: str, answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({**FINE, name: answer})
    with pytest.raises(error):
        publisher.test(luna())


@pytest.mark.parametrize("room", ["", "fog", "#fog", "!a/../b", "#fog:m.example/x"])
def test_what_is_no_room_is_told(room: str) -> None:
    publisher, _ = asked({WHO: ME})
    with pytest.raises(Permanent):
        publisher.test(luna(room=room))


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in Matrix().check(luna(), post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="a" * 59_990) == []
    assert problems(text="a" * 60_001) == ["text_too_long"]
    assert problems(text="霧" * 20_001) == ["text_too_long"]
    assert problems(text="\n" * 29_990 + "a") == []
    assert problems(text="\n" * 30_000 + "a") == ["text_too_long"]
    assert problems(text="", attachments=(photo(),) * 20) == []


# -- Found again --------------------------------------------------------------------------------

SINCE = NOON - timedelta(minutes=2)


def message(key: str, number: int = 0, *, minutes: float = 0) -> dict[str, Any]:
    made = int((NOON + timedelta(minutes=minutes)).timestamp() * 1_000)
    content = {"body": "Good morning", "gator.key": key}
    return {"event_id": f"$event{number}", "origin_server_ts": made, "content": content}


def test_a_post_is_found_by_its_key_on_a_later_page() -> None:
    pages = [
        {"chunk": [message("other-0", 9)], "end": "t2"},
        {"chunk": [message("3kkeytestpost-0")], "end": "t3"},
    ]
    publisher, network = asked({LIST: [ok(page) for page in pages]})
    receipt = publisher.find(luna(), post(progress=READY), SINCE)
    assert receipt is not None and receipt.remote_id == "$event0"
    wanted = json.loads(network.asked[0].url.params["filter"])
    assert wanted["senders"] == ["@luna:m.example"]
    assert network.asked[1].url.params["from"] == "t2"


@pytest.mark.parametrize(
    "page",
    [
        {"chunk": []},
        {"chunk": [message("other-0")]},
        {"chunk": [message("other-0", minutes=-3)], "end": "t2"},
        {"chunk": [{"content": {"gator.key": ["3kkeytestpost-0"]}}, None, 7]},
    ],
)
def test_what_is_not_in_the_room_is_not_there(page: Any) -> None:
    publisher, _ = asked({LIST: ok(page)})
    assert publisher.find(luna(), post(progress=READY), SINCE) is None


def test_a_post_in_part_is_for_a_person() -> None:
    publisher, _ = asked({LIST: ok({"chunk": [message("3kkeytestpost-0")]})})
    with pytest.raises(Permanent, match="1 of the post's 2"):
        publisher.find(luna(), picture_post(), SINCE)


@pytest.mark.parametrize("answer", [ok({}), ok([]), refusal(500), httpx.ReadTimeout("late")])
def test_what_cannot_be_listed_is_not_called_absent(answer: Answer) -> None:
    publisher, _ = asked({LIST: answer})
    with pytest.raises(Temporary):
        publisher.find(luna(), post(progress=READY), SINCE)


def test_another_device_looks_before_it_sends() -> None:
    ours = {**READY, "devices": ["D0"]}
    publisher, network = asked({WHO: ME, LIST: ok({"chunk": [message("3kkeytestpost-0", 5)]})})
    progress = publisher.prepare(luna(), post(progress=ours), forget)
    assert progress["devices"] == ["D0", "D1"]
    receipt = publisher.publish(luna(), post(progress=progress))
    assert receipt.remote_id == "$event5"
    assert not any(request.method == "PUT" for request in network.asked)
