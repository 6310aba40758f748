"""How posts did: numbers by each network's own words, and what people answered below them.

A right that is missing, or replies that cannot be had, cost neither the numbers nor a post.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    NO_RIGHT,
    Account,
    Echo,
    NeedsReconnect,
    Permanent,
    Posted,
    PublishError,
    Temporary,
)
from apps.scheduling.publishers.bluesky import Bluesky
from apps.scheduling.publishers.facebook import Facebook
from apps.scheduling.publishers.instagram import Instagram
from apps.scheduling.publishers.mastodon import Mastodon
from apps.scheduling.publishers.threads import Threads
from apps.scheduling.publishers.x import X
from tests.scheduling.publishers import (
    test_bluesky,
    test_containers,
    test_facebook,
    test_mastodon,
    test_x,
)
from tests.scheduling.publishers.network import Answer, Network, ok, refusal
from tests.scheduling.publishers.test_containers import meta
from tests.scheduling.publishers.test_unpublish import on, posted


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network: what is asked for numbers and for replies, as its documentation shows it."""

    kind: Any
    luna: Callable[[], Account]
    numbers: str
    asked_for_numbers: str
    told: Any
    replies: str
    asked_for_replies: str
    below: Any
    # Likes, comments, shares.
    figures: tuple[int, int, int]
    there: Posted = field(default_factory=posted)
    expired: Answer = field(default_factory=lambda: meta(190))
    slow: Answer = field(default_factory=lambda: meta(4))
    # How it says that replies are not for this account, and what it names as missing.
    closed: Answer = field(default_factory=lambda: meta(10))
    right: str = ""

    def ask(self, **answers: Any) -> tuple[Echo, Network]:
        """Follow up with the documented answers, or others."""
        given = {"numbers": ok(self.told), "replies": ok(self.below), **answers}
        paths = {"numbers": self.numbers, "replies": self.replies}
        publisher, network = on(
            self.kind, {paths.get(name, name): answer for name, answer in given.items()}
        )
        return publisher.follow_up(self.luna(), self.there), network


def insight(name: str, value: int) -> dict[str, Any]:
    return {"name": name, "period": "lifetime", "values": [{"value": value}], "id": f"42/{name}"}


WHEN = "2026-11-22T12:01:00+0000"
CASES = {
    "x": Case(
        kind=X,
        luna=test_x.luna,
        numbers="GET /2/tweets/42",
        asked_for_numbers="https://api.x.com/2/tweets/42"
        "?tweet.fields=conversation_id%2Cpublic_metrics",
        told={
            "data": {
                "id": "42",
                "text": "Good morning",
                "conversation_id": "42",
                "public_metrics": {
                    "retweet_count": 2,
                    "reply_count": 3,
                    "like_count": 7,
                    "quote_count": 1,
                    "bookmark_count": 5,
                    "impression_count": 900,
                },
            }
        },
        replies="GET /2/tweets/search/recent",
        asked_for_replies="https://api.x.com/2/tweets/search/recent"
        "?query=conversation_id%3A42+-from%3Aluna&max_results=100"
        "&tweet.fields=author_id%2Ccreated_at%2Centities%2Cnote_tweet"
        "&expansions=author_id&user.fields=username",
        below={
            "data": [
                {
                    "id": "50",
                    "author_id": "9",
                    "created_at": "2026-11-22T12:01:00.000Z",
                    "text": "So calm &amp; good https://t.co/x",
                    "entities": {
                        "urls": [{"url": "https://t.co/x", "expanded_url": "https://a.example"}]
                    },
                },
                "?",
            ],
            "includes": {"users": [{"id": "9", "username": "fan"}]},
            "meta": {"result_count": 1},
        },
        figures=(7, 3, 3),
        expired=refusal(401, {"title": "Unauthorized"}),
        slow=refusal(429, {"title": "Too Many Requests"}),
        closed=test_x.said(403, "Your access level has no recent search."),
        right="recent search",
    ),
    "threads": Case(
        kind=Threads,
        luna=test_containers.luna,
        numbers="GET /v1.0/42/insights",
        asked_for_numbers="https://graph.threads.net/v1.0/42/insights"
        "?metric=likes%2Creplies%2Creposts%2Cquotes&access_token=long-lived-one",
        told={
            "data": [
                insight("likes", 7),
                insight("replies", 3),
                insight("reposts", 2),
                insight("quotes", 1),
            ]
        },
        replies="GET /v1.0/42/replies",
        asked_for_replies="https://graph.threads.net/v1.0/42/replies"
        "?fields=id%2Ctext%2Ctimestamp%2Cusername&limit=100&access_token=long-lived-one",
        below={
            "data": [
                {
                    "id": "50",
                    "text": "So calm & good https://a.example",
                    "timestamp": WHEN,
                    "username": "fan",
                },
                {"id": "51"},
                "?",
            ],
            "paging": {"cursors": {"before": "a", "after": "b"}},
        },
        figures=(7, 3, 3),
        right="threads_read_replies",
    ),
    "instagram": Case(
        kind=Instagram,
        luna=test_containers.luna,
        numbers="GET /v23.0/42",
        asked_for_numbers="https://graph.instagram.com/v23.0/42"
        "?fields=like_count%2Ccomments_count&access_token=long-lived-one",
        told={"like_count": 7, "comments_count": 3, "id": "42"},
        replies="GET /v23.0/42/comments",
        asked_for_replies="https://graph.instagram.com/v23.0/42/comments"
        "?fields=id%2Ctext%2Ctimestamp%2Cusername&limit=50&access_token=long-lived-one",
        below={
            "data": [
                {
                    "id": "50",
                    "text": "So calm & good https://a.example",
                    "timestamp": WHEN,
                    "username": "fan",
                },
                {"id": "../me", "text": "no"},
            ]
        },
        figures=(7, 3, 0),
        right="instagram_business_manage_comments",
    ),
    "facebook": Case(
        kind=Facebook,
        luna=test_facebook.luna,
        there=posted("99_42", progress={"page": "99"}),
        numbers="GET /v23.0/99_42",
        asked_for_numbers="https://graph.facebook.com/v23.0/99_42"
        "?fields=reactions.limit%280%29.summary%28total_count%29"
        "%2Ccomments.limit%280%29.summary%28total_count%29%2Cshares&access_token=long-lived-one",
        told={
            "reactions": {"data": [], "summary": {"total_count": 7}},
            "comments": {"data": [], "summary": {"total_count": 3, "can_comment": True}},
            "shares": {"count": 3},
            "id": "99_42",
        },
        replies="GET /v23.0/99_42/comments",
        asked_for_replies="https://graph.facebook.com/v23.0/99_42/comments"
        "?fields=id%2Cmessage%2Ccreated_time%2Cfrom%7Bid%2Cname%7D&limit=100"
        "&filter=stream&order=reverse_chronological&access_token=long-lived-one",
        below={
            "data": [
                {
                    "id": "42_50",
                    "message": "So calm & good https://a.example",
                    "created_time": WHEN,
                    "from": {"id": "9", "name": "fan"},
                },
                {"id": "42_51", "message": "Our first comment", "from": {"id": "99"}},
            ]
        },
        figures=(7, 3, 3),
        right="pages_read_user_content",
    ),
}
EVERY = pytest.mark.parametrize("name", sorted(CASES))


def figures(echo: Echo) -> tuple[int, int, int]:
    return echo.likes, echo.comments, echo.shares


def test_networks_that_tell_how_posts_did() -> None:
    told = {name for name in publishers if publishers[name].can_follow_up}
    assert told == {"bluesky", "mastodon", *CASES}
    # Whoever charges for a question is asked rarely.
    assert {name for name in told if publishers[name].charges_to_ask} == {"x"}


@EVERY
def test_numbers_and_replies_are_two_requests_to_the_byte(name: str) -> None:
    case = CASES[name]
    echo, network = case.ask()
    numbers, replies = network.asked
    assert (str(numbers.url), numbers.content) == (case.asked_for_numbers, b"")
    assert (str(replies.url), replies.content) == (case.asked_for_replies, b"")
    assert figures(echo) == case.figures
    assert echo.lacking == ""
    [told] = echo.replies
    assert (told.author, told.text) == ("fan", "So calm & good https://a.example")
    assert told.remote_id == ("42_50" if name == "facebook" else "50")
    assert told.written_at is not None and told.written_at.minute == 1


@EVERY
def test_replies_that_are_closed_to_the_account_lose_no_numbers(name: str) -> None:
    case = CASES[name]
    echo, _ = case.ask(replies=case.closed)
    assert (figures(echo), echo.replies) == (case.figures, ())
    assert echo.lacking is not None and case.right in echo.lacking


@EVERY
@pytest.mark.parametrize(
    "answer",
    [refusal(503), refusal(429), httpx.ReadTimeout("late"), ok([]), ok({"data": 3})],
    ids=["fault", "limit", "late", "a list", "nonsense"],
)
def test_replies_that_do_not_come_lose_no_numbers_and_accuse_nobody(
    name: str, answer: Answer
) -> None:
    echo, _ = CASES[name].ask(replies=answer)
    assert (figures(echo), echo.replies, echo.lacking) == (CASES[name].figures, (), None)


@EVERY
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(503), Temporary),
        (httpx.ReadTimeout("late"), Temporary),
        (httpx.ConnectError("refused"), Temporary),
        (refusal(404, {"title": "Not Found Error"}), Permanent),
        (ok({}), Temporary),
        (ok({"data": []}), Temporary),
        (ok([]), Temporary),
        (httpx.Response(200, content=b"<html>"), Temporary),
    ],
)
def test_numbers_that_do_not_come(name: str, answer: Answer, error: type[PublishError]) -> None:
    with pytest.raises(error) as caught:
        CASES[name].ask(numbers=answer)
    assert caught.value.code != NO_RIGHT


@EVERY
def test_a_rate_limit_is_for_the_whole_account(name: str) -> None:
    with pytest.raises(Temporary) as caught:
        CASES[name].ask(numbers=CASES[name].slow)
    assert caught.value.whole_account


@EVERY
def test_an_expired_token_asks_for_a_person(name: str) -> None:
    with pytest.raises(NeedsReconnect):
        CASES[name].ask(numbers=CASES[name].expired, **{test_x.RENEW: refusal(400, {})})


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("threads", "threads_manage_insights"),
        ("instagram", "instagram_business_basic"),
        ("facebook", "pages_read_engagement"),
    ],
)
@pytest.mark.parametrize("code", [10, 200])
def test_a_missing_right_is_named_and_is_no_end_of_the_account(
    name: str, right: str, code: int
) -> None:
    with pytest.raises(Permanent, match=right) as caught:
        CASES[name].ask(numbers=meta(code))
    assert caught.value.code == NO_RIGHT


@pytest.mark.parametrize("name", ["threads", "instagram", "facebook"])
def test_older_replies_are_on_the_next_page(name: str) -> None:
    case = CASES[name]
    (first,) = (row for row in case.below["data"] if row != "?" and row["id"].endswith("50"))
    paging = {"cursors": {"after": "xyz"}, "next": "https://elsewhere.example/never-followed"}
    pages = [ok({"data": [first], "paging": paging}), ok({"data": []})]
    echo, network = case.ask(replies=pages)
    assert len(echo.replies) == 1
    assert network.asked[-1].url.params["after"] == "xyz"
    assert len({each.url.host for each in network.asked}) == 1


@pytest.mark.parametrize("name", ["threads", "instagram", "facebook"])
def test_an_endless_list_of_replies_is_left(name: str) -> None:
    case = CASES[name]
    paging = {"cursors": {"after": "xyz"}, "next": "https://elsewhere.example"}
    echo, network = case.ask(replies=ok({**case.below, "paging": paging}))
    assert len(network.asked) <= 5
    assert echo.lacking == ""


def test_x_is_not_asked_for_replies_that_are_not_there() -> None:
    case = CASES["x"]
    quiet = {**case.told["data"], "public_metrics": {"like_count": 1, "reply_count": 0}}
    echo, network = case.ask(numbers=ok({"data": quiet}))
    assert (figures(echo), echo.lacking, len(network.asked)) == ((1, 0, 0), None, 1)
    # A later part's replies stand in the conversation of the first.
    echo, network = case.ask(numbers=ok({"data": {**case.told["data"], "conversation_id": "41"}}))
    assert (figures(echo), len(network.asked)) == (case.figures, 1)


def test_a_video_on_facebook_tells_of_no_shares() -> None:
    case = CASES["facebook"]
    publisher, network = on(
        Facebook, {"GET /v23.0/42": ok(case.told), "GET /v23.0/42/comments": ok(case.below)}
    )
    echo = publisher.follow_up(case.luna(), posted("42", progress={"page": "99"}))
    assert "shares" not in network.asked[0].url.params["fields"]
    assert [each.text for each in echo.replies] == ["So calm & good https://a.example"]


@pytest.mark.parametrize("name", ["threads", "instagram", "facebook"])
@pytest.mark.parametrize("remote_id", ["", "me", "42/../me", "42?fields=email"])
def test_only_an_id_stands_in_the_path(name: str, remote_id: str) -> None:
    publisher, network = on(CASES[name].kind, {})
    with pytest.raises(Permanent):
        publisher.follow_up(CASES[name].luna(), posted(remote_id))
    assert network.asked == []


# -- Mastodon and Bluesky -----------------------------------------------------------------------


def test_mastodon_tells_likes_and_replies() -> None:
    reply = {
        "uri": "https://other.example/9",
        "content": "<p>So <b>good</b> &amp; calm<br>really</p>",
        "account": {"acct": "fan@other.example"},
        "created_at": "2026-11-22T12:00:01.000Z",
    }
    answers = {
        "GET /api/v1/statuses/42": ok(
            {"id": "42", "favourites_count": 7, "reblogs_count": 2, "replies_count": -1}
        ),
        "GET /api/v1/statuses/42/context": ok({"descendants": [reply, {"content": 3}]}),
    }
    echo = on(Mastodon, answers)[0].follow_up(test_mastodon.luna(), posted())
    assert (echo.likes, echo.shares, echo.comments) == (7, 2, 0)
    [told] = echo.replies
    assert (told.text, told.author) == ("So good & calm\nreally", "fan@other.example")
    assert told.remote_id == "https://other.example/9"


def test_bluesky_tells_likes_and_replies() -> None:
    reply = {
        "post": {
            "uri": "at://did:plc:fan/app.bsky.feed.post/1",
            "author": {"handle": "fan.example"},
            "record": {"text": "So calm"},
            "indexedAt": "2026-11-22T12:00:01.000Z",
        }
    }
    shown = {"likeCount": 3, "replyCount": 1, "repostCount": 1, "quoteCount": 1}
    thread = {"thread": {"post": shown, "replies": [reply, {"blocked": True}, "?"]}}
    answers = {"GET /xrpc/app.bsky.feed.getPostThread": ok(thread)}
    echo = on(Bluesky, answers)[0].follow_up(test_bluesky.luna(), posted(test_bluesky.URI))
    assert (echo.likes, echo.comments, echo.shares) == (3, 1, 2)
    assert [(each.author, each.text) for each in echo.replies] == [("fan.example", "So calm")]


@pytest.mark.parametrize("answer", [{"thread": {}}, [], {"thread": {"post": []}}])
def test_nonsense_is_asked_about_again(answer: Any) -> None:
    publisher, _ = on(Bluesky, {"GET /xrpc/app.bsky.feed.getPostThread": ok(answer)})
    with pytest.raises(Temporary):
        publisher.follow_up(test_bluesky.luna(), posted(test_bluesky.URI))
