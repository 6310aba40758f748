"""One table over all networks: answer, rate limit, expired token, 5xx, cut connection, duplicate.

What each is asked, to the byte, stands in its own file; here it is the same at every try.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.conf import settings

from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Outgoing,
    Publisher,
    PublishError,
    Receipt,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.instagram import Instagram
from apps.scheduling.publishers.threads import Threads
from tests.scheduling.publishers import (
    test_bluesky,
    test_containers,
    test_discord,
    test_facebook,
    test_linkedin,
    test_mastodon,
    test_matrix,
    test_telegram,
    test_tiktok,
    test_webhook,
    test_x,
)
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

# Meta writes offsets without a colon.
LATER = (NOON + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S+0000")
SLOW = refusal(429, {"message": "slow down"}, retry_after="30")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network: how it is asked to publish, and its own way of saying each thing."""

    asked: Callable[[dict[str, Any]], tuple[Any, Network]]
    account: Account
    call: str
    made: Answer
    remote_id: str
    outgoing: Outgoing = field(default_factory=post)
    # What is asked beside the one call that publishes.
    beside: dict[str, Answer] = field(default_factory=dict)
    slow: Answer = SLOW
    wait: float = 30
    expired: Answer = field(default_factory=lambda: refusal(401, {"message": "expired"}))
    # What an expired token makes us ask besides, all of it refused.
    renewals: dict[str, Answer] = field(default_factory=dict)
    # How it refuses the same post again, and what it shows where we then look; None: it takes
    # whatever it is sent, so a lost answer is never followed by another try.
    duplicate: tuple[Answer, dict[str, Answer]] | None = None


def meta(code: int, words: str = "no") -> httpx.Response:
    return refusal(400, {"error": {"code": code, "message": words}})


def of_containers(kind: test_containers.Kind) -> Case:
    here, start = test_containers, f"/{kind.version}"
    listed = {
        "id": "42",
        "timestamp": LATER,
        kind.text_field: "Good morning",
        "permalink": "https://example.org/p/42",
    }
    return Case(
        asked=lambda answers: here.asked(kind, answers),
        account=here.luna(),
        call=f"POST {start}/7/{kind.publishing}",
        made=ok({"id": "42"}),
        remote_id="42",
        outgoing=post(attachments=(photo(),), progress=here.READY),
        beside={f"GET {start}/42": ok({"permalink": "https://example.org/p/42"})},
        slow=meta(4),
        wait=900,
        expired=meta(190),
        duplicate=(
            meta(9_007, "The media is already published"),
            {
                f"GET {start}/100": here.status(kind, "PUBLISHED"),
                f"GET {start}/7/{kind.listing}": ok({"data": [listed]}),
            },
        ),
    )


def feed_row() -> dict[str, Any]:
    return {"id": "99_42", "message": "Good morning", "from": {"id": "99"}}


REFUSED = refusal(400, {"error": "invalid_grant"})
CASES = {
    "bluesky": Case(
        asked=test_bluesky.asked,
        account=test_bluesky.luna(),
        call=test_bluesky.PUT,
        made=ok({"uri": test_bluesky.URI, "cid": "c"}),
        remote_id=test_bluesky.URI,
        expired=refusal(400, test_bluesky.EXPIRED),
        renewals={
            test_bluesky.REFRESH: refusal(401),
            f"POST {test_bluesky.XRPC}.server.createSession": refusal(401),
        },
        duplicate=(ok({"uri": test_bluesky.URI, "cid": "c"}), {}),
    ),
    "mastodon": Case(
        asked=test_mastodon.asked,
        account=test_mastodon.luna(),
        call=test_mastodon.POST,
        made=ok(test_mastodon.MADE),
        remote_id="42",
        # The same Idempotency-Key again: the same status.
        duplicate=(ok(test_mastodon.MADE), {}),
    ),
    "telegram": Case(
        asked=test_telegram.asked,
        account=test_telegram.luna(),
        call=test_telegram.SEND,
        made=ok(test_telegram.MADE),
        remote_id="7",
        slow=refusal(429, {"ok": False, "parameters": {"retry_after": 30}}),
    ),
    "discord": Case(
        asked=test_discord.asked,
        account=test_discord.luna(),
        call=test_discord.SEND,
        made=ok(test_discord.MADE),
        remote_id="42",
    ),
    "x": Case(
        asked=test_x.asked,
        account=test_x.luna(),
        call=test_x.POST,
        made=test_x.MADE,
        remote_id="42",
        renewals={test_x.RENEW: REFUSED},
        duplicate=(
            test_x.said(403, "You are not allowed to create a Tweet with duplicate content."),
            {
                test_x.WHO: ok(test_x.ME),
                test_x.LIST: ok({"data": [{"id": "42", "text": "Good morning"}]}),
            },
        ),
    ),
    "linkedin": Case(
        asked=test_linkedin.asked,
        account=test_linkedin.luna(),
        call=test_linkedin.POST,
        made=test_linkedin.MADE,
        remote_id="urn:li:share:42",
        outgoing=post(progress=test_linkedin.READY),
        renewals={test_linkedin.RENEW: REFUSED},
        duplicate=(
            refusal(422, {"message": "Content is a duplicate of urn:li:share:42"}),
            {
                test_linkedin.LIST: ok(
                    {
                        "elements": [
                            {
                                "id": "urn:li:share:42",
                                "createdAt": int(NOON.timestamp() * 1_000) + 1,
                                "commentary": "Good morning",
                            }
                        ]
                    }
                )
            },
        ),
    ),
    "instagram": of_containers(Instagram),
    "threads": of_containers(Threads),
    "facebook": Case(
        asked=test_facebook.asked,
        account=test_facebook.luna(),
        call=test_facebook.POST,
        made=test_facebook.MADE,
        remote_id="99_42",
        outgoing=post(progress=test_facebook.READY),
        slow=meta(4),
        wait=900,
        expired=meta(190),
        duplicate=(meta(506), {test_facebook.LIST: ok({"data": [feed_row()]})}),
    ),
    "tiktok": Case(
        asked=test_tiktok.asked,
        account=test_tiktok.luna(),
        call=test_tiktok.INIT,
        made=test_tiktok.MADE,
        remote_id="42",
        outgoing=test_tiktok.picture_post(),
        beside={test_tiktok.STATUS: test_tiktok.DONE},
        slow=refusal(
            429, {"error": {"code": "rate_limit_exceeded", "message": "no"}}, retry_after="30"
        ),
        expired=test_tiktok.refused(401, "access_token_invalid"),
        renewals={test_tiktok.RENEW: REFUSED},
    ),
    "matrix": Case(
        asked=test_matrix.asked,
        account=test_matrix.luna(),
        call=f"{test_matrix.SEND}-0",
        made=test_matrix.made(),
        remote_id="$event0",
        outgoing=post(progress=test_matrix.READY),
        slow=test_matrix.refused(429, "M_LIMIT_EXCEEDED", retry_after_ms=30_000),
        expired=test_matrix.refused(401, "M_UNKNOWN_TOKEN"),
        # The same transaction again: the same event.
        duplicate=(test_matrix.made(), {}),
    ),
    "custom": Case(
        asked=lambda answers: test_webhook.asked(answers[test_webhook.HOOK]),
        account=test_webhook.luna(),
        call=test_webhook.HOOK,
        made=ok({"id": "42"}),
        remote_id="42",
        # Standard Webhooks: a receiver that has the id already says 2xx.
        duplicate=(ok({"id": "42"}), {}),
    ),
}
EVERY = pytest.mark.parametrize("name", sorted(CASES))
# The Wall is no network of others; Nostr speaks no HTTP, and test_nostr.py has the same table.
ELSEWHERE = {"wall", "nostr"}


def published(
    case: Case, answer: Answer | list[Answer], **answers: Answer
) -> tuple[Publisher, Network]:
    publisher, network = case.asked({case.call: answer, **case.beside, **answers})
    return publisher, network


def test_the_table_has_every_network() -> None:
    assert set(CASES) | ELSEWHERE == set(settings.PUBLISHERS)


@EVERY
def test_an_answer_is_a_receipt(name: str) -> None:
    case = CASES[name]
    publisher, _ = published(case, case.made)
    assert publisher.publish(case.account, case.outgoing).remote_id == case.remote_id


@EVERY
def test_every_try_is_the_same_to_the_byte(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    publisher, network = published(case, case.made)
    for _ in range(2):
        publisher.publish(case.account, case.outgoing)
    one, two = (each for each in network.asked if f"{each.method} {each.url.path}" == case.call)
    assert (one.url, one.content, one.headers) == (two.url, two.content, two.headers)


@EVERY
def test_a_rate_limit_lets_the_whole_account_wait(name: str) -> None:
    case = CASES[name]
    publisher, network = published(case, case.slow)
    with pytest.raises(Temporary) as caught:
        publisher.publish(case.account, case.outgoing)
    assert caught.value.whole_account and caught.value.retry_after == case.wait
    assert len(network.asked) == 1


@EVERY
def test_an_expired_token_that_cannot_be_renewed_asks_a_person(name: str) -> None:
    case = CASES[name]
    publisher, network = published(case, case.expired, **case.renewals)
    with pytest.raises(NeedsReconnect):
        publisher.publish(case.account, case.outgoing)
    assert len(network.asked) == 1 + len(case.renewals)


@EVERY
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_fault_after_sending_is_unconfirmed(name: str, status: int) -> None:
    case = CASES[name]
    publisher, network = published(case, refusal(status, {"message": "oops"}))
    with pytest.raises(Unconfirmed):
        publisher.publish(case.account, case.outgoing)
    assert len(network.asked) == 1


@EVERY
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ReadError("reset by peer"), Unconfirmed),
        (httpx.WriteError("broken pipe"), Unconfirmed),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("closed without an answer"), Unconfirmed),
        # Nothing had left yet.
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ConnectTimeout("late"), Temporary),
    ],
)
def test_a_cut_connection_is_unconfirmed_once_anything_left(
    name: str, failure: Exception, error: type[PublishError]
) -> None:
    case = CASES[name]
    publisher, network = published(case, failure)
    with pytest.raises(error):
        publisher.publish(case.account, case.outgoing)
    assert len(network.asked) == 1


@EVERY
def test_a_refused_duplicate_is_the_post_of_an_earlier_try(name: str) -> None:
    case = CASES[name]
    if case.duplicate is None:
        # It refuses none; so a lost answer is for a person, or for its own id, never resent.
        assert name in {"telegram", "discord", "tiktok"}
        return
    answer, shown = case.duplicate
    publisher, _ = published(case, answer, **shown)
    receipt: Receipt = publisher.publish(case.account, case.outgoing)
    assert receipt.remote_id == case.remote_id
