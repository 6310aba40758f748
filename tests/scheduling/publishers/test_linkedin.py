"""LinkedIn: one post of a member or a page, with its signs escaped and its images in place."""

from collections.abc import Mapping
from datetime import timedelta
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
from apps.scheduling.publishers.linkedin import LinkedIn
from apps.scheduling.publishers.linkedin_text import little_text, plain
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

POST, LIST = "POST /rest/posts", "GET /rest/posts"
WHO = "GET /v2/userinfo"
RENEW = "POST /oauth/v2/accessToken"
ME = ok({"sub": "abc-7", "name": "Luna"})
PERSON = "urn:li:person:abc-7"
MADE = httpx.Response(201, headers={"x-restli-id": "urn:li:share:42"})
READY = {"author": PERSON}
TOKENS = {
    "access_token": "access-one",
    "refresh_token": "refresh-one",
    "client_id": "client",
    "client_secret": "hush-hush",
}


def luna(**credentials: str) -> Account:
    return Account(id="1", handle="Luna", credentials={**TOKENS, **credentials})


def asked(answers: dict[str, Any]) -> tuple[LinkedIn, Network]:
    network = Network(answers)
    return LinkedIn(transport=network.transport, sleep=lambda seconds: None), network


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


@pytest.mark.parametrize(
    ("text", "commentary"),
    [
        ("Good morning", "Good morning"),
        ("(fog) [a] {b} <c> | ~ * _ \\ @d", r"\(fog\) \[a\] \{b\} \<c\> \| \~ \* \_ \\ \@d"),
        ("#fog", r"{hashtag|\#|fog}"),
        ("Now #fog, #névoa!", r"Now {hashtag|\#|fog}, {hashtag|\#|névoa}!"),
        ("#a_b", r"\#a\_b"),
        ("C# and #1", r"C\# and \#1"),
        ("https://a.example/x_(y)#z", r"https://a.example/x\_\(y\)\#z"),
        ("霧 🌫\nfog", "霧 🌫\nfog"),
    ],
)
def test_text_is_written_so_that_it_is_shown_as_it_is(text: str, commentary: str) -> None:
    assert little_text(text) == commentary
    assert plain(commentary) == "".join(text.split())


def test_a_post_is_one_dated_request() -> None:
    publisher, network = asked({POST: MADE})
    receipt = publisher.publish(luna(), post(text="Olá (hoje)", progress=READY))
    (request,) = network.asked
    assert str(request.url) == "https://api.linkedin.com/rest/posts"
    assert request.headers["authorization"] == "Bearer access-one"
    assert request.headers["x-restli-protocol-version"] == "2.0.0"
    assert len(request.headers["linkedin-version"]) == 6
    assert network.body() == {
        "author": PERSON,
        "commentary": "Olá \\(hoje\\)",
        "visibility": "PUBLIC",
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": False,
    }
    assert receipt.remote_id == "urn:li:share:42"
    assert receipt.url == "https://www.linkedin.com/feed/update/urn:li:share:42/"


def test_a_link_is_an_article() -> None:
    publisher, network = asked({POST: MADE})
    publisher.publish(luna(), post(link="https://a.example/fog", progress=READY))
    article = {"source": "https://a.example/fog", "title": "a.example"}
    assert network.body()["content"] == {"article": article}


def test_images_keep_their_order_and_descriptions() -> None:
    images = {str(n): {"id": f"urn:li:image:{n}", "at": 0, "ready": True} for n in (1, 0)}
    progress = {**READY, "images": images}
    publisher, network = asked({POST: MADE})
    publisher.publish(luna(), post(attachments=(photo(),), progress=progress))
    first = {"id": "urn:li:image:0", "altText": "Fog over the river"}
    assert network.body()["content"] == {"media": first}
    publisher.publish(luna(), post(attachments=(photo(), photo(alt="")), progress=progress))
    images_sent = [first, {"id": "urn:li:image:1"}]
    assert network.body()["content"] == {"multiImage": {"images": images_sent}}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, {"message": "Field too long", "code": "ILLEGAL_ARGUMENT"}), Permanent),
        (refusal(403, {"message": "Not enough permissions", "code": "ACCESS_DENIED"}), Permanent),
        (refusal(426, {"message": "Version 202609 is not active"}), Permanent),
        (refusal(500), Unconfirmed),
        (refusal(504), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(201), Unconfirmed),
        (httpx.Response(201, headers={"x-restli-id": "urn:li:share:../x"}), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({POST: answer})
    with pytest.raises(error):
        publisher.publish(luna(), post(progress=READY))
    assert len(network.asked) == 1


def test_a_rate_limit_holds_the_whole_account() -> None:
    publisher, _ = asked({POST: refusal(429, {"message": "Throttled"}, retry_after="60")})
    with pytest.raises(Temporary) as caught:
        publisher.publish(luna(), post(progress=READY))
    assert (caught.value.retry_after, caught.value.whole_account) == (60, True)


def test_an_expired_token_is_renewed_and_the_post_goes_out() -> None:
    expired = refusal(401, {"code": "EXPIRED_ACCESS_TOKEN", "message": "expired"})
    renewed = ok({"access_token": "access-two", "expires_in": 5_184_000})
    publisher, network = asked({POST: [expired, MADE], RENEW: renewed})
    publisher.publish(luna(), post(progress=READY))
    assert network.names == ["POST posts", "POST accessToken", "POST posts"]
    assert network.asked[1].content == (
        b"grant_type=refresh_token&refresh_token=refresh-one&client_id=client"
        b"&client_secret=hush-hush"
    )
    assert network.asked[2].headers["authorization"] == "Bearer access-two"


def test_without_a_refresh_token_a_person_connects_again() -> None:
    publisher, network = asked({POST: refusal(401, {"message": "expired"})})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(refresh_token=""), post(progress=READY))
    assert len(network.asked) == 1


def test_a_post_that_is_not_prepared_is_not_sent() -> None:
    publisher, network = asked({})
    for outgoing in (post(), post(attachments=(photo(),), progress=READY)):
        with pytest.raises(Temporary):
            publisher.publish(luna(), outgoing)
    assert not network.asked


# -- Who we are, and what fits ------------------------------------------------------------------


def test_testing_says_whose_token_it_is() -> None:
    publisher, _ = asked({WHO: ME})
    identity = publisher.test(luna())
    assert (identity.handle, identity.remote_id) == ("Luna", PERSON)


def test_a_page_is_named_by_its_number() -> None:
    publisher, _ = asked({"GET /rest/organizations/99": ok({"localizedName": "Fog Ltd"})})
    identity = publisher.test(luna(author="urn:li:organization:99"))
    assert (identity.handle, identity.remote_id) == ("Fog Ltd", "urn:li:organization:99")


@pytest.mark.parametrize(
    ("account", "answer", "error"),
    [
        (luna(author="99"), ME, Permanent),
        (luna(), ok({}), Temporary),
        (luna(), ok({"sub": "../x"}), Temporary),
        (luna(), refusal(500), Temporary),
        (luna(refresh_token=""), refusal(401), NeedsReconnect),
    ],
)
def test_a_failed_test_says_why(account: Account, answer: Any, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: answer})
    with pytest.raises(error):
        publisher.test(account)


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in LinkedIn().check(luna(), post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="(" * 3_000) == []
    assert problems(text="a" * 3_001) == ["text_too_long"]
    assert problems(text="🌫" * 1_501) == ["text_too_long"]
    assert problems(attachments=(photo(),) * 20) == []
    assert problems(attachments=(photo(),) * 21) == ["too_many_media"]
    assert problems(attachments=(photo(mime="image/webp"),)) == ["media_type"]


# -- Images -------------------------------------------------------------------------------------

START = "POST /rest/images"
PUT = "PUT /up/1"
STATUS = "GET /rest/images/urn:li:image:C5"
PLACE = {"uploadUrl": "https://www.linkedin.com/up/1?a=b", "image": "urn:li:image:C5"}
UPLOAD = {
    WHO: ME,
    START: ok({"value": PLACE}),
    PUT: httpx.Response(201),
    STATUS: ok({"status": "AVAILABLE"}),
}


def test_an_image_takes_three_steps() -> None:
    statuses = [ok({"status": each}) for each in ("PROCESSING", "AVAILABLE")]
    publisher, network = asked({**UPLOAD, STATUS: statuses})
    saved: list[Mapping[str, Any]] = []
    progress = publisher.prepare(luna(), post(attachments=(photo(),)), saved.append)
    assert [request.method for request in network.asked] == ["GET", "POST", "PUT", "GET", "GET"]
    assert network.asked[1].url.params["action"] == "initializeUpload"
    assert network.body(1) == {"initializeUploadRequest": {"owner": PERSON}}
    assert network.asked[2].content == b"F"
    assert saved[-1] == progress and progress["images"]["0"]["ready"] is True


def test_an_upload_that_was_done_is_not_done_again() -> None:
    publisher, _ = asked({**UPLOAD, STATUS: refusal(503)})
    saved: list[Mapping[str, Any]] = []
    with pytest.raises(Temporary):
        publisher.prepare(luna(), post(attachments=(photo(),)), saved.append)
    again, network = asked({STATUS: ok({"status": "AVAILABLE"})})
    again.prepare(luna(), post(attachments=(photo(),), progress=saved[-1]), saved.append)
    assert len(network.asked) == 1


@pytest.mark.parametrize(
    ("name", "answer", "error"),
    [
        (START, refusal(403), Permanent),
        (START, ok({"value": {**PLACE, "uploadUrl": "https://evil.example/up/1"}}), Temporary),
        (START, ok({"value": {**PLACE, "uploadUrl": "http://www.linkedin.com/up/1"}}), Temporary),
        (START, ok({"value": {**PLACE, "image": "x"}}), Temporary),
        (START, ok([]), Temporary),
        (PUT, httpx.ReadTimeout("late"), Temporary),
        (STATUS, ok({"status": "PROCESSING_FAILED"}), Permanent),
    ],
)
def test_a_failed_upload_leaves_no_doubt(
    name: str, answer: Answer, error: type[PublishError]
) -> None:
    publisher, network = asked({**UPLOAD, name: answer})
    with pytest.raises(error):
        publisher.prepare(luna(), post(attachments=(photo(),)), forget)
    assert all(request.url.host.endswith(".linkedin.com") for request in network.asked)


# -- Found again --------------------------------------------------------------------------------

SINCE = NOON - timedelta(minutes=2)


def listed(number: int, commentary: str, *, minutes: float = 0) -> dict[str, Any]:
    made = int((NOON + timedelta(minutes=minutes)).timestamp() * 1_000)
    return {"id": f"urn:li:share:{number}", "commentary": commentary, "createdAt": made}


def found(*posts: Any) -> str | None:
    publisher, _ = asked({LIST: ok({"elements": list(posts)})})
    outgoing = post(text="Good (morning) #fog", progress=READY)
    receipt = publisher.find(luna(), outgoing, SINCE)
    return receipt.remote_id if receipt else None


def test_a_pages_post_is_found_however_linkedin_spells_it() -> None:
    assert LinkedIn.safety is Safety.LISTABLE
    ours = r"Good \(morning\) {hashtag|\#|fog}"
    assert found(listed(3, "Good night", minutes=2), listed(2, ours)) == "urn:li:share:2"
    assert found(listed(2, "Good (morning) #fog")) == "urn:li:share:2"


def test_what_is_older_or_other_is_not_it() -> None:
    assert found(listed(2, "Good morning #fog")) is None
    assert found(listed(2, "Good (morning) #fog", minutes=-3)) is None
    assert found() is None


def test_a_members_posts_are_for_a_person_to_look_at() -> None:
    denied = refusal(403, {"message": "Not enough permissions", "code": "ACCESS_DENIED"})
    publisher, _ = asked({LIST: denied})
    with pytest.raises(Permanent):
        publisher.find(luna(), post(progress=READY), SINCE)


@pytest.mark.parametrize("answer", [{}, [], {"elements": [{"id": "x"}]}, {"elements": [None]}])
def test_a_list_that_makes_no_sense_is_not_called_empty(answer: Any) -> None:
    publisher, _ = asked({LIST: ok(answer)})
    with pytest.raises(Temporary):
        publisher.find(luna(), post(progress=READY), SINCE)


DUPLICATE = refusal(422, {"message": "Content is a duplicate of urn:li:share:2"})


def test_a_duplicate_refusal_of_our_own_earlier_try_is_a_receipt() -> None:
    page = ok({"elements": [listed(2, "Good morning")]})
    publisher, _ = asked({POST: DUPLICATE, LIST: page})
    assert publisher.publish(luna(), post(progress=READY)).remote_id == "urn:li:share:2"


@pytest.mark.parametrize("answer", [ok({"elements": []}), refusal(403, {"message": "No"})])
def test_a_duplicate_of_anything_else_is_refused(answer: Answer) -> None:
    publisher, _ = asked({POST: DUPLICATE, LIST: answer})
    with pytest.raises(Permanent):
        publisher.publish(luna(), post(progress=READY))
