"""Videos on every network: what it is asked, to the byte, and what becomes of a lost step."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from apps.scheduling.publishers.base import (
    Account,
    Permanent,
    Processing,
    Publisher,
)
from apps.scheduling.publishers.calling import Flow
from apps.scheduling.publishers.instagram import Instagram
from tests.scheduling.publishers import (
    test_bluesky,
    test_containers,
    test_discord,
    test_mastodon,
    test_matrix,
    test_telegram,
)
from tests.scheduling.publishers.network import (
    clip,
    ok,
    photo,
    post,
    refusal,
    slow,
)
from tests.scheduling.publishers.test_containers import Kind


def forget(progress: Mapping[str, Any]) -> None:
    """Keep no progress."""


def publishers() -> dict[str, Publisher]:
    return {name: import_string(each["BACKEND"])() for name, each in settings.PUBLISHERS.items()}


def problems(name: str, *attachments: Any) -> list[str]:
    found = publishers()[name].check(
        Account(id="1", handle="luna"), post(attachments=attachments, text="Fog")
    )
    return [each.code for each in found]


# -- What fits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(settings.PUBLISHERS))
def test_a_short_mp4_goes_everywhere(name: str) -> None:
    assert problems(name, clip()) == []


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("bluesky", {"mime": "video/quicktime"}, "media_type"),
        ("bluesky", {"size": 100_000_001}, "media_too_large"),
        ("bluesky", {"duration": 180.5}, "video_too_long"),
        ("x", {"duration": 141.0}, "video_too_long"),
        ("x", {"duration": 0.2}, "video_too_short"),
        ("x", {"size": 512_000_001}, "media_too_large"),
        ("mastodon", {"size": 103_809_025}, "media_too_large"),
        ("telegram", {"size": 50_000_001}, "media_too_large"),
        ("telegram", {"mime": "video/quicktime"}, "media_type"),
        ("discord", {"size": 10 * 1024 * 1024 + 1}, "media_too_large"),
        ("linkedin", {"duration": 2.0}, "video_too_short"),
        ("linkedin", {"size": 500_000_001}, "media_too_large"),
        ("instagram", {"duration": 901.0}, "video_too_long"),
        ("instagram", {"size": 300_000_001}, "media_too_large"),
        ("threads", {"duration": 301.0}, "video_too_long"),
        ("facebook", {"duration": 2_701.0}, "video_too_long"),
        ("tiktok", {"duration": 601.0}, "video_too_long"),
        ("tiktok", {"duration": 2.9}, "video_too_short"),
        ("matrix", {"size": 50_000_001}, "media_too_large"),
    ],
)
def test_what_does_not_fit_is_said_before(name: str, changes: dict[str, Any], code: str) -> None:
    assert problems(name, clip(**changes)) == [code]


@pytest.mark.parametrize("name", ["bluesky", "mastodon", "x", "linkedin", "facebook", "tiktok"])
def test_most_networks_take_one_video_and_nothing_beside_it(name: str) -> None:
    assert problems(name, clip(), clip()) == ["too_many_media"]
    assert problems(name, clip(), photo()) == ["media_mixed"]


@pytest.mark.parametrize("name", ["wall", "telegram", "discord", "instagram", "threads", "matrix"])
def test_some_take_pictures_and_videos_together(name: str) -> None:
    assert problems(name, clip(), photo()) == []


def test_in_a_carousel_instagrams_videos_are_shorter() -> None:
    assert problems("instagram", clip(duration=61), photo()) == ["video_too_long"]


# -- Reading in pieces --------------------------------------------------------------------------


def test_a_stretch_of_a_file_is_read_as_if_it_were_the_file() -> None:
    alive: list[int] = []
    flow = Flow(clip(b"0123456789").open(), lambda: alive.append(1), start=2, size=5)
    assert (flow.read(3), flow.read(100), flow.read(1)) == (b"234", b"56", b"")
    assert (flow.seek(0, 2), flow.tell(), flow.seek(1), flow.read(2)) == (5, 5, 1, b"34")
    assert b"".join(Flow(clip(b"abc").open(), lambda: None)) == b"abc"
    assert alive == []


def test_a_long_upload_says_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    alive: list[float] = []
    flow = Flow(clip(b"x" * 10).open(), lambda: alive.append(now[0]))
    for _ in range(10):
        now[0] += 11
        flow.read(1)
    assert alive == [33, 66, 99]


# -- Bluesky ------------------------------------------------------------------------------------


def test_bluesky_takes_a_video_as_one_blob_in_an_embed_of_its_own() -> None:
    here = test_bluesky
    blob = {"$type": "blob", "ref": {"$link": "bafy"}, "mimeType": "video/mp4", "size": 5}
    upload = "POST /xrpc/com.atproto.repo.uploadBlob"
    made = ok({"uri": here.URI, "cid": "bafy"})
    publisher, network = here.asked({upload: ok({"blob": blob}), here.PUT: made})
    video = clip(alt="Fog rolls in")
    progress = publisher.prepare(here.luna(), post(attachments=(video,)), forget)
    request = network.asked[-1]
    assert (request.content, request.headers["content-length"]) == (b"MOVIE", "5")
    assert request.headers["content-type"] == "video/mp4"
    publisher.publish(here.luna(), post(attachments=(video,), progress=progress))
    assert network.body()["record"]["embed"] == {
        "$type": "app.bsky.embed.video",
        "video": blob,
        "alt": "Fog rolls in",
        "aspectRatio": {"width": 720, "height": 1280},
    }


def test_bluesky_sends_a_video_again_from_its_start_when_the_session_had_ended() -> None:
    here = test_bluesky
    upload = "POST /xrpc/com.atproto.repo.uploadBlob"
    blob = ok({"blob": {"ref": {"$link": "bafy"}}})
    publisher, network = here.asked({upload: [refusal(401), blob], here.REFRESH: ok(here.SESSION)})
    publisher.prepare(here.luna(), post(attachments=(clip(),)), forget)
    sent = [each.content for each in network.asked if each.url.path.endswith("uploadBlob")]
    assert sent == [b"MOVIE", b"MOVIE"]


# -- Mastodon -----------------------------------------------------------------------------------


def test_mastodon_takes_a_video_as_a_form_and_processes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = test_mastodon
    media = "GET /api/v1/media/5"
    taken = httpx.Response(202, json={"id": "5"})
    publisher, network = here.asked({here.UPLOAD: taken, media: httpx.Response(206, json={})})
    saved: list[Mapping[str, Any]] = []
    slow(monkeypatch)
    with pytest.raises(Processing):
        publisher.prepare(here.luna(), post(attachments=(clip(),)), saved.append)
    body = network.asked[0].content
    assert b'filename="fog.mp4"\r\nContent-Type: video/mp4\r\n\r\nMOVIE\r\n' in body
    assert int(network.asked[0].headers["content-length"]) == len(body)
    again, network = here.asked({media: ok({"id": "5"}), here.POST: ok(here.MADE)})
    progress = again.prepare(here.luna(), post(attachments=(clip(),), progress=saved[-1]), forget)
    again.publish(here.luna(), post(attachments=(clip(),), progress=progress))
    assert network.body()["media_ids"] == ["5"]


# -- Telegram, Discord, Matrix ------------------------------------------------------------------


def test_telegram_is_told_the_measures_of_a_video() -> None:
    here = test_telegram
    publisher, network = here.asked({f"POST {here.BASE}/sendVideo": ok(here.MADE)})
    publisher.publish(here.luna(), post(attachments=(clip(),)))
    body = network.asked[0].content
    for name, value in (("duration", 10), ("width", 720), ("height", 1280)):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body
    assert b'name="supports_streaming"\r\n\r\ntrue\r\n' in body
    assert b'name="video"; filename="video.mp4"\r\nContent-Type: video/mp4\r\n\r\nMOVIE' in body


def test_telegram_puts_pictures_and_videos_into_one_album() -> None:
    here = test_telegram
    made = {"ok": True, "result": [here.MADE["result"]]}
    publisher, network = here.asked({f"POST {here.BASE}/sendMediaGroup": ok(made)})
    publisher.publish(here.luna(), post(attachments=(photo(), clip())))
    body = network.asked[0].content.decode()
    album = json.loads(body.split('name="media"\r\n\r\n')[1].split("\r\n")[0])
    assert album == [
        {"type": "photo", "media": "attach://picture0", "caption": "Good morning"},
        {
            "type": "video",
            "media": "attach://picture1",
            "duration": 10,
            "width": 720,
            "height": 1280,
        },
    ]


def test_discord_takes_a_video_as_a_file() -> None:
    here = test_discord
    publisher, network = here.asked({here.SEND: ok(here.MADE)})
    publisher.publish(here.luna(), post(attachments=(clip(mime="video/quicktime"),)))
    body = network.asked[0].content
    assert b'filename="video0.mov"\r\nContent-Type: video/quicktime\r\n\r\nMOVIE' in body


def test_a_video_in_a_matrix_room_says_how_long_it_is() -> None:
    here = test_matrix
    mxc = "mxc://m.example/abc"
    publisher, network = here.asked({here.WHO: here.ME, here.UPLOAD: ok({"content_uri": mxc})})
    progress = publisher.prepare(
        here.luna(), post(attachments=(clip(),), progress=here.READY), forget
    )
    request = network.asked[-1]
    assert (request.content, request.headers["content-length"]) == (b"MOVIE", "5")
    content = publisher.messages(post(attachments=(clip(),), progress=progress))[1]
    assert (content["msgtype"], content["url"]) == ("m.video", mxc)
    assert content["info"] == {
        "mimetype": "video/mp4",
        "size": 5,
        "w": 720,
        "h": 1280,
        "duration": 10_000,
    }


# -- Instagram and Threads ----------------------------------------------------------------------


@test_containers.KINDS
def test_meta_fetches_a_video_and_takes_its_time(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = test_containers
    outgoing = post(attachments=(clip(alt="Fog"),))
    saved: list[Mapping[str, Any]] = []
    answers = {"me": here.me(kind), "make": ok({"id": "100"})}
    publisher, network = here.asked(
        kind, {**answers, "container": here.status(kind, "IN_PROGRESS")}
    )
    with monkeypatch.context() as later:
        slow(later)
        with pytest.raises(Processing):
            publisher.prepare(here.luna(), outgoing, saved.append)
    made = next(each for each in network.asked if each.method == "POST")
    fields = dict(httpx.QueryParams(made.content.decode()))
    fields.pop("access_token")
    words = {"caption": "Good morning"} if kind is Instagram else {"text": "Good morning"}
    more = {"media_type": "VIDEO"}
    if kind is Instagram:
        more = {"media_type": "REELS", "share_to_feed": "true"}
    alt = {} if words.get("caption") else {"alt_text": "Fog"}
    assert fields == {"video_url": "https://gator.example/media/fog.mp4", **more, **words, **alt}
    again, network = here.asked(
        kind,
        {
            "container": here.status(kind, "FINISHED"),
            "publish": ok({"id": "42"}),
            "post": ok({"permalink": "https://example.org/p/42"}),
        },
    )
    progress = again.prepare(
        here.luna(), post(attachments=outgoing.attachments, progress=saved[-1]), forget
    )
    assert again.publish(here.luna(), post(progress=progress)).remote_id == "42"
    assert [each.method for each in network.asked].count("POST") == 1


@test_containers.KINDS
def test_meta_says_what_is_wrong_with_a_video(kind: Kind) -> None:
    here = test_containers
    failed = ok({kind.status_field: "ERROR", kind.error_field: "Unsupported codec", "id": "100"})
    publisher, _ = here.asked(
        kind, {"me": here.me(kind), "make": ok({"id": "100"}), "container": failed}
    )
    with pytest.raises(Permanent, match="Unsupported codec"):
        publisher.prepare(here.luna(), post(attachments=(clip(),)), forget)
