"""X: one post, found again after a lost answer, and a token that renews itself once."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from io import BytesIO
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
from apps.scheduling.publishers.x import X
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

POST = "POST /2/tweets"
WHO = "GET /2/users/me"
LIST = "GET /2/users/7/tweets"
RENEW = "POST /2/oauth2/token"
MADE = httpx.Response(201, json={"data": {"id": "42", "text": "Good morning"}})
ME = {"data": {"id": "7", "username": "luna"}}
TOKENS = {
    "access_token": "access-one",
    "refresh_token": "refresh-one",
    "client_id": "client",
    "client_secret": "hush-hush",
}
EMPTY = {"meta": {"result_count": 0}}


def luna(renew: Any = None, **credentials: str) -> Account:
    given = Account(id="1", handle="@luna", credentials={**TOKENS, **credentials})
    if renew is None:
        return given
    return Account(id="1", handle="@luna", credentials=given.credentials, renew=renew)


def asked(answers: dict[str, Any]) -> tuple[X, Network]:
    network = Network(answers)
    return X(transport=network.transport, sleep=lambda seconds: None), network


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


# -- The request and its outcomes ---------------------------------------------------------------


def test_a_post_is_one_request_in_the_persons_name() -> None:
    publisher, network = asked({POST: MADE})
    receipt = publisher.publish(luna(), post(text="Olá", link="https://a.example"))
    (request,) = network.asked
    assert str(request.url) == "https://api.x.com/2/tweets"
    assert request.headers["authorization"] == "Bearer access-one"
    assert request.content == b'{"text":"Ol\xc3\xa1\\n\\nhttps://a.example"}'
    assert (receipt.remote_id, receipt.url) == ("42", "https://x.com/luna/status/42")


@pytest.mark.parametrize("made_with_ai", [True, False])
def test_pictures_keep_their_order_and_say_how_they_were_made(made_with_ai: bool) -> None:
    publisher, network = asked({POST: MADE})
    media = {"1": {"id": "2", "at": 0, "ready": True}, "0": {"id": "1", "at": 0, "ready": True}}
    outgoing = post(
        attachments=(photo(), photo()), progress={"media": media}, made_with_ai=made_with_ai
    )
    publisher.publish(luna(), outgoing)
    assert network.body()["media"] == {"media_ids": ["1", "2"]}
    assert network.body().get("made_with_ai", False) is made_with_ai


def said(status: int, detail: str, **more: Any) -> httpx.Response:
    return refusal(status, {"title": "No", "detail": detail, "type": "about:blank", **more})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(400, "Your text is too long"), Permanent),
        (said(402, "No credits left"), Temporary),
        (said(403, "You are not permitted to perform this action."), Permanent),
        (said(500, "Internal Server Error"), Unconfirmed),
        (refusal(503), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(200, text="<html>"), Unconfirmed),
        (ok({"data": {}}), Unconfirmed),
        (ok({"data": {"id": "../x"}}), Unconfirmed),
        (ok([]), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({POST: answer})
    with pytest.raises(error):
        publisher.publish(luna(), post())
    assert len(network.asked) == 1


def test_a_refusal_is_told_in_the_words_of_x() -> None:
    problem = "https://api.twitter.com/2/problems/usage-capped"
    publisher, _ = asked({POST: said(403, "Monthly cap exceeded", type=problem)})
    with pytest.raises(Permanent, match="Monthly cap exceeded") as caught:
        publisher.publish(luna(), post())
    assert caught.value.code == "usage-capped"


def test_a_rate_limit_waits_until_x_says() -> None:
    answer = refusal(429, {"title": "Too Many Requests"}, retry_after="77")
    publisher, _ = asked({POST: answer})
    with pytest.raises(Temporary) as caught:
        publisher.publish(luna(), post())
    assert (caught.value.retry_after, caught.value.whole_account) == (77, True)


def test_a_reset_in_x_own_header_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    publisher, _ = asked({POST: refusal(429, None, x_rate_limit_reset="1800000090")})
    with pytest.raises(Temporary) as caught:
        publisher.publish(luna(), post())
    assert caught.value.retry_after == 90


# -- The token ----------------------------------------------------------------------------------

RENEWED = {"access_token": "access-two", "refresh_token": "refresh-two", "expires_in": 7200}


def keeping(kept: list[Mapping[str, Any]]) -> Callable[..., Mapping[str, Any]]:
    def renew(seen: Mapping[str, Any], refresh: Callable[..., Any]) -> Mapping[str, Any]:
        kept.append(refresh(seen))
        return kept[-1]

    return renew


def test_an_expired_token_is_renewed_once_and_the_post_goes_out() -> None:
    publisher, network = asked({POST: [refusal(401), MADE], RENEW: ok(RENEWED)})
    kept: list[Mapping[str, Any]] = []
    assert publisher.publish(luna(keeping(kept)), post()).remote_id == "42"
    assert network.names == ["POST tweets", "POST token", "POST tweets"]
    renewal = network.asked[1]
    assert renewal.content == b"grant_type=refresh_token&refresh_token=refresh-one"
    assert renewal.headers["authorization"].startswith("Basic ")
    assert network.asked[2].headers["authorization"] == "Bearer access-two"
    assert kept[0]["refresh_token"] == "refresh-two"
    assert kept[0]["client_id"] == "client" and kept[0]["expires_at"] > 0


def test_a_public_client_names_itself() -> None:
    publisher, network = asked({POST: [refusal(401), MADE], RENEW: ok(RENEWED)})
    publisher.publish(luna(client_secret=""), post())
    assert network.asked[1].content.endswith(b"&client_id=client")
    assert "authorization" not in network.asked[1].headers


def test_a_network_that_gives_no_new_refresh_token_leaves_the_old_one() -> None:
    publisher, _ = asked({POST: [refusal(401), MADE], RENEW: ok({"access_token": "two"})})
    kept: list[Mapping[str, Any]] = []
    publisher.publish(luna(keeping(kept)), post())
    assert kept[0]["refresh_token"] == "refresh-one"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            refusal(400, {"error": "invalid_request", "error_description": "revoked"}),
            NeedsReconnect,
        ),
        (refusal(401, {"error": "invalid_client"}), NeedsReconnect),
        (refusal(503), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (ok({}), Temporary),
        (ok({"error": "invalid_grant"}), NeedsReconnect),
    ],
)
def test_a_renewal_that_fails_publishes_nothing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({POST: refusal(401), RENEW: answer})
    with pytest.raises(error):
        publisher.publish(luna(), post())
    assert network.names == ["POST tweets", "POST token"]


@pytest.mark.parametrize("missing", ["access_token", "refresh_token"])
def test_without_tokens_a_person_connects_again(missing: str) -> None:
    publisher, network = asked({POST: refusal(401)})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(**{missing: ""}), post())
    assert "POST token" not in network.names


def test_a_token_that_is_refused_again_is_not_renewed_for_ever() -> None:
    publisher, network = asked({POST: refusal(401), RENEW: ok(RENEWED)})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(), post())
    assert network.names == ["POST tweets", "POST token", "POST tweets"]


# -- Who we are, and what fits ------------------------------------------------------------------


def test_testing_says_who_we_are() -> None:
    publisher, network = asked({WHO: ok(ME)})
    identity = publisher.test(luna())
    assert (identity.handle, identity.remote_id) == ("@luna", "7")
    assert identity.facts == {"id": "7"}
    assert [request.method for request in network.asked] == ["GET"]


def test_a_subscriber_may_write_longer_posts() -> None:
    publisher, _ = asked({WHO: ok({"data": {**ME["data"], "subscription_type": "Premium"}})})
    assert publisher.test(luna()).facts["characters"] == 25_000


@pytest.mark.parametrize("answer", [{}, [], {"data": {"id": "7"}}, {"data": {"id": "x"}}])
def test_a_test_without_a_name_fails(answer: Any) -> None:
    publisher, _ = asked({WHO: ok(answer)})
    with pytest.raises(Temporary):
        publisher.test(luna())


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in X().check(luna(), post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="a" * 280) == []
    assert problems(text="a" * 281) == ["text_too_long"]
    assert problems(text="霧" * 140) == []
    assert problems(text="霧" * 141) == ["text_too_long"]
    assert problems(text="a" * 256, link="https://a.example/" + "x" * 99) == ["text_too_long"]
    assert problems(attachments=(photo(),) * 4) == []
    assert problems(attachments=(photo(),) * 5) == ["too_many_media"]
    assert problems(attachments=(photo(mime="image/gif"),)) == []
    assert problems(attachments=(photo(mime="image/gif"), photo())) == ["media_mixed"]
    assert problems(attachments=(photo(size=5_000_001),)) == ["media_too_large"]


# -- Media --------------------------------------------------------------------------------------

START = "POST /2/media/upload/initialize"
APPEND = "POST /2/media/upload/9/append"
FINALIZE = "POST /2/media/upload/9/finalize"
STATUS = "GET /2/media/upload"
DESCRIBE = "POST /2/media/metadata"
UPLOADS = {
    START: ok({"data": {"id": "9"}}),
    APPEND: ok({}),
    FINALIZE: ok({"data": {"id": "9"}}),
    DESCRIBE: ok({}),
}


def test_a_picture_is_uploaded_in_chunks_and_described() -> None:
    publisher, network = asked(UPLOADS)
    content = b"F" * 4_500_000
    picture = photo(size=len(content), open=lambda: BytesIO(content))
    saved: list[Mapping[str, Any]] = []
    progress = publisher.prepare(luna(), post(attachments=(picture,)), saved.append)
    assert network.names == [
        "POST initialize",
        "POST append",
        "POST append",
        "POST finalize",
        "POST metadata",
    ]
    assert network.body(0) == {
        "media_type": "image/jpeg",
        "media_category": "tweet_image",
        "total_bytes": 4_500_000,
    }
    sizes = [request.content.count(b"F") for request in network.asked[1:3]]
    assert sum(sizes) >= 4_500_000 and max(sizes) < 4_000_100
    assert b'name="segment_index"\r\n\r\n1\r\n' in network.asked[2].content
    assert network.body() == {
        "id": "9",
        "metadata": {"alt_text": {"text": "Fog over the river"}},
    }
    assert saved[-1] == progress and progress["media"]["0"]["ready"] is True


def test_an_animation_is_waited_for() -> None:
    states = [{"data": {"processing_info": {"state": each}}} for each in ("pending", "succeeded")]
    publisher, network = asked({**UPLOADS, STATUS: [ok(each) for each in states]})
    picture = photo(mime="image/gif", alt="")
    publisher.prepare(luna(), post(attachments=(picture,)), forget)
    assert network.names.count("GET upload") == 2


def test_an_animation_that_x_cannot_read_is_refused() -> None:
    failed = {"data": {"processing_info": {"state": "failed", "error": {"message": "Bad GIF"}}}}
    publisher, _ = asked({**UPLOADS, STATUS: ok(failed)})
    with pytest.raises(Permanent, match="Bad GIF"):
        publisher.prepare(luna(), post(attachments=(photo(mime="image/gif"),)), forget)


def test_an_upload_that_was_done_is_not_done_again() -> None:
    publisher, _ = asked({**UPLOADS, DESCRIBE: [refusal(503), ok({})]})
    saved: list[Mapping[str, Any]] = []
    with pytest.raises(Temporary):
        publisher.prepare(luna(), post(attachments=(photo(),)), saved.append)
    again, network = asked({DESCRIBE: ok({})})
    again.prepare(luna(), post(attachments=(photo(),), progress=saved[-1]), saved.append)
    assert network.names == ["POST metadata"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400), Permanent),
        (refusal(500), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (ok({}), Temporary),
        (ok({"data": {"id": "../x"}}), Temporary),
    ],
)
def test_a_failed_upload_leaves_no_doubt(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({**UPLOADS, START: answer})
    with pytest.raises(error):
        publisher.prepare(luna(), post(attachments=(photo(),)), forget)


def test_a_post_without_its_uploads_is_not_sent() -> None:
    publisher, network = asked({})
    with pytest.raises(Temporary):
        publisher.publish(luna(), post(attachments=(photo(),)))
    assert not network.asked


# -- Found again --------------------------------------------------------------------------------


def page(*texts: str, following: str = "") -> dict[str, Any]:
    posts = [{"id": str(n + 50), "text": text} for n, text in enumerate(texts)]
    meta = {"result_count": len(posts), **({"next_token": following} if following else {})}
    return {"data": posts, "meta": meta}


def test_our_post_is_found_on_a_later_page() -> None:
    assert X.safety is Safety.LISTABLE
    pages = [ok(page("Good night", following="n2")), ok(page("Hello", "Good morning"))]
    publisher, network = asked({WHO: ok(ME), LIST: pages})
    receipt = publisher.find(luna(), post(), NOON - timedelta(minutes=1))
    assert receipt is not None and receipt.remote_id == "51"
    assert network.asked[1].url.params["start_time"] == "2026-11-22T11:59:00Z"
    assert network.asked[2].url.params["pagination_token"] == "n2"


@pytest.mark.parametrize("answer", [EMPTY, page("Good night"), page("Good morning!")])
def test_what_is_not_listed_is_not_there(answer: Any) -> None:
    publisher, _ = asked({WHO: ok(ME), LIST: ok(answer)})
    assert publisher.find(luna(), post(), NOON) is None


def test_the_number_of_pictures_counts() -> None:
    publisher, _ = asked({WHO: ok(ME), LIST: ok(page("Good morning"))})
    assert publisher.find(luna(), post(attachments=(photo(),)), NOON) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ok({}), Temporary),
        (ok([]), Temporary),
        (refusal(403, {"detail": "Not in your plan"}), Permanent),
        (refusal(500), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
    ],
)
def test_what_cannot_be_listed_is_not_called_absent(
    answer: Answer, error: type[PublishError]
) -> None:
    publisher, _ = asked({WHO: ok(ME), LIST: answer})
    with pytest.raises(error):
        publisher.find(luna(), post(), NOON)


def test_an_endless_list_is_given_up_without_a_claim() -> None:
    publisher, network = asked({WHO: ok(ME), LIST: ok(page("a", following="again"))})
    with pytest.raises(Temporary):
        publisher.find(luna(), post(), NOON)
    assert len(network.asked) < 50


DUPLICATE = said(403, "You are not allowed to create a Tweet with duplicate content.")


def test_a_duplicate_refusal_of_our_own_earlier_try_is_a_receipt() -> None:
    publisher, _ = asked({POST: DUPLICATE, WHO: ok(ME), LIST: ok(page("Good morning"))})
    assert publisher.publish(luna(), post()).remote_id == "50"


def test_a_duplicate_of_an_older_post_is_refused_with_what_to_do() -> None:
    publisher, _ = asked({POST: DUPLICATE, WHO: ok(ME), LIST: ok(EMPTY)})
    with pytest.raises(Permanent, match="change it") as caught:
        publisher.publish(luna(), post())
    assert caught.value.code == "duplicate"


def test_a_duplicate_that_cannot_be_looked_up_yet_waits() -> None:
    publisher, _ = asked({POST: DUPLICATE, WHO: ok(ME), LIST: refusal(503)})
    with pytest.raises(Temporary):
        publisher.publish(luna(), post())
