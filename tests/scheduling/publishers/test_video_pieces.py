"""Videos that are sent in pieces: X, Facebook, LinkedIn and TikTok, and where each goes on."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Outgoing,
    Permanent,
    Processing,
    PublishError,
    Temporary,
    Unconfirmed,
)
from tests.scheduling.publishers import (
    test_facebook,
    test_linkedin,
    test_tiktok,
    test_x,
)
from tests.scheduling.publishers.network import (
    NOON,
    Answer,
    Network,
    clip,
    ok,
    post,
    refusal,
    slow,
)


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


# -- X ------------------------------------------------------------------------------------------


def x_states(*states: str) -> list[Answer]:
    return [ok({"data": {"processing_info": {"state": each}}}) for each in states]


def test_x_takes_a_video_in_pieces_and_is_waited_for() -> None:
    here = test_x
    publisher, network = here.asked(
        {**here.UPLOADS, here.STATUS: x_states("in_progress", "succeeded"), here.POST: here.MADE}
    )
    video = clip(b"V" * 9_000_000)
    progress = publisher.prepare(here.luna(), post(attachments=(video,)), forget)
    assert network.names == [
        "POST initialize",
        *["POST append"] * 3,
        "POST finalize",
        *["GET upload"] * 2,
    ]
    assert network.body(0) == {
        "media_type": "video/mp4",
        "media_category": "tweet_video",
        "total_bytes": 9_000_000,
    }
    pieces = network.asked[1:4]
    assert sum(each.content.count(b"V") for each in pieces) >= 9_000_000
    assert b'name="segment_index"\r\n\r\n2\r\n' in pieces[2].content
    publisher.publish(here.luna(), post(attachments=(video,), progress=progress))
    assert network.body()["media"] == {"media_ids": ["9"]}


def test_x_goes_on_with_the_piece_that_failed() -> None:
    here = test_x
    saved: list[Mapping[str, Any]] = []
    outgoing = post(attachments=(clip(b"V" * 9_000_000),))
    publisher, _ = here.asked({**here.UPLOADS, here.APPEND: [ok({}), refusal(503)]})
    with pytest.raises(Temporary):
        publisher.prepare(here.luna(), outgoing, saved.append)
    again, network = here.asked({**here.UPLOADS, here.STATUS: x_states("succeeded")[0]})
    again.prepare(here.luna(), post(attachments=outgoing.attachments, progress=saved[-1]), forget)
    assert network.names == ["POST append", "POST append", "POST finalize", "GET upload"]
    assert b'name="segment_index"\r\n\r\n1\r\n' in network.asked[0].content


def test_x_still_processing_is_asked_again_later_without_another_upload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = test_x
    saved: list[Mapping[str, Any]] = []
    outgoing = post(attachments=(clip(),))
    publisher, network = here.asked({**here.UPLOADS, here.STATUS: x_states("in_progress")[0]})
    slow(monkeypatch)
    with pytest.raises(Processing):
        publisher.prepare(here.luna(), outgoing, saved.append)
    again, network = here.asked({here.STATUS: x_states("succeeded")[0]})
    again.prepare(here.luna(), post(attachments=outgoing.attachments, progress=saved[-1]), forget)
    assert network.names == ["GET upload"]


def test_x_says_what_is_wrong_with_a_video() -> None:
    here = test_x
    failed = {"state": "failed", "error": {"message": "Unsupported codec"}}
    publisher, _ = here.asked(
        {**here.UPLOADS, here.STATUS: ok({"data": {"processing_info": failed}})}
    )
    with pytest.raises(Permanent, match="Unsupported codec"):
        publisher.prepare(here.luna(), post(attachments=(clip(),)), forget)


# -- Facebook -----------------------------------------------------------------------------------

EDGE, VIDEO = "POST /v23.0/99/videos", "GET /v23.0/55"
FACEBOOK_STARTED = ok(
    {"upload_session_id": "77", "video_id": "55", "start_offset": "0", "end_offset": "4"}
)


def offsets(start: int, end: int) -> httpx.Response:
    return ok({"start_offset": str(start), "end_offset": str(end)})


def test_facebook_asks_for_a_video_in_stretches_and_publishes_it_at_the_end() -> None:
    here = test_facebook
    steps = [FACEBOOK_STARTED, offsets(4, 5), offsets(5, 5), ok({"success": True})]
    publisher, network = here.asked({EDGE: steps})
    outgoing = post(attachments=(clip(),), progress=here.READY)
    saved: list[Mapping[str, Any]] = []
    progress = publisher.prepare(here.luna(), outgoing, saved.append)
    assert {each.url.host for each in network.asked} == {"graph-video.facebook.com"}
    assert b"upload_phase=start&file_size=5&" in network.asked[0].content
    first, second = (each.content for each in network.asked[1:3])
    assert b'name="start_offset"\r\n\r\n0\r\n' in first and b"\r\n\r\nMOVI\r\n" in first
    assert b'name="start_offset"\r\n\r\n4\r\n' in second and b"\r\n\r\nE\r\n" in second
    assert len(saved) == 3
    receipt = publisher.publish(here.luna(), post(attachments=(clip(),), progress=progress))
    assert here.form(network) == {
        "upload_phase": "finish",
        "upload_session_id": "77",
        "description": "Good morning",
        "access_token": "long-lived-one",
    }
    assert receipt.remote_id == "55"


def test_facebook_goes_on_where_an_upload_broke_off() -> None:
    here = test_facebook
    saved: list[Mapping[str, Any]] = []
    publisher, _ = here.asked({EDGE: [FACEBOOK_STARTED, offsets(4, 5), refusal(503)]})
    with pytest.raises(Temporary):
        publisher.prepare(
            here.luna(), post(attachments=(clip(),), progress=here.READY), saved.append
        )
    again, network = here.asked({EDGE: offsets(5, 5)})
    again.prepare(here.luna(), post(attachments=(clip(),), progress=saved[-1]), forget)
    assert b'name="start_offset"\r\n\r\n4\r\n' in network.asked[0].content


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ok({"success": False}), Unconfirmed),
        (refusal(503), Unconfirmed),
        (httpx.ReadError("cut"), Unconfirmed),
        (httpx.ConnectError("refused"), Temporary),
        (refusal(400, {"error": {"code": 190, "message": "ended"}}), NeedsReconnect),
        (refusal(400, {"error": {"code": 100, "message": "no"}}), Permanent),
    ],
)
def test_every_outcome_of_publishing_a_video_on_facebook(
    answer: Answer, error: type[PublishError]
) -> None:
    here = test_facebook
    held = {"id": "55", "session": "77", "at": 0, "start": 5, "end": 5}
    outgoing = post(attachments=(clip(),), progress={**here.READY, "video": held})
    publisher, _ = here.asked({EDGE: answer})
    with pytest.raises(error):
        publisher.publish(here.luna(), outgoing)


def test_facebook_is_asked_what_became_of_a_video() -> None:
    here = test_facebook
    held = {"id": "55", "session": "77", "at": 0, "start": 5, "end": 5}
    outgoing = post(attachments=(clip(),), progress={**here.READY, "video": held})
    row = {
        "id": "99_42",
        "message": "Good morning",
        "from": {"id": "99"},
        "attachments": {"data": [{"media_type": "video"}]},
    }
    photo_row = {**row, "attachments": {"data": [{"media_type": "photo"}]}}

    def found(video: Any, *rows: Any) -> Any:
        publisher, _ = here.asked({VIDEO: ok(video), here.LIST: ok({"data": list(rows)})})
        return publisher.find(here.luna(), outgoing, here.SINCE)

    ready = {"status": {"video_status": "ready"}, "published": True}
    assert found(ready, photo_row, row).remote_id == "99_42"
    assert found({**ready, "published": False}, photo_row) is None
    with pytest.raises(Temporary):
        found({"status": {"video_status": "processing"}}, row)
    # Neither shown nor denied: a person looks.
    with pytest.raises(Permanent):
        found(ready)


# -- LinkedIn -----------------------------------------------------------------------------------

URN = "urn:li:video:C5F"
BEGIN = "POST /rest/videos"
PART_ONE, PART_TWO = "PUT /dms-uploads/one", "PUT /dms-uploads/two"
VIDEO_STATUS = f"GET /rest/videos/{URN}"


def instructions(*parts: tuple[str, int, int], **changes: Any) -> httpx.Response:
    listed = [
        {"uploadUrl": f"https://www.linkedin.com{path}", "firstByte": first, "lastByte": last}
        for path, first, last in parts
    ]
    value = {"video": URN, "uploadToken": "", "uploadInstructions": listed, **changes}
    return ok({"value": value})


PARTS = instructions(("/dms-uploads/one", 0, 3), ("/dms-uploads/two", 4, 4))


def test_linkedin_puts_a_video_together_from_its_parts() -> None:
    here = test_linkedin
    publisher, network = here.asked(
        {
            BEGIN: [PARTS, httpx.Response(200)],
            PART_ONE: httpx.Response(200, headers={"etag": "tag-1"}),
            PART_TWO: httpx.Response(200, headers={"etag": "tag-2"}),
            VIDEO_STATUS: [ok({"status": "PROCESSING"}), ok({"status": "AVAILABLE"})],
            here.POST: here.MADE,
        }
    )
    outgoing = post(attachments=(clip(alt="Fog"),), progress=here.READY)
    progress = publisher.prepare(here.luna(), outgoing, forget)
    assert network.body(0) == {
        "initializeUploadRequest": {
            "owner": here.PERSON,
            "fileSizeBytes": 5,
            "uploadCaptions": False,
            "uploadThumbnail": False,
        }
    }
    assert [each.content for each in network.asked[1:3]] == [b"MOVI", b"E"]
    assert network.body(3) == {
        "finalizeUploadRequest": {
            "video": URN,
            "uploadToken": "",
            "uploadedPartIds": ["tag-1", "tag-2"],
        }
    }
    publisher.publish(here.luna(), post(attachments=outgoing.attachments, progress=progress))
    assert network.body()["content"] == {"media": {"id": URN}}


def test_linkedin_goes_on_with_the_part_that_failed() -> None:
    here = test_linkedin
    saved: list[Mapping[str, Any]] = []
    one = httpx.Response(200, headers={"etag": "tag-1"})
    publisher, _ = here.asked({BEGIN: PARTS, PART_ONE: one, PART_TWO: refusal(503)})
    with pytest.raises(Temporary):
        publisher.prepare(
            here.luna(), post(attachments=(clip(),), progress=here.READY), saved.append
        )
    again, network = here.asked(
        {
            PART_TWO: httpx.Response(200, headers={"etag": "tag-2"}),
            BEGIN: httpx.Response(200),
            VIDEO_STATUS: ok({"status": "AVAILABLE"}),
        }
    )
    again.prepare(here.luna(), post(attachments=(clip(),), progress=saved[-1]), forget)
    assert network.names[0] == "PUT two"


@pytest.mark.parametrize(
    "answer",
    [
        instructions(("/dms-uploads/one", 0, 3)),
        instructions(("/dms-uploads/one", 1, 4)),
        instructions(("/dms-uploads/one", 0, 40_000_000)),
        instructions(("/dms-uploads/one", 0, 4), video="urn:li:image:1"),
        instructions(("@evil.example/x", 0, 4)),
        ok({"value": {"video": URN, "uploadInstructions": "x"}}),
        ok([]),
    ],
)
def test_linkedin_that_asks_for_nonsense_is_sent_nothing(answer: httpx.Response) -> None:
    here = test_linkedin
    publisher, network = here.asked({BEGIN: answer})
    with pytest.raises(Temporary):
        publisher.prepare(here.luna(), post(attachments=(clip(),), progress=here.READY), forget)
    assert len(network.asked) == 1


def test_linkedin_says_that_it_cannot_process_a_video() -> None:
    here = test_linkedin
    held = {"id": URN, "token": "", "parts": [], "tags": [], "whole": True, "ready": False}
    publisher, _ = here.asked({VIDEO_STATUS: ok({"status": "PROCESSING_FAILED"})})
    progress = {**here.READY, "video": {**held, "at": 10**11}}
    with pytest.raises(Permanent):
        publisher.prepare(here.luna(), post(attachments=(clip(),), progress=progress), forget)


# -- TikTok -------------------------------------------------------------------------------------

INIT = "POST /v2/post/publish/video/init/"
PUT = "PUT /video/"
CREATOR = test_tiktok.said(
    creator_username="luna.fog",
    privacy_level_options=test_tiktok.LEVELS,
    comment_disabled=False,
    max_video_post_duration_sec=300,
)
PLACE = "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=abc"
TAKEN = test_tiktok.said(publish_id="v_pub_1", upload_url=PLACE)
SIZE = 13_000_000


def tiktok(answers: dict[str, Any]) -> tuple[Any, Network]:
    return test_tiktok.asked({test_tiktok.WHO: CREATOR, **answers})


def tiktok_prepared(answers: dict[str, Any], **changes: Any) -> tuple[Any, Network, Outgoing]:
    publisher, network = tiktok({INIT: TAKEN, PUT: httpx.Response(206), **answers})
    outgoing = post(attachments=(clip(b"V" * SIZE),), **changes)
    progress = publisher.prepare(test_tiktok.luna(), outgoing, forget)
    return publisher, network, post(attachments=outgoing.attachments, progress=progress)


def test_tiktok_is_sent_every_piece_but_the_last_before_and_publishes_with_that() -> None:
    here = test_tiktok
    publisher, network, outgoing = tiktok_prepared({here.STATUS: here.DONE}, made_with_ai=True)
    assert network.body(1) == {
        "post_info": {
            "title": "Good morning",
            "privacy_level": "PUBLIC_TO_EVERYONE",
            "disable_comment": False,
            "is_aigc": True,
        },
        "source_info": {
            "source": "FILE_UPLOAD",
            "video_size": SIZE,
            "chunk_size": 6_000_000,
            "total_chunk_count": 2,
        },
    }
    assert len(network.asked) == 3
    receipt = publisher.publish(here.luna(), outgoing)
    first, last = (each for each in network.asked if each.method == "PUT")
    assert str(first.url) == PLACE
    assert first.headers["content-range"] == f"bytes 0-5999999/{SIZE}"
    assert last.headers["content-range"] == f"bytes 6000000-12999999/{SIZE}"
    assert (len(first.content), len(last.content)) == (6_000_000, 7_000_000)
    assert "authorization" not in first.headers
    assert receipt.remote_id == "42"


def test_a_small_video_goes_to_tiktok_in_one_piece() -> None:
    publisher, network = tiktok({INIT: TAKEN})
    publisher.prepare(test_tiktok.luna(), post(attachments=(clip(),)), forget)
    source = network.body()["source_info"]
    assert (source["chunk_size"], source["total_chunk_count"]) == (5, 1)
    assert network.names == ["POST ", "POST "]


@pytest.mark.parametrize("place", ["https://evil.example/video/", "http://a.tiktokapis.com/", ""])
def test_a_video_goes_nowhere_but_to_tiktok(place: str) -> None:
    publisher, network = tiktok({INIT: test_tiktok.said(publish_id="v", upload_url=place)})
    with pytest.raises(Temporary):
        publisher.prepare(test_tiktok.luna(), post(attachments=(clip(),)), forget)
    assert all(each.method == "POST" for each in network.asked)


@pytest.mark.parametrize(
    ("put", "status", "error"),
    [
        (refusal(503), "PROCESSING_UPLOAD", Unconfirmed),
        (httpx.ReadError("cut"), "PROCESSING_UPLOAD", Unconfirmed),
        (httpx.ConnectError("refused"), "PROCESSING_UPLOAD", Temporary),
        (refusal(429), "PROCESSING_UPLOAD", Temporary),
        # The place is gone, and the post never had its last piece.
        (refusal(403), "PROCESSING_UPLOAD", Temporary),
        (httpx.Response(201), "FAILED", Permanent),
        (httpx.Response(201), "PROCESSING_UPLOAD", Unconfirmed),
    ],
)
def test_every_outcome_of_the_last_piece(
    monkeypatch: pytest.MonkeyPatch, put: Answer, status: str, error: type[PublishError]
) -> None:
    monkeypatch.setattr("apps.scheduling.publishers.tiktok.PROCESSING_SECONDS", 0.2)
    here = test_tiktok
    answers = {PUT: [httpx.Response(206), put], here.STATUS: here.said(status=status)}
    publisher, _, outgoing = tiktok_prepared(answers)
    with pytest.raises(error):
        publisher.publish(here.luna(), outgoing)


def test_a_last_piece_that_had_arrived_before_is_no_second_post() -> None:
    here = test_tiktok
    answers = {PUT: [httpx.Response(206), refusal(416)], here.STATUS: here.DONE}
    publisher, _, outgoing = tiktok_prepared(answers)
    assert publisher.publish(here.luna(), outgoing).remote_id == "42"


def test_a_lost_piece_begins_the_upload_anew() -> None:
    here, saved = test_tiktok, list[Mapping[str, Any]]()
    publisher, _ = tiktok({INIT: TAKEN, PUT: refusal(403)})
    outgoing = post(attachments=(clip(b"V" * SIZE),))
    with pytest.raises(Temporary):
        publisher.prepare(here.luna(), outgoing, saved.append)
    assert "video" not in saved[-1]


def test_tiktok_is_asked_what_became_of_a_video(monkeypatch: pytest.MonkeyPatch) -> None:
    here = test_tiktok
    publisher, _, outgoing = tiktok_prepared({here.STATUS: here.DONE})
    assert publisher.find(here.luna(), outgoing, NOON).remote_id == "42"
    waits = here.said(status="PROCESSING_UPLOAD")
    publisher, _, outgoing = tiktok_prepared({here.STATUS: waits})
    with pytest.raises(Temporary):
        publisher.find(here.luna(), outgoing, NOON)
    # An hour later nothing can come any more: it is not there.
    later = outgoing.progress["video"]["at"] + 3_600
    monkeypatch.setattr("time.time", lambda: later)
    assert publisher.find(here.luna(), outgoing, NOON) is None
    assert publisher.find(here.luna(), post(attachments=(clip(),)), NOON) is None


def test_tiktok_says_how_long_a_video_may_be() -> None:
    publisher, _ = tiktok({})
    assert publisher.test(test_tiktok.luna()).facts == {"video_seconds": 300}
