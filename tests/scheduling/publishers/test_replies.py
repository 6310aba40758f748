"""Every network that takes replies: what a later part of a thread asks of it, and what it finds."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from apps.scheduling.publishers.base import Account, Outgoing, Permanent, Publisher, ReplyTo
from apps.scheduling.publishers.threads import Threads
from tests.scheduling.publishers import (
    test_bluesky,
    test_mastodon,
    test_matrix,
    test_telegram,
    test_webhook,
    test_x,
)
from tests.scheduling.publishers.network import NOON, Network, ok, photo, post, refusal

TAKE_REPLIES = {
    "wall",
    "bluesky",
    "mastodon",
    "telegram",
    "x",
    "threads",
    "matrix",
    "nostr",
    "custom",
    # As comments under the post.
    "facebook",
    "instagram",
    "linkedin",
}


def part(parent: str, root: str = "", **changes: Any) -> Outgoing:
    """The second part of a thread."""
    return post(reply_to=ReplyTo(id=parent, root=root or parent), **changes)


def forget(progress: Any) -> None:
    """Keep no progress."""


@pytest.mark.parametrize("name", sorted(settings.PUBLISHERS))
def test_a_network_that_takes_no_replies_says_so_before(name: str) -> None:
    publisher: Publisher = import_string(settings.PUBLISHERS[name]["BACKEND"])()
    assert publisher.replies is (name in TAKE_REPLIES)
    problems = publisher.check(Account(id="1", handle="luna"), part("1", attachments=(photo(),)))
    assert ("no_threads" in {each.code for each in problems}) is not publisher.replies


def test_bluesky_names_parent_and_root_by_address_and_content() -> None:
    root, parent = (f"at://{test_bluesky.DID}/app.bsky.feed.post/{key}" for key in ("3ka", "3kb"))
    records = [ok({"uri": "x", "cid": f"bafyreicid{n}", "value": {}}) for n in range(2)]
    publisher, network = test_bluesky.asked({test_bluesky.GET: records})
    outgoing = part(parent, root)
    progress = publisher.prepare(test_bluesky.luna(), outgoing, forget)
    asked = {each.url.params["rkey"] for each in network.asked}
    assert asked == {"3ka", "3kb"}
    assert {progress["reply"][end]["uri"] for end in ("root", "parent")} == {root, parent}
    publisher.publish(test_bluesky.luna(), part(parent, root, progress=progress))
    assert network.body()["record"]["reply"] == progress["reply"]
    # What is known is not asked again: every try is the same record.
    count = len(network.asked)
    publisher.prepare(test_bluesky.luna(), part(parent, root, progress=progress), forget)
    assert len(network.asked) == count


def test_bluesky_replies_to_nothing_that_is_gone() -> None:
    gone = refusal(400, {"error": "RecordNotFound", "message": "Could not locate record"})
    publisher, _ = test_bluesky.asked({test_bluesky.GET: gone})
    with pytest.raises(Permanent, match="Could not locate record"):
        publisher.prepare(test_bluesky.luna(), part(test_bluesky.URI), forget)
    with pytest.raises(Permanent, match="no address"):
        publisher.prepare(test_bluesky.luna(), part("https://example.org/1"), forget)


def test_mastodon_replies_by_id_and_finds_only_what_replies_to_the_same() -> None:
    here = test_mastodon
    publisher, network = here.asked({here.POST: ok(here.MADE)})
    publisher.publish(here.luna(), part("41"))
    assert network.body()["in_reply_to_id"] == "41"
    listed = {**here.MADE, "content": "<p>Good morning</p>"}
    for follows, found in ((None, False), ("40", False), ("41", True)):
        page = [{**listed, "in_reply_to_id": follows}]
        publisher, _ = here.asked({here.WHO: ok(here.ME), here.LIST: [ok(page), ok([])]})
        receipt = publisher.find(here.luna(), part("41"), NOON - timedelta(hours=1))
        assert (receipt is not None) is found


def test_x_replies_by_id_and_looks_among_replies() -> None:
    here = test_x
    publisher, network = here.asked({here.POST: here.MADE})
    publisher.publish(here.luna(), part("41"))
    assert network.body()["reply"] == {"in_reply_to_tweet_id": "41"}
    publisher, network = here.asked({here.WHO: ok(here.ME), here.LIST: ok(here.EMPTY)})
    assert publisher.find(here.luna(), part("41"), NOON) is None
    assert network.asked[-1].url.params["exclude"] == "retweets"
    assert publisher.id_in("https://x.com/luna/status/42?s=20") == "42"
    assert publisher.id_in("https://x.com/luna") == ""


def test_telegram_replies_by_message_id_with_and_without_pictures() -> None:
    here = test_telegram
    photo_call = f"POST {here.BASE}/sendPhoto"
    publisher, network = here.asked({here.SEND: ok(here.MADE), photo_call: ok(here.MADE)})
    publisher.publish(here.luna(), part("6"))
    assert network.body()["reply_parameters"] == {"message_id": 6}
    publisher.publish(here.luna(), part("6", attachments=(photo(),)))
    body = network.asked[-1].content
    assert b'name="reply_parameters"\r\n\r\n{"message_id": 6}\r\n' in body
    assert publisher.id_in("https://t.me/lunafog/7") == "7"
    assert publisher.id_in("https://t.me/c/1234/8?single") == "8"
    assert publisher.id_in("https://t.me/lunafog") == ""


def test_matrix_replies_by_event_with_its_first_message() -> None:
    here = test_matrix
    publisher, _ = here.asked({})
    first, second = publisher.messages(
        part("$before", attachments=(photo(),), progress={"uploads": {"0": "mxc://m.example/p0"}})
    )
    assert first["m.relates_to"] == {"m.in_reply_to": {"event_id": "$before"}}
    assert "m.relates_to" not in second


def test_threads_replies_with_its_container_and_looks_among_replies() -> None:
    publisher = Threads()
    assert publisher.container(part("41"), [])["reply_to_id"] == "41"
    assert publisher.container(part("41"), ["1", "2"])["reply_to_id"] == "41"
    network = Network(
        {
            "GET /v1.0/900": ok({"status": "PUBLISHED"}),
            "GET /v1.0/7/replies": ok({"data": [{"id": "42", "text": "Good morning"}]}),
        }
    )
    publisher = Threads(transport=network.transport)
    progress = {"container": {"id": "900", "at": 0, "ready": True}, "user": "7"}
    account = Account(id="1", handle="@luna", credentials={"access_token": "t"})
    receipt = publisher.find(account, part("41", progress=progress), NOON)
    assert receipt is not None
    assert receipt.remote_id == "42"


def test_a_webhook_is_told_what_a_part_continues() -> None:
    publisher, network = test_webhook.asked(ok({"id": "p2"}))
    publisher.publish(test_webhook.luna(), part("p1"))
    assert json.loads(network.asked[0].content)["data"]["reply_to"] == "p1"
