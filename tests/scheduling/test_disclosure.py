"""Readers are told what was made with AI, by the best means each network has, and it is noted."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo
from rest_framework.test import APIClient

from apps.personas.models import Persona
from apps.scheduling import composing, disclosing, drafting, publishing, services, xmp
from apps.scheduling.models import Delivery, Media, SocialAccount, WallPost
from apps.scheduling.networks import publishers
from tests.scheduling.conftest import NetworkOf, Post

# The threads that publish write too: they must see what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

MARK = b"digitalsourcetype/trainedAlgorithmicMedia"


def picture(kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image = Image.effect_noise((40, 30), 80).convert("RGB")
    if options.pop("alpha", False):
        image.putalpha(120)
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes) -> list[bytes]:
    with Image.open(BytesIO(content)) as image:
        return [frame.convert("RGBA").tobytes() for frame in ImageSequence.Iterator(image)]


def animation(kind: str) -> bytes:
    file = BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("teal", "plum", "gold")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=80)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("image/jpeg", picture("JPEG")),
        ("image/jpeg", picture("JPEG", exif=Image.Exif(), progressive=True)),
        ("image/png", picture("PNG")),
        ("image/webp", picture("WEBP")),
        ("image/webp", picture("WEBP", lossless=True, alpha=True)),
        ("image/webp", animation("WEBP")),
        ("image/gif", animation("GIF")),
    ],
    ids=["jpeg", "progressive jpeg", "png", "webp", "webp with alpha", "moving webp", "moving gif"],
)
def test_a_picture_says_that_it_was_made_with_ai_and_keeps_every_pixel(
    mime: str, content: bytes
) -> None:
    copy = xmp.marked(content, mime)
    with Image.open(BytesIO(copy)) as image:
        image.load()
        # Pillow reads no XMP from a GIF: there the whole file is looked through.
        said = image.info.get("xmp", copy if mime == "image/gif" else b"")
    assert b"Iptc4xmpExt:DigitalSourceType" in said
    assert MARK in said
    assert pixels(copy) == pixels(content)
    assert 0 < len(copy) - len(content) < xmp.GROWTH


@pytest.mark.parametrize(("kind", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
def test_what_a_picture_said_before_it_still_says(kind: str, mime: str) -> None:
    said = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        b'dc:source="roll 14"/></rdf:RDF></x:xmpmeta>'
    )
    file = BytesIO()
    image = Image.new("RGB", (9, 9))
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", said.decode())
        image.save(file, kind, pnginfo=info)
    else:
        image.save(file, kind, xmp=said)
    copy = xmp.marked(xmp.marked(file.getvalue(), mime), mime)
    with Image.open(BytesIO(copy)) as image:
        told = image.info["xmp"]
    assert b"roll 14" in told
    assert told.count(MARK) == 1


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe1", b"GIF89a", b"RIFF    WEBP"])
def test_a_file_that_breaks_off_is_refused(content: bytes) -> None:
    for mime in ("image/jpeg", "image/webp", "image/gif"):
        with pytest.raises(ValueError, match=r"no JPEG|breaks off|no WebP"):
            xmp.marked(content[: 3 + len(mime) % 2], mime)


# -- What each account says ---------------------------------------------------------------------

Case = tuple[str, str, bool, bool, list[str]]
CASES: list[Case] = [
    ("wall", "profile", True, False, ["network_page"]),
    ("bluesky", "profile", True, False, ["profile"]),
    ("bluesky", "label", True, False, ["label"]),
    ("bluesky", "label", False, False, []),
    ("x", "label", True, False, ["label"]),
    ("x", "label", True, True, ["image_metadata", "network_flag"]),
    ("tiktok", "label", False, True, ["image_metadata", "network_flag"]),
    ("mastodon", "profile", False, True, ["image_metadata", "profile"]),
    ("custom", "profile", True, False, ["network_flag"]),
]


@pytest.mark.parametrize(("network", "choice", "text", "media", "means"), CASES)
def test_the_networks_own_mark_comes_before_the_owners_choice(
    luna: Persona, network: str, choice: str, text: bool, media: bool, means: list[str]
) -> None:
    account = SocialAccount(persona=luna, network=network, disclosure=choice)
    told = disclosing.of(
        post=drafting.post_of(
            services.Draft(
                persona=luna,
                accounts=[account],
                scheduled_at=timezone.now(),
                text="Fog",
                text_by_ai=text,
                media_by_ai=media,
            ),
            by=None,
        ),
        text="Fog",
        pictures=int(media),
        account=account,
        publisher=publishers[network],
    )
    assert list(told.means) == means
    assert told.label == ("Made with AI" if "label" in means else "")


def test_the_label_stands_under_the_post_and_the_ledger_says_so(
    due_post: Post, network: NetworkOf, account_on: Callable[[str], SocialAccount]
) -> None:
    account = account_on("keyed")
    SocialAccount.objects.filter(pk=account.pk).update(disclosure="label", ai_label="Written by AI")
    delivery = due_post("keyed", "Good morning", hashtags=["fog"])
    publishing.publish([delivery.pk])
    delivery.refresh_from_db()
    assert network("keyed").calls[0].full_text == "Good morning\n\n#fog\n\nWritten by AI"
    assert delivery.disclosed == {"text": True, "media": False, "means": ["label"]}


def test_the_label_counts_where_the_network_counts(
    network: NetworkOf, account_on: Callable[[str], SocialAccount], luna: Persona
) -> None:
    network("keyed").characters = 20
    account = account_on("keyed")
    draft = services.Draft(
        persona=luna, accounts=[account], text="A" * 10, scheduled_at=timezone.now()
    )
    assert services.problems_of(draft) == []
    account.disclosure = "label"
    assert [code for _, code, _ in services.problems_of(draft)] == ["text_too_long"]


def test_a_post_by_people_says_nothing(due_post: Post, network: NetworkOf, luna: Persona) -> None:
    Persona.objects.filter(pk=luna.pk).update(made_with_ai=False)
    luna.refresh_from_db()
    delivery = due_post("keyed")
    publishing.publish([delivery.pk])
    delivery.refresh_from_db()
    assert network("keyed").calls[0].made_with_ai is False
    assert delivery.disclosed == {"text": False, "media": False, "means": []}


def test_networks_get_the_marked_copy_and_the_original_stays(
    due_post: Post, network: NetworkOf, picture: Media, client: Client
) -> None:
    with picture.file.open("rb") as file:
        original = file.read()
    for _ in range(2):
        delivery = due_post("keyed", media=[picture])
        publishing.publish([delivery.pk])
    attachment = network("keyed").calls[-1].attachments[0]
    copy = attachment.read()
    assert MARK in copy
    assert attachment.size == len(copy)
    picture.refresh_from_db()
    assert picture.marked_sha256 == attachment.sha256
    with picture.file.storage.open(str(picture.file.name)) as file:
        assert file.read() == original
    served = client.get(attachment.url.partition("8000")[2])
    assert served.getvalue() == copy
    assert served["ETag"] == f'"{attachment.sha256}"'
    assert client.get(picture.file.url).getvalue() == original


def test_a_photo_by_people_goes_out_as_it_is(
    due_post: Post, network: NetworkOf, picture: Media
) -> None:
    delivery = due_post("keyed", media=[picture], media_by_ai=False)
    publishing.publish([delivery.pk])
    assert MARK not in network("keyed").calls[0].attachments[0].read()


def test_the_wall_shows_the_marked_copy(wall: SocialAccount, picture: Media) -> None:
    post = services.schedule_post(
        services.Draft(
            persona=wall.persona, accounts=[wall], media=[picture], scheduled_at=timezone.now()
        ),
        by=None,
    )
    publishing.publish()
    assert ".ai.png" in WallPost.objects.get().images[0]["url"]
    assert post.deliveries.get().disclosed["means"] == ["image_metadata", "network_page"]


def test_a_picture_that_nothing_uses_takes_its_copy_with_it(picture: Media, api: APIClient) -> None:
    copy = disclosing.marked_copy(picture)
    storage, name = copy.marked.storage, str(copy.marked.name)
    assert storage.exists(name)
    assert api.delete(f"/api/v1/media/{picture.pk}/").status_code == 204
    assert not storage.exists(name)


def test_what_an_older_version_froze_goes_out_as_it_was(due_post: Post) -> None:
    delivery = due_post("keyed")
    frozen = composing.freeze(delivery, now=timezone.now())
    for name in ("label", "made_with_ai", "disclosed"):
        del frozen[name]
    delivery.frozen = frozen
    outgoing = composing.outgoing_of(delivery)
    assert (outgoing.label, outgoing.made_with_ai) == ("", True)


# -- Through the doors --------------------------------------------------------------------------


def test_the_api_takes_and_shows_it(api: APIClient, wall: SocialAccount) -> None:
    given = {
        "persona": str(wall.persona_id),
        "accounts": [str(wall.pk)],
        "text": "Fog",
        "scheduled_at": (timezone.now() + timedelta(hours=1)).isoformat(),
    }
    post = api.post("/api/v1/posts/", given, format="json").json()
    assert (post["text_by_ai"], post["media_by_ai"]) == (True, True)
    assert post["deliveries"][0]["disclosed"] == {}
    own = api.post(
        "/api/v1/posts/", {**given, "text": "Sun", "text_by_ai": False}, format="json"
    ).json()
    assert own["text_by_ai"] is False
    path = f"/api/v1/posts/{own['id']}/"
    assert api.patch(path, {"text": "More fog"}, format="json").json()["text_by_ai"] is False
    api.post(f"{path}publish-now/")
    api.post(f"/api/v1/posts/{post['id']}/publish-now/")
    publishing.publish()
    told = api.get(f"/api/v1/posts/{post['id']}/").json()["deliveries"][0]["disclosed"]
    assert told == {"text": True, "media": False, "means": ["network_page"]}


def test_an_account_says_how_it_tells(api: APIClient, wall: SocialAccount) -> None:
    path = f"/api/v1/accounts/{wall.pk}/"
    assert api.get(path).json()["disclosure"] == "profile"
    changed = api.patch(path, {"disclosure": "label", "ai_label": "AI"}, format="json").json()
    assert (changed["disclosure"], changed["ai_label"]) == ("label", "AI")
    assert api.patch(path, {"ai_label": ""}, format="json").status_code == 400


def test_the_admin_shows_what_was_said_where(as_kei: Client, due_post: Post) -> None:
    delivery = due_post("keyed")
    publishing.publish([delivery.pk])
    page = as_kei.get(f"/admin/scheduling/delivery/{delivery.pk}/change/").content.decode()
    assert "a line in the profile" in page
    assert Delivery.objects.get().disclosed["text"] is True


def test_the_composer_asks_what_was_made_with_ai(as_kei: Client, wall: SocialAccount) -> None:
    address = f"/admin/scheduling/post/add/?persona={wall.persona_id}"
    page = as_kei.get(address)
    assert page.context["form"]["text_by_ai"].value() is True
    given = {
        "text": "Fog",
        "accounts": [str(wall.pk)],
        "at": "2099-01-01T10:00",
        "zone": "Europe/Lisbon",
        "too_late": "86400",
        "media_by_ai": "on",
    }
    as_kei.post(address, given)
    post = wall.persona.posts.get()
    assert (post.text_by_ai, post.media_by_ai) == (False, True)
