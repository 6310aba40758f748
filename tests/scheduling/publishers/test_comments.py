"""First comments on LinkedIn, Instagram and Facebook: one comment under the post, found again."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Outgoing,
    Permanent,
    Posted,
    PublishError,
    ReplyTo,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.connecting import Client, Connecting, Way
from apps.scheduling.publishers.facebook import Facebook
from apps.scheduling.publishers.instagram import Instagram
from tests.scheduling.publishers import test_containers, test_facebook, test_linkedin
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

ROOTS = {"facebook": "99_42", "instagram": "42", "linkedin": "urn:li:share:42"}
WRITE = {
    "facebook": "POST /v23.0/99_42/comments",
    "instagram": "POST /v23.0/42/comments",
    "linkedin": "POST /rest/socialActions/urn:li:share:42/comments",
}
LIST = {name: path.replace("POST", "GET") for name, path in WRITE.items()}
MADE: dict[str, Answer] = {
    "facebook": ok({"id": "42_7"}),
    "instagram": ok({"id": "177"}),
    "linkedin": httpx.Response(201, json={}, headers={"x-restli-id": "7"}),
}
SINCE = NOON - timedelta(minutes=2)
NETWORKS = pytest.mark.parametrize("name", sorted(WRITE))


def asked(name: str, answers: dict[str, Any]) -> tuple[Any, Any, Network]:
    """The publisher, its account, and the network that answers."""
    if name == "instagram":
        publisher, network = test_containers.asked(Instagram, answers)
        return publisher, test_containers.luna(), network
    here: Any = {"facebook": test_facebook, "linkedin": test_linkedin}[name]
    publisher, network = here.asked(answers)
    return publisher, here.luna(), network


def comment(name: str, **changes: Any) -> Outgoing:
    follows = ReplyTo(id=ROOTS[name], root=ROOTS[name])
    return post(**{"reply_to": follows, "progress": {"author": test_linkedin.PERSON}, **changes})


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


@NETWORKS
def test_a_first_comment_is_one_request_under_the_post(name: str) -> None:
    publisher, account, network = asked(name, {WRITE[name]: MADE[name]})
    receipt = publisher.publish(account, comment(name, text="More fog: https://a.example"))
    (request,) = network.asked
    if name == "linkedin":
        assert json.loads(request.content) == {
            "actor": test_linkedin.PERSON,
            "object": "urn:li:share:42",
            "message": {"text": "More fog: https://a.example"},
        }
        assert receipt.remote_id == "urn:li:comment:(urn:li:share:42,7)"
    else:
        assert request.content == (
            b"message=More+fog%3A+https%3A%2F%2Fa.example&access_token=long-lived-one"
        )
        assert receipt.remote_id == {"facebook": "42_7", "instagram": "177"}[name]


@NETWORKS
def test_preparing_a_comment_makes_nothing(name: str) -> None:
    publisher, account, network = asked(name, {test_linkedin.WHO: test_linkedin.ME})
    publisher.prepare(account, comment(name), forget)
    assert network.asked == []


@NETWORKS
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(429), Temporary),
        (refusal(503), Unconfirmed),
        (httpx.ReadError("cut"), Unconfirmed),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (refusal(400, {"message": "no"}), Permanent),
        (ok({}), Unconfirmed),
    ],
)
def test_every_outcome_of_a_comment(name: str, answer: Answer, error: type[PublishError]) -> None:
    publisher, account, network = asked(name, {WRITE[name]: answer})
    with pytest.raises(error):
        publisher.publish(account, comment(name))
    assert len(network.asked) == 1


@pytest.mark.parametrize("name", ["facebook", "instagram"])
def test_a_missing_right_to_comment_leaves_the_account_connected(name: str) -> None:
    missing = refusal(403, {"error": {"code": 200, "message": "Permissions error"}})
    publisher, account, _ = asked(name, {WRITE[name]: missing})
    with pytest.raises(Permanent, match=r"manage_(engagement|comments)"):
        publisher.publish(account, comment(name))
    ended = refusal(400, {"error": {"code": 190, "message": "Session has expired"}})
    publisher, account, _ = asked(name, {WRITE[name]: ended})
    with pytest.raises(NeedsReconnect):
        publisher.publish(account, comment(name))


def listed(name: str, text: str, *, minutes: float = 1) -> dict[str, Any]:
    when = (NOON + timedelta(minutes=minutes)).isoformat()
    if name == "linkedin":
        return {"id": "7", "actor": test_linkedin.PERSON, "message": {"text": text}}
    words, at = ("message", "created_time") if name == "facebook" else ("text", "timestamp")
    return {"id": "42_7" if name == "facebook" else "177", words: text, at: when}


@NETWORKS
def test_a_comment_is_found_only_once_it_is_there(name: str) -> None:
    def found(*rows: Any) -> Any:
        answer = {"elements": list(rows)} if name == "linkedin" else {"data": list(rows)}
        publisher, account, _ = asked(name, {LIST[name]: ok(answer)})
        return publisher.find(account, comment(name), SINCE)

    assert found() is None
    assert found(listed(name, "Nice!")) is None
    assert found(listed(name, "Nice!"), listed(name, "Good  morning")) is not None


@pytest.mark.parametrize("name", ["facebook", "instagram"])
def test_an_older_comment_that_says_the_same_is_not_it(name: str) -> None:
    rows = {"data": [listed(name, "Good morning", minutes=-60)]}
    publisher, account, _ = asked(name, {LIST[name]: ok(rows)})
    assert publisher.find(account, comment(name), SINCE) is None


@NETWORKS
def test_a_list_that_is_refused_is_not_called_empty(name: str) -> None:
    publisher, account, _ = asked(name, {LIST[name]: refusal(403, {"message": "no"})})
    with pytest.raises(Permanent):
        publisher.find(account, comment(name), SINCE)


@NETWORKS
def test_a_comment_under_nothing_is_not_sent(name: str) -> None:
    publisher, account, network = asked(name, {})
    lost = comment(name, reply_to=ReplyTo(id="", root=""))
    with pytest.raises(Permanent):
        publisher.publish(account, lost)
    assert network.asked == []


@NETWORKS
def test_a_comment_is_shorter_and_takes_no_picture(name: str) -> None:
    most = {"facebook": 8_000, "instagram": 300, "linkedin": 1_250}[name]
    publisher, account, _ = asked(name, {})

    def problems(**changes: Any) -> list[str]:
        return [each.code for each in publisher.check(account, comment(name, **changes))]

    assert problems(text="a" * most) == []
    assert problems(text="a" * (most + 1)) == ["text_too_long"]
    assert problems(attachments=(photo(),))[0] == "too_many_media"


def test_a_comment_on_instagram_takes_four_hashtags_and_one_link() -> None:
    publisher, account, _ = asked("instagram", {})

    def problems(text: str) -> list[str]:
        return [each.code for each in publisher.check(account, comment("instagram", text=text))]

    assert problems("#a #b #c #d https://a.example") == []
    assert problems("#a #b #c #d #e") == ["too_many_hashtags"]
    assert problems("https://a.example https://b.example") == ["too_many_links"]


def test_a_comment_on_linkedin_is_deleted_in_its_authors_name() -> None:
    path = "DELETE /rest/socialActions/urn:li:share:42/comments/7"
    publisher, account, network = asked("linkedin", {path: httpx.Response(204)})
    posted = Posted(
        key="k",
        remote_id="urn:li:comment:(urn:li:share:42,7)",
        published_at=NOON,
        progress={"author": test_linkedin.PERSON},
    )
    publisher.unpublish(account, posted)
    assert network.asked[0].url.params["actor"] == test_linkedin.PERSON


@pytest.mark.parametrize("kind", [Facebook, Instagram])
def test_the_right_to_comment_is_asked_for_but_not_needed(kind: type[Connecting]) -> None:
    publisher = kind()
    way = Way(client=Client(id="1", secret="x"), redirect="https://a.example/back", verifier="v")
    asked_for = httpx.URL(publisher.authorize_at(way, "state")).params["scope"].split(",")
    assert asked_for == [*publisher.scopes, *publisher.extra_scopes]
    publisher.need_scopes(set(publisher.scopes))
    with pytest.raises(Permanent):
        publisher.need_scopes(set(publisher.extra_scopes))
