"""Uploaded videos: believed by their own structure, kept, served in stretches, marked."""

import hashlib
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from apps.scheduling import disclosing, video, xmp
from apps.scheduling.models import Media
from tests.scheduling.films import (
    UPRIGHT,
    a_video,
    box,
    film,
    head,
    index,
    track,
)

MEDIA = "/api/v1/media/"


def read(content: bytes) -> video.Video:
    return video.read(BytesIO(content), size=len(content))


# -- What a file says of itself -----------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        film(),
        film(first=False),
        film(moov=index(version=1)),
        film(moov=index(track(b"soun"), track())),
        film() + box(b"free", bytes(9)),
    ],
)
def test_an_mp4_tells_its_size_and_length(content: bytes) -> None:
    found = read(content)
    assert (found.mime, found.width, found.height) == ("video/mp4", 640, 360)
    assert (found.duration, found.codec) == (10.0, "avc1")


def test_a_mov_is_told_apart_and_an_upright_video_is_upright() -> None:
    assert read(film(brand=b"qt  ")).mime == "video/quicktime"
    upright = read(film(moov=index(track(matrix=UPRIGHT))))
    assert (upright.width, upright.height) == (360, 640)


def test_sizes_of_eight_bytes_and_to_the_end_are_read() -> None:
    long_box = b"\0\0\0\1mdat" + (16 + 6).to_bytes(8, "big") + b"frames"
    to_the_end = b"\0\0\0\0mdat" + b"frames"
    for last in (long_box, to_the_end):
        assert read(head() + index() + last).width == 640


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (film()[:-1], "ends before"),
        (film()[:40], "ends before"),
        (head() + index(), "missing"),
        (head() + box(b"mdat", b"frames"), "missing"),
        (film(brand=b"heic"), "no MP4"),
        (film(brand=b"M4A "), "no MP4"),
        (film(moov=index(track(b"soun"))), "only sound"),
        (film(moov=index(seconds=0)), "how long"),
        (film(moov=index(seconds=90_000)), "how long"),
        (film(moov=index(track(width=0))), "cannot be used"),
        (film(moov=index(track(width=60_000))), "cannot be used"),
        (film() + box(b"moof", b""), "fragments"),
        (head() + box(b"moov", b"\0\0\0\xffmvhd") + box(b"mdat"), "breaks off"),
        (head() + box(b"moov", box(b"mvhd", b"\0")) + box(b"mdat"), "breaks off"),
        (head() + box(b"moov", box(b"free")) + box(b"mdat"), "lacks"),
        (head() + box(b"free") * 10_001, "too many"),
    ],
)
def test_what_is_no_whole_video_is_refused_with_a_reason(content: bytes, why: str) -> None:
    with pytest.raises(video.NotAVideo, match=why):
        read(content)


# -- Kept by the API ----------------------------------------------------------------------------


def upload(client: Client, file: SimpleUploadedFile, **more: str) -> Any:
    return client.post(MEDIA, {"file": file, **more})


@pytest.mark.django_db
def test_an_uploaded_video_is_kept_whole_and_described(as_kei: Client) -> None:
    content = film(data=b"V" * 3_000_000)
    answer = upload(as_kei, SimpleUploadedFile("x.exe", content, "text/plain"), alt="Fog")
    assert answer.status_code == 201, answer.json()
    told = answer.json()
    assert (told["mime"], told["width"], told["height"]) == ("video/mp4", 640, 360)
    assert (told["duration_ms"], told["size"], told["alt"]) == (10_000, len(content), "Fog")
    media = Media.objects.get()
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert str(media).endswith(".mp4") and media.is_video
    with media.file.open("rb") as file:
        assert file.read() == content


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content",
    [film()[:-1], film(brand=b"avif"), b"\0\0\0\x18ftypisom" + b"<script>" * 10],
    ids=["cut off", "a picture", "a page"],
)
def test_a_mislabelled_or_broken_video_is_refused(as_kei: Client, content: bytes) -> None:
    answer = upload(as_kei, SimpleUploadedFile("fog.mp4", content, "video/mp4"))
    assert answer.status_code == 422
    assert "not_a_video" in answer.content.decode()
    assert not Media.objects.exists()


@pytest.mark.django_db
def test_a_picture_that_says_video_is_a_picture_and_the_other_way_round(as_kei: Client) -> None:
    named = SimpleUploadedFile("fog.jpg", film(), "image/jpeg")
    assert upload(as_kei, named).json()["mime"] == "video/mp4"


@pytest.mark.django_db
def test_a_video_above_the_limit_is_refused(as_kei: Client, settings: Settings) -> None:
    settings.MEDIA_MAX_BYTES = 1_000
    assert upload(as_kei, a_video(data=b"V" * 2_000)).status_code == 422


def whole_of(answer: Any) -> bytes:
    return b"".join(answer)


# -- Served -------------------------------------------------------------------------------------


@pytest.fixture
def kept(as_kei: Client) -> str:
    return str(upload(as_kei, a_video(data=b"0123456789")).json()["url"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-3", 0, 4),
        ("bytes=5-", 5, None),
        ("bytes=-4", -4, None),
        ("bytes=2-9999999", 2, None),
    ],
)
def test_players_may_ask_for_a_stretch(
    kept: str, client: Client, wanted: str, start: int, stop: int | None
) -> None:
    content = film(data=b"0123456789")
    answer = client.get(kept, headers={"Range": wanted})
    assert answer.status_code == 206
    assert whole_of(answer) == content[start:stop]
    begin = start % len(content)
    end = begin + len(content[start:stop]) - 1
    assert answer["Content-Range"] == f"bytes {begin}-{end}/{len(content)}"
    assert answer["Content-Length"] == str(end - begin + 1)


@pytest.mark.django_db
def test_what_is_not_there_cannot_be_asked_for(kept: str, client: Client) -> None:
    whole = client.get(kept)
    assert (whole.status_code, whole["Accept-Ranges"]) == (200, "bytes")
    assert whole_of(whole) == film(data=b"0123456789")
    assert client.get(kept, headers={"Range": "bytes=99999-"}).status_code == 416
    # Several stretches, nonsense, another version: all of it.
    for header in ("bytes=0-1,3-4", "bytes=-", "lines=1-2"):
        assert whole_of(client.get(kept, headers={"Range": header})) == film(data=b"0123456789")
    other = {"Range": "bytes=0-1", "If-Range": '"other"'}
    assert whole_of(client.get(kept, headers=other)) == film(data=b"0123456789")


# -- Marked as made with AI ---------------------------------------------------------------------


@pytest.mark.django_db
def test_a_marked_video_is_the_same_video_with_a_mark_behind_it(as_kei: Client) -> None:
    upload(as_kei, a_video())
    media = disclosing.marked_copy(Media.objects.get())
    with media.marked.open("rb") as file:
        copy = file.read()
    original = film()
    assert copy.startswith(original) and copy != original
    assert xmp.MADE_WITH_AI.encode() in copy[len(original) :]
    assert media.marked_sha256 == hashlib.sha256(copy).hexdigest()
    assert media.marked_size == len(copy) <= len(original) + xmp.GROWTH
    assert read(copy) == read(original)
