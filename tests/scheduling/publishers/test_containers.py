"""Instagram and Threads: a container, kept before it is published, tells what became of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

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
from apps.scheduling.publishers.containers import ContainerPublisher
from apps.scheduling.publishers.instagram import Instagram
from apps.scheduling.publishers.threads import Threads
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

NOW = int(time.time())
READY = {"user": "7", "container": {"id": "100", "at": NOW, "ready": True}}
KINDS = pytest.mark.parametrize("kind", [Instagram, Threads])
Kind = type[ContainerPublisher]


def luna(renew: Any = None, *, renewed_at: int = NOW) -> Account:
    given = {"access_token": "long-lived-one", "renewed_at": renewed_at}
    account = Account(id="1", handle="@luna", credentials=given)
    return replace(account, renew=renew) if renew else account


def paths(kind: Kind) -> dict[str, str]:
    start = f"/{kind.version}"
    return {
        "me": f"GET {start}/me",
        "make": f"POST {start}/7/{kind.making}",
        "publish": f"POST {start}/7/{kind.publishing}",
        "list": f"GET {start}/7/{kind.listing}",
        "container": f"GET {start}/100",
        "post": f"GET {start}/42",
        "renew": "GET /refresh_access_token",
    }


def asked(kind: Kind, answers: Mapping[str, Any]) -> tuple[ContainerPublisher, Network]:
    names = paths(kind)
    network = Network({names.get(name, name): answer for name, answer in answers.items()})
    return kind(transport=network.transport, sleep=lambda seconds: None), network


def status(kind: Kind, *values: str) -> Any:
    answers = [ok({kind.status_field: each, "id": "100"}) for each in values]
    return answers if len(answers) > 1 else answers[0]


def me(kind: Kind) -> httpx.Response:
    return ok({kind.user_field: "7", "username": "luna.fog"})


def form(network: Network, position: int = -1) -> dict[str, str]:
    return dict(parse_qsl(network.asked[position].content.decode()))


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


def picture_post(count: int = 1, **changes: Any) -> Outgoing:
    return post(
        attachments=tuple(photo(alt="Fog" if n == 0 else "") for n in range(count)), **changes
    )


# -- The container ------------------------------------------------------------------------------


@KINDS
def test_a_picture_is_one_container_kept_before_it_is_published(kind: Kind) -> None:
    answers = {
        "me": me(kind),
        "make": ok({"id": "100"}),
        "container": status(kind, "IN_PROGRESS", "FINISHED"),
    }
    publisher, network = asked(kind, answers)
    saved: list[Mapping[str, Any]] = []
    progress = publisher.prepare(luna(), picture_post(), lambda now: saved.append(dict(now)))
    assert [each["container"]["ready"] for each in saved] == [False, True]
    assert progress["container"]["id"] == "100" and progress["user"] == "7"
    assert form(network, 1) == {
        **({"media_type": "IMAGE", "text": "Good morning"} if kind is Threads else {}),
        **({"caption": "Good morning"} if kind is Instagram else {}),
        "image_url": "https://gator.example/media/fog.jpg",
        "alt_text": "Fog",
        "access_token": "long-lived-one",
    }
    assert not any("publish" in name for name in network.names)


def test_text_alone_is_a_container_on_threads() -> None:
    answers = {
        "me": me(Threads),
        "make": ok({"id": "100"}),
        "container": status(Threads, "FINISHED"),
    }
    publisher, network = asked(Threads, answers)
    publisher.prepare(luna(), post(link="https://a.example"), forget)
    assert form(network, 1) == {
        "media_type": "TEXT",
        "text": "Good morning\n\nhttps://a.example",
        "link_attachment": "https://a.example",
        "access_token": "long-lived-one",
    }


@KINDS
def test_several_pictures_are_a_carousel_of_containers(kind: Kind) -> None:
    answers = {
        "me": me(kind),
        "make": [ok({"id": "101"}), ok({"id": "102"}), ok({"id": "100"})],
        "container": status(kind, "FINISHED"),
        f"GET /{kind.version}/101": status(kind, "IN_PROGRESS", "FINISHED"),
        f"GET /{kind.version}/102": status(kind, "FINISHED"),
    }
    publisher, network = asked(kind, answers)
    saved: list[Mapping[str, Any]] = []
    publisher.prepare(luna(), picture_post(2), saved.append)
    assert saved[-1]["children"]["1"]["id"] == "102"
    whole = [form(network, n) for n, each in enumerate(network.asked) if each.method == "POST"]
    assert [each.get("is_carousel_item") for each in whole] == ["true", "true", None]
    assert (whole[2]["media_type"], whole[2]["children"]) == ("CAROUSEL", "101,102")
    assert "alt_text" in whole[0] and "alt_text" not in whole[1]


@KINDS
def test_what_was_made_is_not_made_again(kind: Kind) -> None:
    waiting = {**READY, "container": {**READY["container"], "ready": False}}  # type: ignore[dict-item]
    publisher, network = asked(kind, {"container": status(kind, "FINISHED")})
    progress = publisher.prepare(luna(), picture_post(progress=waiting), forget)
    assert progress == READY
    assert network.names == ["GET 100"]
    assert publisher.prepare(luna(), picture_post(progress=READY), forget) == READY


@KINDS
def test_a_container_of_yesterday_is_made_anew(kind: Kind) -> None:
    old = {**READY, "container": {"id": "99", "at": NOW - 86_400, "ready": True}}
    answers = {"make": ok({"id": "100"}), "container": status(kind, "FINISHED")}
    publisher, _ = asked(kind, {"me": me(kind), **answers})
    progress = publisher.prepare(luna(), picture_post(progress=old), forget)
    assert progress["container"]["id"] == "100"


@KINDS
@pytest.mark.parametrize(
    ("name", "answer", "error"),
    [
        ("make", refusal(400, {"error": {"message": "Bad URL", "code": 9004}}), Permanent),
        ("make", refusal(500), Temporary),
        ("make", httpx.ReadTimeout("late"), Temporary),
        ("make", ok({}), Temporary),
        ("make", ok({"id": "../x"}), Temporary),
        ("container", ok({}), Temporary),
        ("container", refusal(503), Temporary),
    ],
)
def test_a_container_that_fails_leaves_no_doubt(
    kind: Kind, name: str, answer: Answer, error: type[PublishError], monkeypatch: Any
) -> None:
    monkeypatch.setattr("apps.scheduling.publishers.containers.PROCESSING_SECONDS", 0)
    answers = {"me": me(kind), "make": ok({"id": "100"}), "container": status(kind, "FINISHED")}
    publisher, _ = asked(kind, {**answers, name: answer})
    with pytest.raises(error):
        publisher.prepare(luna(), picture_post(), forget)


@KINDS
def test_a_picture_that_meta_cannot_read_is_told(kind: Kind) -> None:
    failed = ok({kind.status_field: "ERROR", kind.error_field: "Image could not be fetched"})
    publisher, _ = asked(kind, {"me": me(kind), "make": ok({"id": "100"}), "container": failed})
    with pytest.raises(Permanent, match="could not be fetched"):
        publisher.prepare(luna(), picture_post(), forget)


# -- Publishing ---------------------------------------------------------------------------------


@KINDS
def test_publishing_names_the_container(kind: Kind) -> None:
    page = ok({"permalink": "https://www.instagram.com/p/abc/"})
    publisher, network = asked(kind, {"publish": ok({"id": "42"}), "post": page})
    receipt = publisher.publish(luna(), picture_post(progress=READY))
    request = network.asked[0]
    assert str(request.url) == f"{kind.default_server}/{kind.version}/7/{kind.publishing}"
    assert request.content == b"creation_id=100&access_token=long-lived-one"
    assert (receipt.remote_id, receipt.url) == ("42", "https://www.instagram.com/p/abc/")


@KINDS
@pytest.mark.parametrize("answer", [refusal(500), httpx.ReadTimeout("late"), ok([]), ok({})])
def test_a_published_post_without_an_address_is_still_published(kind: Kind, answer: Any) -> None:
    publisher, _ = asked(kind, {"publish": ok({"id": "42"}), "post": answer})
    receipt = publisher.publish(luna(), picture_post(progress=READY))
    assert (receipt.remote_id, receipt.url) == ("42", "")


def meta(code: int, status: int = 400, **more: Any) -> httpx.Response:
    error = {"message": "The words of Meta", "type": "OAuthException", "code": code, **more}
    return refusal(status, {"error": error})


OUTCOMES = [
    (meta(190, 401), NeedsReconnect),
    (meta(190, error_subcode=463), NeedsReconnect),
    (meta(10, 403), NeedsReconnect),
    (meta(100), Permanent),
    (meta(4), Temporary),
    (meta(9, error_subcode=2207042), Temporary),
    (meta(2, is_transient=True), Unconfirmed),
    (meta(2, 500), Unconfirmed),
    (refusal(429, None), Temporary),
    (refusal(502), Unconfirmed),
    (httpx.ConnectError("refused"), Temporary),
    (httpx.ReadTimeout("late"), Unconfirmed),
    (httpx.RemoteProtocolError("cut"), Unconfirmed),
    (httpx.Response(200, text="<html>"), Unconfirmed),
    (ok({}), Unconfirmed),
    (ok([]), Unconfirmed),
    (ok({"id": "../x"}), Unconfirmed),
]


@KINDS
@pytest.mark.parametrize(("answer", "error"), OUTCOMES)
def test_every_outcome_of_publishing(kind: Kind, answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked(kind, {"publish": answer, "container": status(kind, "FINISHED")})
    with pytest.raises(error) as caught:
        publisher.publish(luna(), picture_post(progress=READY))
    assert "long-lived-one" not in str(caught.value)


def test_a_limit_that_comes_as_400_holds_the_whole_account() -> None:
    publisher, _ = asked(Instagram, {"publish": meta(9)})
    with pytest.raises(Temporary, match="The words of Meta") as caught:
        publisher.publish(luna(), picture_post(progress=READY))
    assert (caught.value.retry_after, caught.value.whole_account) == (900, True)


@KINDS
def test_a_container_refused_because_an_earlier_try_arrived_is_a_receipt(kind: Kind) -> None:
    listed = ok({"data": [{"id": "42", kind.text_field: "Good morning"}]})
    answers = {"publish": meta(100), "container": status(kind, "PUBLISHED"), "list": listed}
    publisher, _ = asked(kind, answers)
    assert publisher.publish(luna(), picture_post(progress=READY)).remote_id == "42"


@KINDS
def test_a_post_that_is_not_prepared_is_not_sent(kind: Kind) -> None:
    publisher, network = asked(kind, {})
    waiting = {**READY, "container": {**READY["container"], "ready": False}}  # type: ignore[dict-item]
    for progress in ({}, waiting):
        with pytest.raises(Temporary):
            publisher.publish(luna(), picture_post(progress=progress))
    assert not network.asked


# -- After a lost answer ------------------------------------------------------------------------


@KINDS
def test_a_published_container_is_found_with_its_address(kind: Kind) -> None:
    url = "https://www.threads.com/@luna/post/x"
    posts = [
        {"id": "43", kind.text_field: "Good night"},
        {"id": "42", kind.text_field: "Good  morning", "permalink": url},
    ]
    answers = {"container": status(kind, "PUBLISHED"), "list": ok({"data": posts})}
    publisher, _ = asked(kind, answers)
    receipt = publisher.find(luna(), picture_post(progress=READY), NOON)
    assert receipt is not None
    assert (receipt.remote_id, receipt.url) == ("42", url)


@KINDS
@pytest.mark.parametrize("answer", [ok({"data": []}), ok([]), meta(100)])
def test_a_published_container_is_published_whatever_the_list_says(kind: Kind, answer: Any) -> None:
    publisher, _ = asked(kind, {"container": status(kind, "PUBLISHED"), "list": answer})
    receipt = publisher.find(luna(), picture_post(progress=READY), NOON)
    assert receipt is not None and receipt.remote_id == "100"


@KINDS
@pytest.mark.parametrize("state", ["FINISHED", "EXPIRED"])
def test_a_container_that_was_not_published_may_be_sent_again(kind: Kind, state: str) -> None:
    publisher, _ = asked(kind, {"container": status(kind, state)})
    assert publisher.find(luna(), picture_post(progress=READY), NOON) is None


@KINDS
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status_code": "IN_PROGRESS", "status": "IN_PROGRESS"}, Temporary),
        ({}, Temporary),
        ({"status_code": "ERROR", "status": "ERROR"}, Permanent),
    ],
)
def test_a_container_that_does_not_tell_is_not_called_absent(
    kind: Kind, answer: Any, error: type[PublishError]
) -> None:
    publisher, _ = asked(kind, {"container": ok(answer)})
    with pytest.raises(error):
        publisher.find(luna(), picture_post(progress=READY), NOON)


@KINDS
def test_without_a_container_nothing_was_sent(kind: Kind) -> None:
    publisher, network = asked(kind, {})
    assert publisher.find(luna(), picture_post(), NOON) is None
    assert not network.asked


# -- The token ----------------------------------------------------------------------------------

WEEK = 7 * 86_400


@KINDS
def test_a_token_of_last_week_is_exchanged_for_a_new_one(kind: Kind) -> None:
    renewed = ok({"access_token": "long-lived-two", "expires_in": 5_184_000})
    publisher, network = asked(kind, {"renew": renewed, "me": me(kind)})
    kept: list[Mapping[str, Any]] = []

    def renew(seen: Mapping[str, Any], refresh: Callable[..., Any]) -> Mapping[str, Any]:
        kept.append(refresh(seen))
        return kept[-1]

    publisher.test(luna(renew, renewed_at=NOW - WEEK))
    assert network.asked[0].url.params["grant_type"] == kind.renewal_grant
    assert network.asked[1].url.params["access_token"] == "long-lived-two"
    assert kept[0]["access_token"] == "long-lived-two"
    assert kept[0]["renewed_at"] >= NOW and kept[0]["expires_at"] > NOW + 5_000_000


@KINDS
@pytest.mark.parametrize("answer", [meta(190), refusal(500), ok({}), httpx.ReadTimeout("late")])
def test_a_token_that_cannot_be_exchanged_is_used_as_it_is(kind: Kind, answer: Answer) -> None:
    publisher, network = asked(kind, {"renew": answer, "me": me(kind)})
    assert publisher.test(luna(renewed_at=0)).handle == "@luna.fog"
    assert network.asked[1].url.params["access_token"] == "long-lived-one"


# -- Who we are, and what fits ------------------------------------------------------------------


@KINDS
def test_testing_says_who_we_are(kind: Kind) -> None:
    publisher, network = asked(kind, {"me": me(kind)})
    identity = publisher.test(luna())
    assert (identity.handle, identity.remote_id) == ("@luna.fog", "7")
    assert identity.url.endswith("luna.fog") or identity.url.endswith("luna.fog/")
    assert network.names == ["GET me"]


@KINDS
@pytest.mark.parametrize(
    ("answer", "error"), [(ok({}), Temporary), (ok([]), Temporary), (meta(190), NeedsReconnect)]
)
def test_a_failed_test_says_why(kind: Kind, answer: Any, error: type[PublishError]) -> None:
    publisher, _ = asked(kind, {"me": answer})
    with pytest.raises(error):
        publisher.test(luna())


def problems(kind: Kind, **changes: Any) -> list[str]:
    return [problem.code for problem in kind().check(luna(), post(**changes))]


def test_what_instagram_takes() -> None:
    one = (photo(),)
    assert problems(Instagram, text="a" * 2_200, attachments=one) == []
    assert problems(Instagram, text="a" * 2_201, attachments=one) == ["text_too_long"]
    assert problems(Instagram) == ["media_missing"]
    assert problems(Instagram, attachments=one * 10) == []
    assert problems(Instagram, attachments=one * 11) == ["too_many_media"]
    assert problems(Instagram, text="#fog " * 30, attachments=one) == []
    assert problems(Instagram, text="#fog " * 31, attachments=one) == ["too_many_hashtags"]
    assert problems(Instagram, text="@bob " * 21, attachments=one) == ["too_many_mentions"]
    assert problems(Instagram, attachments=(photo(mime="image/png"),)) == ["media_type"]
    assert problems(Instagram, attachments=(photo(width=400, height=800),)) == ["media_shape"]
    assert problems(Instagram, attachments=(photo(width=1_080, height=1_350),)) == []
    assert problems(Instagram, attachments=(photo(width=1_080, height=566),)) == []


def test_what_threads_takes() -> None:
    assert problems(Threads, text="a" * 500) == []
    assert problems(Threads, text="a" * 501) == ["text_too_long"]
    assert problems(Threads, text="🌫" * 125) == []
    assert problems(Threads, text="🌫️" * 72) == ["text_too_long"]
    assert problems(Threads, text="", attachments=(photo(mime="image/png"),) * 20) == []


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Olá", 3),
        ("霧", 1),
        ("🐊", 4),
        ("❤️", 6),
        ("👨‍👩‍👧", 18),
        ("🇵🇹", 8),
        ("a\nb", 3),
        ("1️⃣", 7),
    ],
)
def test_threads_counts_emoji_in_bytes(text: str, length: int) -> None:
    assert Threads().count(text, luna()) == length


@KINDS
@pytest.mark.parametrize(
    "url",
    [
        "http://gator.example/media/fog.jpg",
        "https://localhost/media/fog.jpg",
        "https://gator.local/media/fog.jpg",
        "https://192.168.1.2/media/fog.jpg",
        "https://[::1]/media/fog.jpg",
        "/media/fog.jpg",
        "https://[",
    ],
)
def test_a_picture_that_nobody_outside_can_reach_is_told_of_before(kind: Kind, url: str) -> None:
    assert problems(kind, attachments=(photo(url=url),)) == ["media_not_public"]
