"""The Mastodon API: one post, whichever of its many servers answers, and found again afterwards."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Outgoing,
    Permanent,
    PublishError,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.mastodon import Mastodon
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

POST = "POST /api/v1/statuses"
UPLOAD = "POST /api/v2/media"
WHO = "GET /api/v1/accounts/verify_credentials"
LIST = "GET /api/v1/accounts/7/statuses"
TODAY = "GET /api/v2/instance"
YESTERDAY = "GET /api/v1/instance"
ME = {"id": "7", "username": "luna", "acct": "luna", "url": "https://m.example/@luna"}
MADE = {"id": "42", "url": "https://m.example/@luna/42", "created_at": "2026-11-22T12:00:01.000Z"}


def luna(**facts: Any) -> Account:
    return Account(
        id="1",
        handle="@luna@m.example",
        server="https://m.example",
        credentials={"access_token": "secret-token"},
        facts=facts,
    )


def asked(answers: dict[str, Any]) -> tuple[Mastodon, Network]:
    network = Network(answers)
    return Mastodon(transport=network.transport, sleep=lambda seconds: None), network


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


# -- The request and the receipt ----------------------------------------------------------------


def test_a_post_is_one_status_with_its_key_and_is_never_left_to_the_server_to_schedule() -> None:
    publisher, network = asked({POST: ok(MADE)})
    receipt = publisher.publish(luna(), post(text="Bom dia", language="pt"))
    (request,) = network.asked
    assert str(request.url) == "https://m.example/api/v1/statuses"
    assert request.headers["authorization"] == "Bearer secret-token"
    assert request.headers["idempotency-key"] == "3kkeytestpost"
    assert network.body() == {"status": "Bom dia", "content_type": "text/plain", "language": "pt"}
    assert (receipt.remote_id, receipt.url) == ("42", "https://m.example/@luna/42")


def test_images_are_attached_in_their_order() -> None:
    publisher, network = asked({POST: ok(MADE)})
    media = {"1": {"id": "b", "at": 0, "ready": True}, "0": {"id": "a", "at": 0, "ready": True}}
    publisher.publish(luna(), post(attachments=(photo(), photo()), progress={"media": media}))
    assert network.body()["media_ids"] == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(401, {"error": "The access token is invalid"}), NeedsReconnect),
        (refusal(403, {"error": "This action is outside the authorized scopes"}), Permanent),
        (refusal(404), Permanent),
        (refusal(422, {"error": "Validation failed: Text limit of 500 exceeded"}), Permanent),
        (refusal(500), Unconfirmed),
        (refusal(503, None, retry_after="60"), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(302, headers={"Location": "https://b.example/"}), Permanent),
        (httpx.Response(200, text="<html>"), Unconfirmed),
        (ok({}), Unconfirmed),
        (ok([]), Unconfirmed),
        (ok({"id": "3", "scheduled_at": "2026-12-01T00:00:00Z", "params": {}}), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({POST: answer})
    with pytest.raises(error):
        publisher.publish(luna(), post())
    assert len(network.asked) == 1


def test_a_rate_limit_waits_until_the_server_says() -> None:
    reset = (datetime.now(UTC) + timedelta(seconds=200)).isoformat()
    publisher, _ = asked({POST: refusal(429, {"error": "Too many"}, x_ratelimit_reset=reset)})
    with pytest.raises(Temporary) as caught:
        publisher.publish(luna(), post())
    assert caught.value.whole_account
    assert caught.value.retry_after == pytest.approx(200, abs=5)


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", 7, "https://m/" + "x" * 1_000])
def test_a_receipt_leads_only_to_a_web_page(url: Any) -> None:
    publisher, _ = asked({POST: ok({"id": 42, "url": url})})
    receipt = publisher.publish(luna(), post())
    assert (receipt.remote_id, receipt.url) == ("42", "")


# -- Who we are, and what fits ------------------------------------------------------------------

INSTANCE = {
    "domain": "m.example",
    "version": "4.5.0",
    "configuration": {
        "statuses": {
            "max_characters": 600,
            "max_media_attachments": 6,
            "characters_reserved_per_url": 25,
        },
        "media_attachments": {
            "supported_mime_types": ["image/jpeg", "image/png", "video/mp4"],
            "image_size_limit": 1_000,
            "description_limit": 99,
        },
    },
}


def test_testing_says_who_we_are_and_what_the_server_takes() -> None:
    publisher, network = asked({WHO: ok(ME), TODAY: ok(INSTANCE)})
    identity = publisher.test(luna())
    assert identity.handle == "@luna@m.example"
    assert identity.remote_id == "7"
    assert identity.url == "https://m.example/@luna"
    limits = publisher.limits(luna(**identity.facts))
    assert limits.characters == 600
    assert (limits.images, limits.image_bytes, limits.alt_characters) == (6, 1_000, 99)
    assert limits.image_types == {"image/jpeg", "image/png"}
    assert publisher.count("https://a.example", luna(**identity.facts)) == 25
    assert all(request.method == "GET" for request in network.asked)


def test_an_older_server_is_asked_the_older_way() -> None:
    old = {"uri": "https://old.example/", "version": "2.7.2 (compatible; Pleroma 2.5.0)"}
    answers = {
        WHO: ok(ME),
        TODAY: refusal(404),
        YESTERDAY: ok({**old, "max_toot_chars": 5_000, "upload_limit": 99}),
    }
    publisher, _ = asked(answers)
    identity = publisher.test(luna())
    assert identity.handle == "@luna@old.example"
    limits = publisher.limits(luna(**identity.facts))
    assert (limits.characters, limits.image_bytes, limits.images) == (5_000, 99, 4)


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        [],
        {"configuration": []},
        {"configuration": {"statuses": None, "media_attachments": 7}},
        {"configuration": {"statuses": {"max_characters": -1}}},
        {"configuration": {"statuses": {"max_characters": "500"}}},
        {"configuration": {"statuses": {"max_characters": True}}},
        {"configuration": {"statuses": {"max_characters": 10**12}}},
        {"configuration": {"media_attachments": {"supported_mime_types": "image/png"}}},
        {"domain": "<script>"},
    ],
)
def test_a_server_that_talks_nonsense_has_the_usual_limits(nonsense: Any) -> None:
    publisher, _ = asked({WHO: ok(ME), TODAY: ok(nonsense)})
    identity = publisher.test(luna())
    assert identity.handle == "@luna@m.example"
    assert publisher.limits(luna(**identity.facts)) == publisher.limits(luna())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(401), NeedsReconnect),
        (refusal(503), Temporary),
        (refusal(404), Permanent),
        (ok({}), Temporary),
        (ok("x"), Temporary),
    ],
)
def test_a_failed_test_says_why(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: answer})
    with pytest.raises(error):
        publisher.test(luna())


# -- Media --------------------------------------------------------------------------------------


def test_an_image_is_uploaded_with_its_description() -> None:
    publisher, network = asked({UPLOAD: ok({"id": "9", "url": "https://m.example/9.jpg"})})
    saved: list[Mapping[str, Any]] = []
    progress = publisher.prepare(luna(), post(attachments=(photo(),)), saved.append)
    assert progress["media"]["0"]["id"] == "9"
    assert saved == [progress]
    body = network.asked[0].content
    assert b'name="description"\r\n\r\nFog over the river\r\n' in body
    assert b'filename="fog.jpg"\r\nContent-Type: image/jpeg\r\n\r\nF\r\n' in body


def test_a_file_name_cannot_break_the_form() -> None:
    publisher, network = asked({UPLOAD: ok({"id": "9"})})
    name = 'a"\r\nX-Evil: 1\r\n\r\n🦊.jpg'
    publisher.prepare(luna(), post(attachments=(photo(name=name),)), forget)
    assert b'filename="a___X-Evil__1_____.jpg"' in network.asked[0].content


def test_an_upload_is_waited_for_until_it_is_processed() -> None:
    publisher, network = asked(
        {
            UPLOAD: httpx.Response(202, json={"id": "9", "url": None}),
            "GET /api/v1/media/9": [refusal(206, {}), refusal(206, {}), ok({"id": "9"})],
        }
    )
    progress = publisher.prepare(luna(), post(attachments=(photo(),)), forget)
    assert progress["media"]["0"]["ready"] is True
    assert network.names == ["POST media", "GET 9", "GET 9", "GET 9"]


def test_waiting_ends_and_goes_on_at_the_next_try_without_a_second_upload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.scheduling.publishers.mastodon.PROCESSING_SECONDS", 0)
    upload = httpx.Response(202, json={"id": "9"})
    answers = {UPLOAD: upload, "GET /api/v1/media/9": [refusal(206, {}), ok({"id": "9"})]}
    publisher, network = asked(answers)
    saved: list[Mapping[str, Any]] = []
    with pytest.raises(Temporary) as caught:
        publisher.prepare(luna(), post(attachments=(photo(),)), saved.append)
    assert caught.value.code == "media_processing"
    again = post(attachments=(photo(),), progress=saved[-1])
    assert publisher.prepare(luna(), again, saved.append)["media"]["0"]["ready"] is True
    assert network.names.count("POST media") == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(422, {"error": "File type not supported"}), Permanent),
        (refusal(500), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (ok({}), Temporary),
        (ok({"id": "../../oauth"}), Temporary),
    ],
)
def test_a_failed_upload_leaves_no_doubt(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({UPLOAD: answer})
    with pytest.raises(error):
        publisher.prepare(luna(), post(attachments=(photo(),)), forget)


def test_a_post_without_its_uploads_is_not_sent() -> None:
    publisher, network = asked({})
    with pytest.raises(Temporary):
        publisher.publish(luna(), post(attachments=(photo(),)))
    assert not network.asked


# -- Found again --------------------------------------------------------------------------------

SINCE = NOON - timedelta(minutes=1)


def status(number: int, content: str, *, minutes: float = 0, **changes: Any) -> dict[str, Any]:
    made = (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    given: dict[str, Any] = {
        "id": str(number),
        "url": f"https://m.example/@luna/{number}",
        "created_at": made,
        "content": content,
        "media_attachments": [],
        "reblog": None,
        "in_reply_to_id": None,
    }
    return {**given, **changes}


def found(outgoing: Outgoing, *pages: Any) -> str | None:
    publisher, _ = asked({WHO: ok(ME), LIST: [*(ok(page) for page in pages), ok([])]})
    receipt = publisher.find(luna(), outgoing, SINCE)
    return receipt.remote_id if receipt else None


def test_our_post_is_found_among_the_others() -> None:
    others = [status(3, "<p>Good night</p>"), status(1, "<p>Good morning</p>", minutes=-60)]
    assert found(post(), [others[0], status(2, "<p>Good morning</p>"), others[1]]) == "2"


@pytest.mark.parametrize(
    "other",
    [
        status(2, "<p>Good morning</p>", minutes=-2),
        status(2, "<p>Good morning!</p>"),
        status(2, "<p>Good</p>"),
        status(2, "<p>Good morning</p>", reblog={"id": "1"}),
        status(2, "<p>Good morning</p>", in_reply_to_id="1"),
        status(2, "<p>Good morning</p>", media_attachments=[{"id": "1"}]),
        status(2, "", id=None),
    ],
)
def test_what_only_resembles_it_is_not_it(other: dict[str, Any]) -> None:
    assert found(post(), [other]) is None


def test_the_number_of_images_counts() -> None:
    with_image = status(2, "<p>Good morning</p>", media_attachments=[{"id": "1"}])
    assert found(post(attachments=(photo(),)), [with_image]) == "2"


def test_the_list_is_read_back_until_before_the_first_attempt() -> None:
    pages = [
        [status(9, "a", minutes=9), status(8, "b", minutes=8)],
        [status(7, "c", minutes=7), status(2, "<p>Good morning</p>")],
    ]
    publisher, network = asked({WHO: ok(ME), LIST: [ok(page) for page in pages]})
    receipt = publisher.find(luna(), post(), SINCE)
    assert receipt is not None and receipt.remote_id == "2"
    assert [request.url.params.get("max_id") for request in network.asked[1:]] == [None, "8"]


def test_reading_stops_once_everything_is_older() -> None:
    pages = [[status(9, "a", minutes=9)], [status(1, "b", minutes=-5)]]
    publisher, network = asked({WHO: ok(ME), LIST: [ok(page) for page in pages]})
    assert publisher.find(luna(), post(), SINCE) is None
    assert len(network.asked) == 3


def test_a_server_whose_clock_is_behind_still_has_it() -> None:
    behind = datetime.now(UTC) - timedelta(minutes=10)
    page = [status(2, "<p>Good morning</p>", minutes=-10)]
    date = format_datetime(behind, usegmt=True)
    publisher, _ = asked({WHO: ok(ME), LIST: [ok(page, Date=date), ok([])]})
    assert publisher.find(luna(), post(), SINCE) is not None


@pytest.mark.parametrize(
    "page",
    ["x", {}, [1], [status(2, "a", created_at="soon")], [status(2, "a", created_at=None)]],
)
def test_a_list_that_makes_no_sense_is_not_called_empty(page: Any) -> None:
    with pytest.raises(Temporary):
        found(post(), page)


def test_a_server_that_repeats_itself_does_not_hold_us_for_ever() -> None:
    page = [status(9, "a", minutes=9)]
    publisher, network = asked({WHO: ok(ME), LIST: ok(page)})
    with pytest.raises(Temporary):
        publisher.find(luna(), post(), SINCE)
    assert len(network.asked) == 3


def test_an_endless_list_is_given_up_without_a_claim() -> None:
    number = iter(range(10_000, 0, -1))

    def page(request: httpx.Request) -> httpx.Response:
        return ok([status(next(number), "a", minutes=9)])

    publisher, _ = asked({WHO: ok(ME), LIST: page})
    with pytest.raises(Temporary) as caught:
        publisher.find(luna(), post(), SINCE)
    assert caught.value.code == "too_many_posts"


@pytest.mark.parametrize("answer", [refusal(500), refusal(401), httpx.ReadTimeout("late")])
def test_what_cannot_be_listed_is_not_called_absent(answer: Answer) -> None:
    publisher, _ = asked({WHO: ok(ME), LIST: answer})
    with pytest.raises(PublishError) as caught:
        publisher.find(luna(), post(), SINCE)
    assert not isinstance(caught.value, Unconfirmed)
