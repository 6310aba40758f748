"""Public accounts, as Bluesky and Mastodon show them to anybody: what is asked, what is read."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from apps.scheduling.publishers.base import Account, Permanent, Temporary
from apps.scheduling.publishers.bluesky import Bluesky
from apps.scheduling.publishers.mastodon import Mastodon
from apps.scheduling.publishers.public import Profile, Public, PublicPost
from apps.sentiment.tracking import FETCHED
from tests.scheduling.publishers.network import Answer, Network, ok, refusal

VIEW = "GET /xrpc/app.bsky"
WHO, FEED, THREAD = (
    f"{VIEW}.actor.getProfile",
    f"{VIEW}.feed.getAuthorFeed",
    f"{VIEW}.feed.getPostThread",
)
DID, FAN = "did:plc:rival", "did:plc:fan"
URI = f"at://{DID}/app.bsky.feed.post/3kone"
RIVAL = Account(id="1", handle="@rival.example")
KNOWN = Profile(id=DID, followers=1_200)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

LOOKUP = "GET /api/v1/accounts/lookup"
STATUSES = "GET /api/v1/accounts/7/statuses"
CONTEXT = "GET /api/v1/statuses/41/context"
TOOTER = Account(id="2", handle="@rival@social.example")


def skeet(key: str = "3kone", author: str = DID, **changes: Any) -> dict[str, Any]:
    """A post as the public view shows it."""
    return {
        "uri": f"at://{author}/app.bsky.feed.post/{key}",
        "author": {"did": author, "handle": "fan.example" if author == FAN else "rival.example"},
        "record": {"text": "Our new lens"},
        "indexedAt": "2026-11-22T12:00:00Z",
        "likeCount": 9,
        "replyCount": 2,
        "repostCount": 3,
        "quoteCount": 1,
        **changes,
    }


def toot(number: str = "41", author: str = "7", **changes: Any) -> dict[str, Any]:
    """A status as a server shows it."""
    return {
        "id": number,
        "uri": f"https://social.example/users/rival/statuses/{number}",
        "content": "<p>Our new lens</p>",
        "created_at": "2026-11-22T12:00:00Z",
        "account": {"id": author, "acct": "rival" if author == "7" else "fan@elsewhere.example"},
        "favourites_count": 9,
        "replies_count": 2,
        "reblogs_count": 4,
        **changes,
    }


def bluesky(answers: dict[str, Answer | list[Answer]]) -> tuple[Bluesky, Network]:
    network = Network(answers)
    return Bluesky(transport=network.transport), network


def mastodon(answers: dict[str, Answer | list[Answer]]) -> tuple[Mastodon, Network]:
    network = Network(answers)
    return Mastodon(transport=network.transport), network


def test_the_networks_that_show_accounts_are_the_ones_sentiment_names() -> None:
    made = {name: import_string(each["BACKEND"])() for name, each in settings.PUBLISHERS.items()}
    assert {name for name, each in made.items() if isinstance(each, Public)} == FETCHED


# -- Bluesky ------------------------------------------------------------------------------------


def test_bluesky_is_asked_at_its_public_view_without_a_session() -> None:
    reader, network = bluesky({WHO: ok({"did": DID, "followersCount": 1200})})
    assert reader.profile(RIVAL) == KNOWN
    (asked,) = network.asked
    assert asked.url.host == "public.api.bsky.app"
    assert asked.url.params["actor"] == "rival.example"
    assert "authorization" not in asked.headers


def test_bluesky_lists_own_posts_page_by_page_and_no_shared_ones() -> None:
    shared = {"post": skeet(author=FAN), "reason": {"indexedAt": "2026-11-20T12:00:00Z"}}
    reader, network = bluesky(
        {FEED: [ok({"feed": [{"post": skeet()}, shared], "cursor": "c2"}), ok({"feed": []})]}
    )
    page = reader.listing(RIVAL, KNOWN, "")
    (post,) = page.posts
    assert (post.remote_id, post.text, post.posted_at) == (URI, "Our new lens", NOON)
    assert (post.likes, post.comments, post.shares) == (9, 2, 4)
    assert page.cursor == "c2"
    assert page.oldest == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert "cursor" not in network.asked[0].url.params
    assert reader.listing(RIVAL, KNOWN, "c2").cursor == ""
    assert network.asked[1].url.params["cursor"] == "c2"
    assert network.asked[1].url.params["filter"] == "posts_no_replies"


def test_bluesky_comments_are_what_others_wrote_however_deep() -> None:
    shy = {"did": FAN, "handle": "shy.example", "labels": [{"val": "!no-unauthenticated"}]}
    thread = {
        "thread": {
            "post": skeet(),
            "replies": [
                {
                    "post": skeet("3ka", FAN, record={"text": "Lovely"}),
                    "replies": [
                        {"post": skeet("3kb", record={"text": "Thank you"})},
                        {"post": skeet("3kc", FAN, record={"text": "Any time"})},
                    ],
                },
                {"post": {**skeet("3kd", FAN), "author": shy}},
                {"blocked": True},
                "nonsense",
            ],
        }
    }
    reader, network = bluesky({THREAD: ok(thread)})
    post = PublicPost(remote_id=URI, id=URI, text="", posted_at=NOON)
    found = reader.below(RIVAL, KNOWN, post)
    assert [each.text for each in found] == ["Lovely", "Any time"]
    assert found[0].author == "fan.example"
    assert network.asked[0].url.params["uri"] == URI


def test_bluesky_accounts_that_ask_to_stay_unseen_stay_unseen() -> None:
    hidden = {"did": DID, "labels": [{"val": "!no-unauthenticated"}]}
    reader, _ = bluesky({WHO: ok(hidden)})
    with pytest.raises(Permanent, match="asks not to be shown"):
        reader.profile(RIVAL)


# -- Mastodon -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handle", "server", "host", "acct"),
    [
        ("@rival@social.example", "", "social.example", "rival"),
        ("rival", "https://social.example", "social.example", "rival"),
        ("@rival@name.example", "https://social.example", "social.example", "rival@name.example"),
    ],
)
def test_mastodon_is_asked_at_the_accounts_server(
    handle: str, server: str, host: str, acct: str
) -> None:
    reader, network = mastodon({LOOKUP: ok({"id": "7", "followers_count": 50})})
    found = reader.profile(Account(id="2", handle=handle, server=server))
    assert found == Profile(id="7", followers=50)
    assert network.asked[0].url.host == host
    assert network.asked[0].url.params["acct"] == acct
    assert "authorization" not in network.asked[0].headers


def test_mastodon_without_a_server_says_what_to_write() -> None:
    reader, network = mastodon({})
    with pytest.raises(Permanent, match="@name@server"):
        reader.profile(Account(id="2", handle="rival"))
    assert not network.asked


def test_mastodon_hides_followers_where_their_owner_does() -> None:
    reader, _ = mastodon({LOOKUP: ok({"id": "7", "followers_count": -1})})
    assert reader.profile(TOOTER).followers is None


def test_mastodon_lists_own_posts_and_goes_on_below_the_last() -> None:
    reader, network = mastodon({STATUSES: [ok([toot("41"), toot("40")]), ok([])]})
    page = reader.listing(TOOTER, Profile(id="7"), "")
    assert [each.id for each in page.posts] == ["41", "40"]
    first = page.posts[0]
    assert first.remote_id == "https://social.example/users/rival/statuses/41"
    assert (first.text, first.likes, first.comments, first.shares) == ("Our new lens", 9, 2, 4)
    assert page.cursor == "40"
    assert reader.listing(TOOTER, Profile(id="7"), "40").cursor == ""
    params = network.asked[1].url.params
    assert (params["max_id"], params["exclude_replies"], params["exclude_reblogs"]) == (
        "40",
        "true",
        "true",
    )


def test_mastodon_comments_are_what_others_wrote() -> None:
    below = [
        toot("42", "8", content="<p>Blurry<br>again</p>"),
        toot("43", content="<p>Sorry!</p>"),
        {"id": "44"},
    ]
    reader, _ = mastodon({CONTEXT: ok({"ancestors": [], "descendants": below})})
    post = PublicPost(remote_id="x", id="41", text="", posted_at=NOON)
    (found,) = reader.below(TOOTER, Profile(id="7"), post)
    assert (found.text, found.author) == ("Blurry\nagain", "fan@elsewhere.example")


# -- Refusals -----------------------------------------------------------------------------------


def test_a_server_that_wants_a_sign_in_is_not_asked_for_one() -> None:
    reader, _ = mastodon({LOOKUP: refusal(401, {"error": "This API requires a token"})})
    with pytest.raises(Permanent, match="only to people who are signed in"):
        reader.profile(TOOTER)


def test_an_account_that_is_gone_is_a_lasting_fault() -> None:
    gone = refusal(400, {"error": "InvalidRequest", "message": "Profile not found"})
    reader, _ = bluesky({WHO: gone})
    with pytest.raises(Permanent, match="Profile not found"):
        reader.profile(RIVAL)


def test_a_rate_limit_says_how_long_to_wait() -> None:
    reader, _ = bluesky({FEED: refusal(429, {"error": "RateLimitExceeded"}, retry_after="90")})
    with pytest.raises(Temporary) as caught:
        reader.listing(RIVAL, KNOWN, "")
    assert caught.value.code == "rate_limited"
    assert caught.value.retry_after == 90


@pytest.mark.parametrize("answer", [[], {}, {"did": 7}, {"did": "x"}])
def test_nonsense_is_trouble_of_the_server_and_no_crash(answer: Any) -> None:
    reader, _ = bluesky({WHO: ok(answer)})
    with pytest.raises(Temporary, match="does not say who"):
        reader.profile(RIVAL)
    other, _ = mastodon({LOOKUP: ok(answer)})
    with pytest.raises(Temporary, match="does not say who"):
        other.profile(TOOTER)
