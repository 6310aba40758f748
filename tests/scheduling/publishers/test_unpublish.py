"""A post is deleted where the network lets programs do it; twice is once, and gone is done."""

from typing import Any

import pytest

from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import NeedsReconnect, Permanent, Posted, Temporary
from apps.scheduling.publishers.bluesky import Bluesky
from apps.scheduling.publishers.discord import Discord
from apps.scheduling.publishers.facebook import Facebook
from apps.scheduling.publishers.linkedin import LinkedIn
from apps.scheduling.publishers.mastodon import Mastodon
from apps.scheduling.publishers.matrix import KEY, Matrix
from apps.scheduling.publishers.telegram import Telegram
from apps.scheduling.publishers.threads import Threads
from apps.scheduling.publishers.x import X
from tests.scheduling.publishers import (
    test_bluesky,
    test_containers,
    test_discord,
    test_facebook,
    test_linkedin,
    test_mastodon,
    test_matrix,
    test_telegram,
    test_x,
)
from tests.scheduling.publishers.network import NOON, Network, ok, refusal

ROOM_PATH = f"/_matrix/client/v3/rooms/{test_matrix.ROOM}"


def posted(remote_id: str = "42", **more: Any) -> Posted:
    return Posted(key="key1", remote_id=remote_id, published_at=NOON, **more)


URN = "urn:li:share:42"
# The network, its account, the post there, and the one request that deletes it.
CASES: list[tuple[Any, Any, Posted, str]] = [
    (Mastodon, test_mastodon.luna, posted(), "DELETE /api/v1/statuses/42"),
    (X, test_x.luna, posted(), "DELETE /2/tweets/42"),
    (Discord, test_discord.luna, posted(), f"DELETE {test_discord.PATH}/messages/42"),
    (Facebook, test_facebook.luna, posted("1_42"), "DELETE /v23.0/1_42"),
    (Threads, test_containers.luna, posted(), "DELETE /v1.0/42"),
    (LinkedIn, test_linkedin.luna, posted(URN), f"DELETE /rest/posts/{URN}"),
    (Telegram, test_telegram.luna, posted(), f"POST /bot{test_telegram.TOKEN}/deleteMessage"),
    (
        Bluesky,
        test_bluesky.luna,
        posted(test_bluesky.URI),
        "POST /xrpc/com.atproto.repo.deleteRecord",
    ),
    (
        Matrix,
        test_matrix.luna,
        posted("$one", progress={"room": test_matrix.ROOM, "user": "@luna:m.example"}),
        f"PUT {ROOM_PATH}/redact/$one/key1-removed",
    ),
]
IDS = [case[0].__name__ for case in CASES]


def on(kind: Any, answers: dict[str, Any]) -> tuple[Any, Network]:
    network = Network(answers)
    return kind(transport=network.transport, sleep=lambda seconds: None), network


@pytest.mark.parametrize(("kind", "luna", "there", "request_"), CASES, ids=IDS)
def test_one_request_deletes_it(kind: Any, luna: Any, there: Posted, request_: str) -> None:
    publisher, network = on(kind, {request_: ok({"ok": True})})
    assert publisher.can_unpublish
    publisher.unpublish(luna(), there)
    assert len(network.asked) == 1


@pytest.mark.parametrize(("kind", "luna", "there", "request_"), CASES, ids=IDS)
def test_trouble_is_tried_again(kind: Any, luna: Any, there: Posted, request_: str) -> None:
    publisher, _ = on(kind, {request_: refusal(503, {})})
    with pytest.raises(Temporary):
        publisher.unpublish(luna(), there)


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (Mastodon, 404, {"error": "Record not found"}),
        (X, 404, {"title": "Not Found Error"}),
        (Discord, 404, {"code": 10008, "message": "Unknown Message"}),
        (LinkedIn, 404, {"message": "Not found"}),
        (
            Telegram,
            400,
            {"ok": False, "description": "Bad Request: message to delete not found"},
        ),
    ],
)
def test_what_is_gone_is_done(kind: Any, status: int, body: dict[str, Any]) -> None:
    [(_, luna, there, request_)] = [case for case in CASES if case[0] is kind]
    publisher, _ = on(kind, {request_: refusal(status, body)})
    publisher.unpublish(luna(), there)


def test_what_bluesky_is_asked_names_our_own_key() -> None:
    publisher, network = on(Bluesky, {"POST /xrpc/com.atproto.repo.deleteRecord": ok({})})
    publisher.unpublish(test_bluesky.luna(), posted(""))
    assert network.body() == {
        "repo": test_bluesky.DID,
        "collection": "app.bsky.feed.post",
        "rkey": "key1",
    }


def test_a_webhook_that_is_gone_is_no_deleted_message() -> None:
    [(_, luna, there, request_)] = [case for case in CASES if case[0] is Discord]
    publisher, _ = on(Discord, {request_: refusal(404, {"code": 10015})})
    with pytest.raises(NeedsReconnect):
        publisher.unpublish(luna(), there)


def test_a_telegram_album_is_left_to_a_person() -> None:
    publisher, network = on(Telegram, {})
    with pytest.raises(Permanent, match="by hand"):
        publisher.unpublish(test_telegram.luna(), posted(pictures=2))
    assert network.asked == []


@pytest.mark.parametrize("kind", [Mastodon, X, Discord, Facebook, Threads, LinkedIn, Telegram])
def test_a_post_without_an_id_is_left_to_a_person(kind: Any) -> None:
    [(_, luna, _, _)] = [case for case in CASES if case[0] is kind]
    publisher, network = on(kind, {})
    with pytest.raises(Permanent, match="by hand"):
        publisher.unpublish(luna(), posted(""))
    assert network.asked == []


def test_every_message_of_a_matrix_post_is_redacted() -> None:
    def event(number: int) -> dict[str, Any]:
        return {
            "event_id": f"$e{number}",
            "origin_server_ts": int(NOON.timestamp() * 1_000),
            "content": {KEY: f"key1-{number}"},
        }

    def path(number: int) -> str:
        return f"PUT {ROOM_PATH}/redact/$e{number}/key1-removed"

    answers = {
        f"GET {ROOM_PATH}/messages": ok({"chunk": [event(1), event(0)]}),
        path(0): ok({}),
        path(1): ok({}),
    }
    publisher, network = on(Matrix, answers)
    progress = {"room": test_matrix.ROOM, "user": "@luna:m.example"}
    publisher.unpublish(test_matrix.luna(), posted("$e0", pictures=1, progress=progress))
    assert len(network.asked) == 3


def test_networks_say_what_they_can() -> None:
    can = {name for name in publishers if publishers[name].can_unpublish}
    assert can >= {"wall", "bluesky", "mastodon", "telegram", "discord", "x", "linkedin"}
    assert not can & {"instagram", "tiktok", "custom"}
