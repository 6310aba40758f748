"""Bluesky: one post under our own key, byte for byte the same at every try."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

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
from apps.scheduling.publishers.bluesky import Bluesky
from apps.scheduling.publishers.tid import BASE32, new_tid
from tests.scheduling.publishers.network import Answer, Network, ok, photo, post, refusal

XRPC = "/xrpc/com.atproto"
PUT = f"POST {XRPC}.repo.putRecord"
UPLOAD = f"POST {XRPC}.repo.uploadBlob"
SIGN_IN = f"POST {XRPC}.server.createSession"
REFRESH = f"POST {XRPC}.server.refreshSession"
WHO = f"GET {XRPC}.server.getSession"
RESOLVE = f"GET {XRPC}.identity.resolveHandle"
GET = f"GET {XRPC}.repo.getRecord"

DID = "did:plc:luna"
URI = f"at://{DID}/app.bsky.feed.post/3kkeytestpost"
BLOB = {"$type": "blob", "ref": {"$link": "bafyfog"}, "mimeType": "image/jpeg", "size": 1}
SESSION = {"accessJwt": "access-2", "refreshJwt": "refresh-2", "did": DID, "handle": "luna.example"}
KEPT = {
    "app_password": "abcd-efgh-ijkl-mnop",
    "access_jwt": "access-1",
    "refresh_jwt": "refresh-1",
    "did": DID,
}
EXPIRED = {"error": "ExpiredToken", "message": "Token has expired"}


class Vault:
    """The account's row: what `renew` keeps there."""

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self.kept = dict(credentials)
        self.renewals = 0

    def renew(self, seen: Mapping[str, Any], refresh: Any) -> Mapping[str, Any]:
        if self.kept == dict(seen):
            self.renewals += 1
            self.kept = dict(refresh(seen))
        return self.kept


def luna(vault: Vault | None = None, **changes: Any) -> Account:
    vault = vault or Vault(KEPT)
    given = {"id": "1", "handle": "luna.example", "credentials": dict(vault.kept)}
    return Account(**{**given, "renew": vault.renew, **changes})


def asked(answers: dict[str, Any]) -> tuple[Bluesky, Network]:
    network = Network({PUT: ok({"uri": URI, "cid": "c"}), **answers})
    return Bluesky(transport=network.transport), network


# -- The request and the receipt ----------------------------------------------------------------


def test_a_post_is_one_record_under_our_key() -> None:
    publisher, network = asked({})
    receipt = publisher.publish(luna(), post(text="Good morning", language="pt-BR"))
    (request,) = network.asked
    assert str(request.url) == "https://bsky.social/xrpc/com.atproto.repo.putRecord"
    assert request.headers["authorization"] == "Bearer access-1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "repo": DID,
        "collection": "app.bsky.feed.post",
        "rkey": "3kkeytestpost",
        "record": {
            "$type": "app.bsky.feed.post",
            "text": "Good morning",
            "createdAt": "2026-11-22T12:00:00.123Z",
            "langs": ["pt-BR"],
        },
    }
    assert receipt.remote_id == URI
    assert receipt.url == "https://bsky.app/profile/luna.example/post/3kkeytestpost"


def test_the_same_post_is_the_same_to_the_byte_at_every_try() -> None:
    publisher, network = asked({})
    outgoing = post(
        text="Look @bob.example #fog", link="https://a.example/x", progress={"mentions": {}}
    )
    publisher.publish(luna(), outgoing)
    publisher.publish(luna(), outgoing)
    first, second = network.asked
    assert first.content == second.content


def test_on_another_server_the_receipt_leads_to_the_record_itself() -> None:
    publisher, _ = asked({})
    receipt = publisher.publish(luna(server="https://pds.example/"), post())
    assert receipt.url == (
        "https://pds.example/xrpc/com.atproto.repo.getRecord"
        "?repo=did%3Aplc%3Aluna&collection=app.bsky.feed.post&rkey=3kkeytestpost"
    )


def test_a_link_becomes_a_card_but_images_come_first() -> None:
    publisher, _ = asked({})
    record = publisher.record(post(link="https://a.example/x"))
    assert record["embed"] == {
        "$type": "app.bsky.embed.external",
        "external": {"uri": "https://a.example/x", "title": "a.example", "description": ""},
    }
    uploads = {"0": {"blob": BLOB, "at": 0}}
    record = publisher.record(
        post(link="https://a.example/x", attachments=(photo(),), progress={"uploads": uploads})
    )
    assert record["embed"] == {
        "$type": "app.bsky.embed.images",
        "images": [
            {
                "alt": "Fog over the river",
                "image": BLOB,
                "aspectRatio": {"width": 800, "height": 600},
            }
        ],
    }


@pytest.mark.parametrize("language", ["", "english please", "x" * 40, "EN"])
def test_a_language_that_is_none_is_left_out(language: str) -> None:
    assert "langs" not in Bluesky().record(post(language=language))


# -- What can go wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(429, {"error": "RateLimitExceeded"}, ratelimit_reset="30"), Temporary),
        (httpx.ConnectError("refused"), Temporary),
        (refusal(500, {"error": "InternalServerError"}), Unconfirmed),
        (refusal(502), Unconfirmed),
        (httpx.ReadTimeout("timed out"), Unconfirmed),
        (httpx.ReadError("reset"), Unconfirmed),
        (refusal(400, {"error": "InvalidRequest", "message": "too long"}), Permanent),
        (refusal(413), Permanent),
        (ok({}), Unconfirmed),
        (ok([]), Unconfirmed),
        (ok({"uri": f"at://{DID}/app.bsky.feed.post/another"}), Unconfirmed),
        (ok({"uri": f"javascript:/{URI}"}), Unconfirmed),
        (httpx.Response(200, text="<html>captive portal</html>"), Unconfirmed),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({PUT: answer})
    with pytest.raises(error) as caught:
        publisher.publish(luna(), post())
    assert len(network.asked) == 1
    if isinstance(caught.value, Temporary) and caught.value.code == "rate_limited":
        assert (caught.value.retry_after, caught.value.whole_account) == (30, True)


def test_an_expired_session_is_refreshed_once_and_kept() -> None:
    vault = Vault(KEPT)
    publisher, network = asked(
        {PUT: [refusal(400, EXPIRED), ok({"uri": URI})], REFRESH: ok(SESSION)}
    )
    publisher.publish(luna(vault), post())
    assert network.names == [
        "POST com.atproto.repo.putRecord",
        "POST com.atproto.server.refreshSession",
        "POST com.atproto.repo.putRecord",
    ]
    assert network.asked[1].headers["authorization"] == "Bearer refresh-1"
    assert network.asked[2].headers["authorization"] == "Bearer access-2"
    assert vault.kept == {**KEPT, "access_jwt": "access-2", "refresh_jwt": "refresh-2"}


def test_a_session_that_cannot_be_refreshed_is_opened_anew() -> None:
    publisher, network = asked(
        {
            PUT: [refusal(400, EXPIRED), ok({"uri": URI})],
            REFRESH: refusal(400, EXPIRED),
            SIGN_IN: ok(SESSION),
        }
    )
    publisher.publish(luna(handle="@luna.example"), post())
    assert network.body(2) == {"identifier": "luna.example", "password": "abcd-efgh-ijkl-mnop"}


def test_a_session_another_worker_renewed_is_taken_over() -> None:
    vault = Vault(KEPT)
    account = luna(vault)
    vault.kept = {**KEPT, "access_jwt": "access-9"}
    publisher, network = asked({PUT: [refusal(400, EXPIRED), ok({"uri": URI})]})
    publisher.publish(account, post())
    assert network.asked[1].headers["authorization"] == "Bearer access-9"
    assert vault.renewals == 0


def test_a_withdrawn_app_password_asks_to_reconnect_after_one_refresh() -> None:
    refused = {"error": "AuthenticationRequired", "message": "Invalid identifier or password"}
    publisher, network = asked(
        {
            PUT: refusal(400, EXPIRED),
            REFRESH: refusal(400, EXPIRED),
            SIGN_IN: refusal(401, refused),
        }
    )
    with pytest.raises(NeedsReconnect, match="Invalid identifier or password"):
        publisher.publish(luna(), post())
    assert len(network.asked) == 3


def test_a_session_refused_again_right_after_its_renewal_asks_to_reconnect() -> None:
    publisher, network = asked({PUT: refusal(401, EXPIRED), REFRESH: ok(SESSION)})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(), post())
    assert len(network.asked) == 3


def test_trouble_while_renewing_is_temporary_since_nothing_was_published() -> None:
    publisher, _ = asked({PUT: refusal(400, EXPIRED), REFRESH: httpx.ReadTimeout("late")})
    with pytest.raises(Temporary):
        publisher.publish(luna(), post())


def test_the_password_is_never_shown() -> None:
    echo = {"error": "x", "message": "You said abcd-efgh-ijkl-mnop and access-1 and access-2"}
    publisher, _ = asked({PUT: refusal(400, echo)})
    with pytest.raises(Permanent) as caught:
        publisher.publish(luna(), post())
    assert str(caught.value) == "Bluesky refused: You said [hidden] and [hidden] and access-2"
    assert "abcd" not in repr(luna())


# -- Test, find ---------------------------------------------------------------------------------


def test_testing_signs_in_anew_and_says_who_we_are() -> None:
    vault = Vault({"app_password": "abcd-efgh-ijkl-mnop"})
    publisher, network = asked({SIGN_IN: ok(SESSION), WHO: ok({"did": DID, "handle": "l.example"})})
    identity = publisher.test(luna(vault))
    assert (identity.handle, identity.remote_id) == ("l.example", DID)
    assert identity.facts == {"did": DID, "handle": "l.example"}
    assert vault.kept["access_jwt"] == "access-2"
    assert vault.kept["app_password"] == "abcd-efgh-ijkl-mnop"
    assert len(network.asked) == 2


@pytest.mark.parametrize("answer", [{}, [], {"accessJwt": 1, "refreshJwt": "a", "did": "b"}, "x"])
def test_a_sign_in_that_makes_no_sense_is_temporary(answer: Any) -> None:
    publisher, _ = asked({SIGN_IN: ok(answer)})
    with pytest.raises(Temporary):
        publisher.test(luna(Vault({"app_password": "p"})))


def test_a_post_is_found_by_its_key() -> None:
    publisher, network = asked({GET: ok({"uri": URI, "cid": "c", "value": {}})})
    outgoing = post()
    found = publisher.find(luna(), outgoing, outgoing.created_at)
    assert found is not None and found.remote_id == URI
    assert network.asked[0].url.params["rkey"] == "3kkeytestpost"


def test_a_post_that_is_not_there_is_not_found() -> None:
    publisher, _ = asked({GET: refusal(400, {"error": "RecordNotFound"})})
    assert publisher.find(luna(), post(), post().created_at) is None


@pytest.mark.parametrize(
    ("answer", "error"), [(refusal(400), Permanent), (refusal(502), Temporary)]
)
def test_what_cannot_be_looked_up_is_not_called_absent(
    answer: Answer, error: type[PublishError]
) -> None:
    publisher, _ = asked({GET: answer})
    with pytest.raises(error):
        publisher.find(luna(), post(), post().created_at)


# -- Images and mentions: before the call -------------------------------------------------------


def test_images_are_uploaded_once_even_when_the_worker_restarts_between() -> None:
    publisher, network = asked(
        {UPLOAD: [ok({"blob": BLOB}), httpx.ReadTimeout("late"), ok({"blob": BLOB})]}
    )
    two = (photo(), photo(mime="image/png", open=lambda: BytesIO(b"P")))
    saved: list[Mapping[str, Any]] = []
    with pytest.raises(Temporary):
        publisher.prepare(luna(), post(attachments=two), saved.append)
    again = post(attachments=two, progress=json.loads(json.dumps(saved[-1])))
    progress = publisher.prepare(luna(), again, saved.append)
    bodies = [(request.headers["content-type"], request.content) for request in network.asked]
    assert bodies == [("image/jpeg", b"F"), ("image/png", b"P"), ("image/png", b"P")]
    assert [progress["uploads"][n]["blob"] for n in ("0", "1")] == [BLOB, BLOB]
    assert saved[-1] == progress


def test_an_old_upload_is_made_again() -> None:
    publisher, network = asked({UPLOAD: ok({"blob": BLOB})})
    old = {"mentions": {}, "uploads": {"0": {"blob": BLOB, "at": 1}}}
    publisher.prepare(luna(), post(attachments=(photo(),), progress=old), lambda progress: None)
    assert len(network.asked) == 1


@pytest.mark.parametrize("answer", [{}, {"blob": "x"}, {"blob": {"ref": 1}}, []])
def test_an_upload_whose_answer_makes_no_sense_is_temporary(answer: Any) -> None:
    publisher, _ = asked({UPLOAD: ok(answer)})
    with pytest.raises(Temporary):
        publisher.prepare(luna(), post(attachments=(photo(),)), lambda progress: None)


def test_an_image_the_server_refuses_is_final() -> None:
    publisher, _ = asked({UPLOAD: refusal(413, {"error": "BlobTooLarge"})})
    with pytest.raises(Permanent):
        publisher.prepare(luna(), post(attachments=(photo(),)), lambda progress: None)


def test_a_post_without_its_uploads_is_not_sent() -> None:
    publisher, network = asked({})
    with pytest.raises(Temporary):
        publisher.publish(luna(), post(attachments=(photo(),)))
    assert not network.asked


def test_mentions_are_resolved_once_before_the_call() -> None:
    def resolve(request: httpx.Request) -> httpx.Response:
        if request.url.params["handle"] == "bob.example":
            return ok({"did": "did:plc:bob"})
        return refusal(400, {"error": "InvalidRequest", "message": "Unable to resolve handle"})

    publisher, network = asked({RESOLVE: resolve})
    outgoing = post(text="@bob.example and @nobody.example and @Bob.example")
    progress = publisher.prepare(luna(), outgoing, lambda progress: None)
    assert progress["mentions"] == {"bob.example": "did:plc:bob"}
    publisher.prepare(luna(), post(text=outgoing.text, progress=progress), lambda progress: None)
    assert len(network.asked) == 2
    record = publisher.record(post(text=outgoing.text, progress=progress))
    assert [facet["index"] for facet in record["facets"]] == [
        {"byteStart": 0, "byteEnd": 12},
        {"byteStart": 37, "byteEnd": 49},
    ]


@pytest.mark.parametrize("answer", [refusal(502), ok({"did": "x"}), ok([]), refusal(401)])
def test_a_mention_that_cannot_be_resolved_keeps_no_post_back(answer: Answer) -> None:
    publisher, _ = asked({RESOLVE: answer})
    progress = publisher.prepare(luna(), post(text="Hi @bob.example"), lambda progress: None)
    assert progress["mentions"] == {}


def test_a_mention_is_asked_again_when_the_network_is_away() -> None:
    publisher, _ = asked({RESOLVE: httpx.ConnectError("refused")})
    with pytest.raises(Temporary):
        publisher.prepare(luna(), post(text="Hi @bob.example"), lambda progress: None)


# -- Limits and keys ----------------------------------------------------------------------------


def problems(outgoing: Outgoing) -> list[str]:
    return [problem.code for problem in Bluesky().check(luna(), outgoing)]


@pytest.mark.parametrize(
    ("outgoing", "codes"),
    [
        (post(text="a" * 300), []),
        (post(text="a" * 301), ["text_too_long"]),
        (post(text="🏳️‍🌈" * 200), []),  # 14 bytes each
        (post(text="🏳️‍🌈" * 215), ["text_too_long"]),  # 3,010 bytes in 215 characters
        (post(text="霧" * 300), []),
        (post(text="e\u0301" * 300), []),
        (post(text="a" * 290, hashtags=("lisbonfog",)), ["text_too_long"]),
        (post(text=""), ["empty"]),
        (post(attachments=(photo(),) * 5), ["too_many_media"]),
        (post(attachments=(photo(size=2_000_000),)), []),
        (post(attachments=(photo(size=2_000_001),)), ["media_too_large"]),
        (post(attachments=(photo(mime="image/tiff"),)), ["media_type"]),
        (post(attachments=(photo(alt="a" * 2_001),)), ["alt_too_long"]),
    ],
)
def test_what_fits_bluesky(outgoing: Outgoing, codes: list[str]) -> None:
    assert problems(outgoing) == codes


def test_keys_are_identifiers_that_sort_by_time_and_never_repeat() -> None:
    keys = [new_tid() for _ in range(5_000)]
    assert keys == sorted(set(keys))
    assert all(
        len(key) == 13 and set(key) <= set(BASE32) and key[0] in "234567abcdefghij" for key in keys
    )
