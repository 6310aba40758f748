"""Pictures over HTTP: what is taken, and every trick that is not."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from apps.scheduling.models import Media, SocialAccount

pytestmark = pytest.mark.django_db

MEDIA = "/api/v1/media/"
JSON = "application/json"


def drawn(kind: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    content = BytesIO()
    Image.new("RGB", size, "teal").save(content, kind)
    return content.getvalue()


def bomb() -> bytes:
    content = BytesIO()
    Image.new("1", (30_000, 30_000)).save(content, "PNG")
    return content.getvalue()


def upload(client: Client, content: bytes, name: str = "a.png", **fields: Any) -> Any:
    file = SimpleUploadedFile(name, content, content_type="image/png")
    return client.post(MEDIA, {"file": file, **fields})


def test_a_picture_is_uploaded_described_and_deleted(
    as_kei: Client, settings: Settings, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    made = upload(as_kei, drawn("WEBP"), "../../etc/passwd.png", alt="A tram")
    assert made.status_code == 201, made.content
    picture = made.json()
    assert (picture["mime"], picture["width"], picture["height"]) == ("image/webp", 8, 6)
    assert picture["alt"] == "A tram" and "passwd" not in picture["url"]
    path = f"{MEDIA}{picture['id']}"
    changed = as_kei.patch(path, {"alt": "A tram in fog"}, content_type=JSON)
    assert changed.json()["alt"] == "A tram in fog" == as_kei.get(f"{path}/").json()["alt"]
    stored = Path(Media.objects.get().file.path)
    assert stored.exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert as_kei.delete(path).status_code == 204
    assert not stored.exists() and not Media.objects.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"just text", "no JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "no JPEG"),
        (b"<html><script>alert(1)</script></html>", "no JPEG"),
        (b"%PDF-1.7\n" + drawn(), "no JPEG"),
        (b"MZ" + drawn(), "no JPEG"),
        (b"", "empty"),
        (drawn(size=(200, 200))[:-30], "damaged"),
        (drawn("JPEG", (400, 400))[:900], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "JPEG"),
    ],
)
def test_what_is_no_whole_picture_is_refused(as_kei: Client, content: bytes, words: str) -> None:
    answer = upload(as_kei, content)
    assert answer.status_code == 422, answer.content
    [error] = answer.json()["errors"]
    assert error["field"] == "file" and words in error["message"]
    assert not Media.objects.exists()


def test_a_bomb_is_refused_unpacked(as_kei: Client) -> None:
    answer = upload(as_kei, bomb())
    assert answer.status_code == 422 and "pixels" in answer.json()["detail"]
    assert not Media.objects.exists()


def test_a_polyglot_is_kept_as_the_picture_it_is_and_never_under_its_name(as_kei: Client) -> None:
    answer = upload(as_kei, drawn("GIF") + b"<script>alert(1)</script>", "evil.html")
    assert answer.status_code == 201
    assert answer.json()["mime"] == "image/gif" and answer.json()["url"].endswith(".gif")


def test_an_oversized_file_is_refused(as_kei: Client, settings: Settings) -> None:
    settings.MEDIA_MAX_BYTES = 1_000
    answer = upload(as_kei, drawn("BMP", (40, 40)))
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "file"
    answer = upload(as_kei, b"\0" * 300_000)
    assert answer.status_code == 413 and answer.json()["code"] == "too_large"
    assert not Media.objects.exists()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ("file", "required")),
        ({"file": "text"}, ("file", "invalid")),
        ({"file": "text", "colour": "red"}, ("colour", "unknown_field")),
    ],
)
def test_a_form_without_a_file_is_refused(
    as_kei: Client, fields: dict[str, str], reason: tuple[str, str]
) -> None:
    answer = as_kei.post(MEDIA, fields)
    assert answer.status_code == 400
    assert reason in {(each["field"], each["code"]) for each in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("alt", "code"), [("x" * 2_001, "max_length"), ("a\0b", "null_characters_not_allowed")]
)
def test_a_description_that_cannot_be_kept_is_refused(as_kei: Client, alt: str, code: str) -> None:
    answer = upload(as_kei, drawn(), alt=alt)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "alt"
    assert answer.json()["errors"][0]["code"] == code
    assert not Media.objects.exists()


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\n\r\n", b"\xff" * 50])
def test_a_broken_form_is_refused(as_kei: Client, body: bytes) -> None:
    answer = as_kei.post(MEDIA, body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400
    assert as_kei.post(MEDIA, body, content_type="multipart/form-data").status_code == 400


def test_a_picture_in_use_stays(as_kei: Client, wall: SocialAccount, picture: Media) -> None:
    body = {
        "persona": str(wall.persona_id),
        "accounts": [str(wall.pk)],
        "media": [str(picture.pk)],
        "scheduled_at": timezone.now().isoformat(),
    }
    assert as_kei.post("/api/v1/posts/", body, content_type=JSON).status_code == 201
    answer = as_kei.delete(f"{MEDIA}{picture.pk}/")
    assert answer.status_code == 409 and answer.json()["code"] == "wrong_state"
    assert Path(Media.objects.get().file.path).exists()
