"""TikTok: a photo post that TikTok fetches, asked after by its publish_id until it is there."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Outgoing,
    Permanent,
    PublishError,
    Safety,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.tiktok import TikTok
from tests.scheduling.publishers.network import NOON, Answer, Network, ok, photo, post, refusal

INIT = "POST /v2/post/publish/content/init/"
STATUS = "POST /v2/post/publish/status/fetch/"
WHO = "POST /v2/post/publish/creator_info/query/"
RENEW = "POST /v2/oauth/token/"
TOKENS = {
    "access_token": "access-one",
    "refresh_token": "refresh-one",
    "client_key": "client",
    "client_secret": "hush-hush",
}
READY = {"privacy": "PUBLIC_TO_EVERYONE", "disable_comment": False}
FINE = {"code": "ok", "message": ""}
LEVELS = ["PUBLIC_TO_EVERYONE", "SELF_ONLY"]


def luna(**credentials: str) -> Account:
    return Account(id="1", handle="@luna.fog", credentials={**TOKENS, **credentials})


def asked(answers: dict[str, Any]) -> tuple[TikTok, Network]:
    network = Network(answers)
    return TikTok(transport=network.transport, sleep=lambda seconds: None), network


def said(**data: Any) -> httpx.Response:
    return ok({"data": data, "error": FINE})


def refused(status: int, code: str) -> httpx.Response:
    return refusal(status, {"error": {"code": code, "message": f"Words on {code}"}})


def picture_post(**changes: Any) -> Outgoing:
    return post(**{"attachments": (photo(),), "progress": READY, **changes})


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


MADE = said(publish_id="p_pub~v2.1")
DONE = said(status="PUBLISH_COMPLETE", publicaly_available_post_id=[42])


def test_a_post_names_its_pictures_and_says_that_ai_made_it() -> None:
    publisher, network = asked({INIT: MADE, STATUS: DONE})
    receipt = publisher.publish(luna(), picture_post(attachments=(photo(), photo())))
    request = network.asked[0]
    assert str(request.url) == "https://open.tiktokapis.com/v2/post/publish/content/init/"
    assert request.headers["authorization"] == "Bearer access-one"
    assert request.headers["content-type"] == "application/json; charset=UTF-8"
    url = "https://gator.example/media/fog.jpg"
    assert network.body(0) == {
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": {
            "description": "Good morning",
            "privacy_level": "PUBLIC_TO_EVERYONE",
            "disable_comment": False,
            "auto_add_music": False,
            "is_aigc": True,
        },
        "source_info": {
            "source": "PULL_FROM_URL",
            "photo_cover_index": 0,
            "photo_images": [url, url],
        },
    }
    assert network.body(1) == {"publish_id": "p_pub~v2.1"}
    assert receipt.remote_id == "42"
    assert receipt.url == "https://www.tiktok.com/@luna.fog/photo/42"


def test_what_no_ai_made_is_not_called_so() -> None:
    publisher, network = asked({INIT: MADE, STATUS: DONE})
    publisher.publish(luna(), picture_post(made_with_ai=False))
    assert network.body(0)["post_info"]["is_aigc"] is False


def test_a_post_is_waited_for() -> None:
    steps = [said(status="PROCESSING_DOWNLOAD"), said(status="PUBLISH_COMPLETE")]
    publisher, network = asked({INIT: MADE, STATUS: steps})
    receipt = publisher.publish(luna(), picture_post())
    assert (receipt.remote_id, receipt.url) == ("p_pub~v2.1", "")
    assert network.names == ["POST ", "POST ", "POST "]


@pytest.mark.parametrize(
    "answer",
    [said(status="PROCESSING_DOWNLOAD"), refusal(500), httpx.ReadTimeout("late"), ok([])],
)
def test_a_post_that_takes_its_time_is_left_open_with_its_id(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.scheduling.publishers.tiktok.PROCESSING_SECONDS", 0)
    publisher, _ = asked({INIT: MADE, STATUS: answer})
    with pytest.raises(Unconfirmed) as caught:
        publisher.publish(luna(), picture_post())
    assert caught.value.progress == {"publish_id": "p_pub~v2.1"}


def test_a_post_that_tiktok_gave_up_says_why() -> None:
    failed = said(status="FAILED", fail_reason="picture_size_check_failed")
    publisher, _ = asked({INIT: MADE, STATUS: failed})
    with pytest.raises(Permanent, match="picture_size_check_failed"):
        publisher.publish(luna(), picture_post())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(400, "invalid_param"), Permanent),
        (refused(403, "url_ownership_unverified"), Permanent),
        (refused(403, "unaudited_client_can_only_post_to_private_accounts"), Permanent),
        (refused(403, "spam_risk_too_many_posts"), Temporary),
        (refused(429, "rate_limit_exceeded"), Temporary),
        (refused(500, "internal_error"), Unconfirmed),
        (refusal(502), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (httpx.ReadTimeout("late"), Unconfirmed),
        (httpx.RemoteProtocolError("cut"), Unconfirmed),
        (httpx.Response(200, text="<html>"), Unconfirmed),
        (ok({}), Unconfirmed),
        (ok([]), Unconfirmed),
        (said(publish_id=""), Unconfirmed),
        (ok({"error": {"code": "invalid_param", "message": "No"}}), Permanent),
    ],
)
def test_every_outcome_of_publishing(answer: Answer, error: type[PublishError]) -> None:
    publisher, network = asked({INIT: answer})
    with pytest.raises(error):
        publisher.publish(luna(), picture_post())
    assert len(network.asked) == 1


def test_a_refusal_is_told_in_the_words_of_tiktok() -> None:
    publisher, _ = asked({INIT: refused(403, "url_ownership_unverified")})
    with pytest.raises(Permanent, match="Words on url_ownership_unverified") as caught:
        publisher.publish(luna(), picture_post())
    assert caught.value.code == "url_ownership_unverified"


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (refused(403, "spam_risk_too_many_posts"), 3_600),
        (refusal(429, {"error": {"code": "rate_limit_exceeded"}}, retry_after="30"), 30),
    ],
)
def test_limits_hold_the_whole_account(answer: Answer, wait: float) -> None:
    publisher, _ = asked({INIT: answer})
    with pytest.raises(Temporary) as caught:
        publisher.publish(luna(), picture_post())
    assert (caught.value.retry_after, caught.value.whole_account) == (wait, True)


# -- The token ----------------------------------------------------------------------------------


def test_an_expired_token_is_renewed_and_the_post_goes_out() -> None:
    renewed = ok({"access_token": "access-two", "refresh_token": "refresh-two", "expires_in": 9})
    expired = refused(401, "access_token_invalid")
    publisher, network = asked({INIT: [expired, MADE], RENEW: renewed, STATUS: DONE})
    publisher.publish(luna(), picture_post())
    assert network.asked[1].content == (
        b"grant_type=refresh_token&client_key=client&client_secret=hush-hush"
        b"&refresh_token=refresh-one"
    )
    assert network.asked[2].headers["authorization"] == "Bearer access-two"


@pytest.mark.parametrize(
    "answer", [refusal(400, {"error": "invalid_request"}), ok({"error": "invalid_grant"})]
)
def test_a_renewal_refused_with_any_status_asks_to_connect_again(answer: Answer) -> None:
    publisher, _ = asked({INIT: refused(401, "access_token_invalid"), RENEW: answer})
    with pytest.raises(NeedsReconnect):
        publisher.publish(luna(), picture_post())


# -- Before ------------------------------------------------------------------------------------


def test_what_the_account_may_do_is_asked_before_every_post() -> None:
    publisher, network = asked({WHO: said(privacy_level_options=LEVELS, comment_disabled=True)})
    progress = publisher.prepare(luna(), picture_post(progress={}), forget)
    assert progress == {"privacy": "PUBLIC_TO_EVERYONE", "disable_comment": True}
    publisher.prepare(luna(privacy="SELF_ONLY"), picture_post(progress=progress), forget)
    assert len(network.asked) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(privacy_level_options=["SELF_ONLY"]), Permanent),
        (said(), Temporary),
        (refusal(500), Temporary),
        (refused(403, "spam_risk_too_many_posts"), Temporary),
    ],
)
def test_what_the_account_may_not_do_is_told(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: answer})
    with pytest.raises(error):
        publisher.prepare(luna(), picture_post(progress={}), forget)


def test_a_post_that_is_not_prepared_is_not_sent() -> None:
    publisher, network = asked({})
    with pytest.raises(Temporary):
        publisher.publish(luna(), picture_post(progress={}))
    assert not network.asked


def test_testing_says_who_we_are() -> None:
    publisher, _ = asked({WHO: said(creator_username="luna.fog", privacy_level_options=LEVELS)})
    identity = publisher.test(luna())
    assert (identity.handle, identity.url) == ("@luna.fog", "https://www.tiktok.com/@luna.fog")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(), Temporary),
        (ok([]), Temporary),
        (refused(401, "scope_not_authorized"), PublishError),
    ],
)
def test_a_failed_test_says_why(answer: Answer, error: type[PublishError]) -> None:
    publisher, _ = asked({WHO: answer, RENEW: refusal(400)})
    with pytest.raises(error):
        publisher.test(luna())


def problems(**changes: Any) -> list[str]:
    return [problem.code for problem in TikTok().check(luna(), picture_post(**changes))]


def test_what_fits_and_what_does_not() -> None:
    assert problems(text="a" * 2_200) == []
    assert problems(text="a" * 2_201) == ["text_too_long"]
    assert problems(text="🌫" * 1_101) == ["text_too_long"]
    assert problems(attachments=()) == ["media_missing"]
    assert problems(attachments=(photo(),) * 35) == []
    assert problems(attachments=(photo(),) * 36) == ["too_many_media"]
    assert problems(attachments=(photo(mime="image/png"),)) == ["media_type"]
    assert problems(attachments=(photo(url="http://localhost/a.jpg"),)) == ["media_not_public"]


# -- After a lost answer ------------------------------------------------------------------------

TICKET = {**READY, "publish_id": "p_pub~v2.1"}


def test_the_kept_id_tells_that_the_post_is_there() -> None:
    assert TikTok.safety is Safety.LISTABLE
    publisher, _ = asked({STATUS: DONE})
    receipt = publisher.find(luna(), picture_post(progress=TICKET), NOON)
    assert receipt is not None and receipt.remote_id == "42"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(status="PROCESSING_UPLOAD"), Temporary),
        (refusal(500), Temporary),
        (said(status="FAILED", fail_reason="internal"), Permanent),
    ],
)
def test_an_id_that_does_not_tell_is_not_called_absent(
    answer: Answer, error: type[PublishError]
) -> None:
    publisher, _ = asked({STATUS: answer})
    with pytest.raises(error):
        publisher.find(luna(), picture_post(progress=TICKET), NOON)


def test_without_an_id_a_person_looks() -> None:
    publisher, network = asked({})
    with pytest.raises(Permanent):
        publisher.find(luna(), picture_post(), NOON)
    assert not network.asked
