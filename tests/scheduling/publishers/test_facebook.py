"""Facebook: one post on a page, its pictures attached, and found in the feed afterwards."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

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
from apps.scheduling.publishers.facebook import Facebook
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal
from tests.scheduling.publishers.test_containers import OUTCOMES, meta

POST, LIST = "POST /v23.0/99/feed", "GET /v23.0/99/feed"
WHO, UPLOAD = "GET /v23.0/me", "POST /v23.0/99/photos"
ME = ok({"id": "99", "name": "Luna's fog", "category": "Artist"})
MADE = ok({"id": "99_42"})
READY = {"page": "99"}
SINCE = NOON - timedelta(minutes=2)


def luna(token: str = "long-lived-one") -> Account:
    return Account(id="1", handle="Luna's fog", credentials={"access_token": token})


def asked(answers: dict[str, Any]) -> tuple[Facebook, Network]:
    network = Network(answers)
    return Facebook(transport=network.transport), network


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


def form(network: Network) -> dict[str, str]:
    return dict(parse_qsl(network.asked[-1].content.decode()))


def test_a_post_is_one_request_to_the_feed() -> None:
    publisher, network = asked({POST: MADE})
    receipt = publisher.publish(luna(), post(text="Olá", progress=READY))
    (request,) = network.asked
    assert str(request.url) == "https://graph.facebook.com/v23.0/99/feed"
    assert request.content == b"message=Ol%C3%A1&access_token=long-lived-one"
    assert (receipt.remote_id, receipt.url) == ("99_42", "https://www.facebook.com/99_42")


def test_a_link_gets_its_card() -> None:
    publisher, network = asked({POST: MADE})
    publisher.publish(luna(), post(link="https://a.example", progress=READY))
    assert form(network)["link"] == "https://a.example"


def test_pictures_are_uploaded_unseen_and_attached_in_their_order() -> None:
    publisher, network = asked({WHO: ME, UPLOAD: [ok({"id": "1"}), ok({"id": "2"})], POST: MADE})
    outgoing = post(attachments=(photo(), photo(alt="")))
    saved: list[Mapping[str, Any]] = []
    progress = publisher.prepare(luna(), outgoing, saved.append)
    upload = network.asked[1].content
    assert b'name="published"\r\n\r\nfalse\r\n' in upload
    assert b'name="alt_text_custom"\r\n\r\nFog over the river\r\n' in upload
    assert b'name="source"; filename="picture.jpeg"\r\nContent-Type: image/jpeg' in upload
    assert saved[-1] == progress
    publisher.publish(luna(), post(attachments=outgoing.attachments, progress=progress))
    sent = form(network)
    assert sent["attached_media[0]"] == '{"media_fbid":"1"}'
    assert sent["attached_media[1]"] == '{"media_fbid":"2"}'


def test_an_upload_that_was_done_is_not_done_again() -> None:
    publisher, _ = asked({WHO: ME, UPLOAD: [ok({"id": "1"}), refusal(500)]})
    saved: list[Mapping[str, Any]] = []
    with pytest.raises(Temporary):
        publisher.prepare(luna(), post(attachments=(photo(), photo())), saved.append)
    again, network = asked({UPLOAD: ok({"id": "2"})})
    outgoing = post(attachments=(photo(), photo()), progress=saved[-1])
    again.prepare(luna(), outgoing, forget)
    assert network.names == ["POST photos"]


@pytest.mark.parametrize(("answer", "error"), OUTCOMES)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({POST: answer})
    with pytest.raises(error):
        publisher.publish(luna(), post(progress=READY))
    assert len(network.asked) == 1


def test_without_a_token_nothing_is_sent() -> None:
    publisher, network = asked({})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(token=""), post(progress=READY))
    assert not network.asked


def test_a_post_that_is_not_prepared_is_not_sent() -> None:
    publisher, network = asked({})
    for outgoing in (post(), post(attachments=(photo(),), progress=READY)):
        with pytest.raises(Temporary):
            publisher.publish(luna(), outgoing)
    assert not network.asked


# -- Who we are, and what fits ------------------------------------------------------------------


def test_testing_says_which_page_it_is() -> None:
    publisher, _ = asked({WHO: ME})
    identity = publisher.test(luna())
    assert (identity.handle, identity.remote_id) == ("Luna's fog", "99")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ok({"id": "5", "name": "A person"}), Permanent),
        (ok({}), Temporary),
        (meta(190), NeedsReconnect),
        (refusal(500), Temporary),
    ],
)
def test_a_failed_test_says_why(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: answer})
    with pytest.raises(error):
        publisher.test(luna())


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in Facebook().check(luna(), post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="a" * 63_206) == []
    assert problems(text="a" * 63_207) == ["text_too_long"]
    assert problems(text="🌫" * 31_604) == ["text_too_long"]
    assert problems(attachments=(photo(),) * 11) == ["too_many_media"]
    assert problems(attachments=(photo(size=4_000_001),)) == ["media_too_large"]


# -- Found again --------------------------------------------------------------------------------


def listed(number: str = "99_42", message: str = "Good morning", **more: Any) -> dict[str, Any]:
    return {"id": number, "message": message, "from": {"id": "99"}, **more}


def by_a_visitor() -> dict[str, Any]:
    return {**listed(), "from": {"id": "5"}}


def found(*posts: Any, pictures: int = 0) -> str | None:
    publisher, _ = asked({LIST: ok({"data": list(posts)})})
    outgoing = post(attachments=(photo(),) * pictures, progress=READY)
    receipt = publisher.find(luna(), outgoing, SINCE)
    return receipt.remote_id if receipt else None


ALBUM: Any = {"attachments": {"data": [{"media_type": "album"}]}}


def test_our_post_is_found_in_the_feed() -> None:
    assert Facebook.safety is Safety.LISTABLE
    assert found(listed("99_1", "Good night"), listed()) == "99_42"
    assert found(listed(**ALBUM), pictures=2) == "99_42"


@pytest.mark.parametrize(
    "other", [listed(message="Good"), listed(**ALBUM), by_a_visitor(), {}, None, 7]
)
def test_what_only_resembles_it_is_not_it(other: Any) -> None:
    assert found(other) is None


def test_the_feed_is_read_from_the_first_attempt_on_page_after_page() -> None:
    paging = {"next": "https://graph.facebook.com/x", "cursors": {"after": "c1"}}
    pages = [{"data": [listed("99_1", "a")], "paging": paging}, {"data": [listed()]}]
    publisher, network = asked({LIST: [ok(page) for page in pages]})
    assert publisher.find(luna(), post(progress=READY), SINCE) is not None
    first, second = (request.url.params for request in network.asked)
    assert first["since"] == str(int(SINCE.timestamp()))
    assert second["after"] == "c1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [(ok({}), Temporary), (ok([]), Temporary), (refusal(500), Temporary), (meta(100), Permanent)],
)
def test_what_cannot_be_listed_is_not_called_absent(
    answer: Answer, error: type[PublishError]
) -> None:
    publisher, _ = asked({LIST: answer})
    with pytest.raises(error):
        publisher.find(luna(), post(progress=READY), SINCE)


def test_a_duplicate_refusal_of_our_own_earlier_try_is_a_receipt() -> None:
    publisher, _ = asked({POST: meta(506), LIST: ok({"data": [listed()]})})
    assert publisher.publish(luna(), post(progress=READY)).remote_id == "99_42"


def test_a_duplicate_of_an_older_post_is_refused() -> None:
    publisher, _ = asked({POST: meta(506), LIST: ok({"data": []})})
    with pytest.raises(Permanent) as caught:
        publisher.publish(luna(), post(progress=READY))
    assert caught.value.code == "duplicate"


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("late"), refusal(502)])
def test_a_lost_answer_is_left_open(answer: Answer) -> None:
    publisher, _ = asked({POST: answer})
    with pytest.raises(Unconfirmed):
        publisher.publish(luna(), post(progress=READY))
