"""Writing a post in the studio: what services refuse is shown at its field, counts are theirs."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.personas.models import Persona
from apps.scheduling import services
from apps.scheduling.models import Delivery, Media, Post, SocialAccount
from tests.scheduling.conftest import NetworkOf
from tests.scheduling.films import a_video, film
from tests.scheduling.test_wall import a_picture

pytestmark = pytest.mark.django_db
LISBON = ZoneInfo("Europe/Lisbon")


@pytest.fixture
def keyed(luna: Persona, network: NetworkOf) -> SocialAccount:
    """Luna's account on a network that takes 300 characters."""
    return SocialAccount.objects.create(
        persona=luna, network="keyed", handle="luna", status=SocialAccount.Status.WORKING
    )


def typed(*accounts: SocialAccount, **changes: Any) -> dict[str, Any]:
    """What a browser sends for a good post, with some of it changed."""
    tomorrow = (timezone.now() + timedelta(days=1)).astimezone(LISBON)
    return {
        "text": "Good morning",
        "hashtags": "fog #lisbon",
        "at": tomorrow.strftime("%Y-%m-%dT%H:%M"),
        "zone": "Europe/Lisbon",
        "too_late": "3600",
        "accounts": [str(each.pk) for each in accounts],
        **changes,
    }


ADD = "/admin/scheduling/post/add/"


def test_a_post_is_scheduled_in_the_personas_zone(as_kei: Client, wall: SocialAccount) -> None:
    answer = as_kei.post(ADD, typed(wall))
    post = Post.objects.get()
    assert answer["Location"].endswith(f"/{post.pk}/change/")
    assert (
        timezone.make_naive(post.scheduled_at, LISBON).strftime("%Y-%m-%dT%H:%M") == typed()["at"]
    )
    assert post.hashtags == ["fog", "lisbon"]
    assert post.too_late_after == timedelta(hours=1)
    assert post.created_by is not None
    assert post.deliveries.get().account == wall


def test_an_hour_that_does_not_exist_is_refused(as_kei: Client, wall: SocialAccount) -> None:
    year = timezone.now().year + 1
    last = max(day for day in range(25, 32) if datetime(year, 3, day).weekday() == 6)  # noqa: DTZ001
    answer = as_kei.post(ADD, typed(wall, at=f"{year}-03-{last}T01:30"))
    assert answer.status_code == 200
    assert "at" in answer.context["form"].errors
    assert not Post.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"at": "2020-01-01T10:00"}, "at", "has passed"),
        ({"at": "tomorrow"}, "at", "valid date"),
        ({"accounts": []}, "accounts", "at least one account"),
        ({"accounts": ["x"]}, "accounts", "not one of the available choices"),
        ({"text": "x" * 301, "hashtags": ""}, "text", "300 characters"),
        ({"link": "not a link"}, "link", "valid URL"),
        ({"zone": "Mars/Olympus"}, "zone", "not one of the available choices"),
        ({"images": ["x"]}, "images", "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(
    as_kei: Client, keyed: SocialAccount, changes: dict[str, Any], field: str, words: str
) -> None:
    answer = as_kei.post(ADD, typed(keyed, **changes))
    assert answer.status_code == 200
    assert words in str(answer.context["form"].errors[field])
    assert not Post.objects.exists()


def test_another_personas_account_is_no_choice(
    as_kei: Client, wall: SocialAccount, marlow: Persona
) -> None:
    theirs = SocialAccount.objects.create(persona=marlow, network="wall", handle="marlow")
    answer = as_kei.post(f"{ADD}?persona={wall.persona_id}", typed(wall, theirs))
    assert "accounts" in answer.context["form"].errors
    assert not Post.objects.exists()


def test_an_account_may_say_it_in_its_own_words(as_kei: Client, wall: SocialAccount) -> None:
    as_kei.post(ADD, typed(wall, **{f"text_{wall.pk}": "Only here"}))
    assert Delivery.objects.get().override == {"text": "Only here"}


def test_the_live_count_is_the_servers(as_kei: Client, keyed: SocialAccount) -> None:
    text = "👩‍👩‍👧 " * 151
    answer = as_kei.post(
        f"/admin/scheduling/post/check/{keyed.persona_id}/", typed(keyed, text=text, hashtags="a")
    ).json()["accounts"][str(keyed.pk)]
    draft = services.Draft(
        persona=keyed.persona,
        accounts=[keyed],
        text=text,
        hashtags=["a"],
        scheduled_at=timezone.now() + timedelta(days=1),
    )
    measured = services.measure(draft)[keyed.pk]
    assert (answer["count"], answer["limit"]) == (measured.count, 300) == (306, 300)
    assert answer["problems"] == [each.message for each in measured.problems] != []
    assert not Post.objects.exists()


def test_publish_now_means_now_whatever_the_clock_says(as_kei: Client, wall: SocialAccount) -> None:
    as_kei.post(ADD, typed(wall, at="2020-01-01T10:00", now="1"))
    assert abs(Post.objects.get().scheduled_at - timezone.now()) < timedelta(seconds=30)


def test_new_pictures_come_with_the_post_and_survive_a_mistake(
    as_kei: Client, wall: SocialAccount
) -> None:
    wrong = typed(wall, at="2020-01-01T10:00", uploads=[a_picture()], upload_alt=["Green"])
    page = as_kei.post(ADD, wrong)
    media = Media.objects.get()
    assert media.alt == "Green"
    assert page.context["form"].pictures()[0] == (media, True)
    as_kei.post(ADD, typed(wall, images=[str(media.pk)]))
    assert list(Post.objects.get().media.all()) == [media]
    assert Media.objects.count() == 1


def test_later_parts_have_pictures_and_videos_of_their_own(
    as_kei: Client, wall: SocialAccount
) -> None:
    thread = typed(
        wall,
        parts=["And more", "", "The end"],
        uploads_1=[a_picture("JPEG")],
        upload_alt_1=["Green"],
        uploads_3=[a_video()],
        upload_alt_3=["Fog rolls in"],
    )
    as_kei.post(ADD, thread)
    post = Post.objects.get()
    assert [part["text"] for part in post.parts] == ["And more", "The end"]
    places = [(each.part, each.media.mime, each.media.alt) for each in post.attached]
    assert places == [(1, "image/jpeg", "Green"), (2, "video/mp4", "Fog rolls in")]
    page = f"/admin/scheduling/post/{post.pk}/change/"
    shown = as_kei.get(page)
    rows = shown.context["form"].part_rows()
    chosen = [[str(each.pk) for each, is_chosen in row["pictures"] if is_chosen] for row in rows]
    stored = [str(each.media_id) for each in post.attached]
    assert chosen == [stored[:1], stored[1:]]
    assert 'name="images_2"' in shown.content.decode()
    # Saved anew, with the first part's picture moved to the last part.
    as_kei.post(page, typed(wall, parts=["And more", "The end"], images_2=stored[::-1]))
    changed = Post.objects.get()
    assert [(each.part, str(each.media_id)) for each in changed.attached] == [
        (2, pk) for pk in stored[::-1]
    ]


def test_a_copy_keeps_pictures_that_are_no_longer_on_the_shelf(
    as_kei: Client, wall: SocialAccount
) -> None:
    as_kei.post(ADD, typed(wall, parts=["And more"], uploads_1=[a_picture()]))
    first = Media.objects.get()
    for _ in range(13):
        as_kei.post("/admin/scheduling/media/add/", {"upload": a_picture()})
    copy = as_kei.get(f"{ADD}?copy={Post.objects.get().pk}")
    (row,) = copy.context["form"].part_rows()
    assert [each for each, chosen in row["pictures"] if chosen] == [first]


def test_a_file_that_is_none_of_them_is_refused_at_the_pictures(
    as_kei: Client, wall: SocialAccount
) -> None:
    broken = SimpleUploadedFile("fog.mp4", film()[:-1], "video/mp4")
    page = as_kei.post(ADD, typed(wall, parts=["And more"], uploads_1=[broken]))
    assert "damaged" in str(page.context["form"].errors["images"])
    assert not Post.objects.exists()


def test_a_waiting_post_is_changed_and_one_that_is_out_is_not(
    as_kei: Client, wall: SocialAccount
) -> None:
    as_kei.post(ADD, typed(wall))
    post = Post.objects.get()
    page = f"/admin/scheduling/post/{post.pk}/change/"
    as_kei.post(page, typed(wall, text="Good evening"))
    post.refresh_from_db()
    assert post.text == "Good evening"
    post.deliveries.update(state=Delivery.State.PUBLISHED)
    assert "can no longer be changed" in as_kei.get(page).content.decode()
    assert as_kei.post(page, typed(wall, text="Too late")).status_code == 403
    post.refresh_from_db()
    assert post.text == "Good evening"


def test_cancelling_several_names_what_was_skipped(as_kei: Client, wall: SocialAccount) -> None:
    for text in ("First", "Second"):
        as_kei.post(ADD, typed(wall, text=text))
    first = Post.objects.get(text="First")
    first.deliveries.update(state=Delivery.State.PUBLISHED)
    chosen = [str(pk) for pk in Post.objects.values_list("pk", flat=True)]
    page = as_kei.post(
        "/admin/scheduling/post/", {"action": "cancel", "_selected_action": chosen}, follow=True
    ).content.decode()
    assert "Cancelled: 1 delivery." in page
    assert "Skipped “First”" in page
    assert Delivery.objects.get(post__text="Second").state == Delivery.State.CANCELLED


# -- Threads and what each account has of its own -----------------------------------------------


def test_a_thread_is_written_shown_changed_and_shortened(
    as_kei: Client, wall: SocialAccount, picture: Media
) -> None:
    typed = {
        "text": "First",
        "parts": ["Second", "", "Third"],
        "accounts": [str(wall.pk)],
        "at": "2030-05-01T09:00",
        "zone": "Europe/Lisbon",
        "too_late": "86400",
    }
    as_kei.post("/admin/scheduling/post/add/", typed)
    post = Post.objects.get()
    assert [part["text"] for part in post.parts] == ["Second", "Third"]
    assert post.deliveries.count() == 3
    # A picture of a later part came by the API; the form shows it chosen, and sends it back.
    post.postmedia_set.create(media=picture, position=0, part=1)
    path = f"/admin/scheduling/post/{post.pk}/change/"
    assert "Third</textarea>" in as_kei.get(path).content.decode()
    assert f'name="images_1" value="{picture.pk}" checked' in as_kei.get(path).content.decode()
    kept = {"images_1": [str(picture.pk)]}
    as_kei.post(path, {**typed, **kept, "parts": ["Second, changed", ""]})
    post.refresh_from_db()
    assert [part["text"] for part in post.parts] == ["Second, changed"]
    assert (post.deliveries.count(), post.postmedia_set.get().part) == (2, 1)
    page = as_kei.post(path, {**typed, "parts": ["Second", "Second"]}).content.decode()
    assert "Two parts say the same." in page


def test_an_account_has_its_own_text_link_and_hashtags_or_the_first_part_alone(
    as_kei: Client, wall: SocialAccount
) -> None:
    typed = {
        "text": "First",
        "parts": ["Second"],
        "accounts": [str(wall.pk)],
        f"text_{wall.pk}": "Mine",
        f"link_{wall.pk}": "https://example.org/mine",
        f"tags_{wall.pk}": "#fog lisbon",
        f"alone_{wall.pk}": "on",
        "at": "2030-05-01T09:00",
        "zone": "Europe/Lisbon",
        "too_late": "86400",
    }
    as_kei.post("/admin/scheduling/post/add/", typed)
    delivery = Delivery.objects.get()
    assert delivery.override == {
        "text": "Mine",
        "link": "https://example.org/mine",
        "hashtags": ["fog", "lisbon"],
        "parts": [],
    }
    shown = as_kei.get(f"/admin/scheduling/post/{delivery.post_id}/change/").content.decode()
    assert 'value="https://example.org/mine"' in shown
    assert 'value="fog lisbon"' in shown


def test_the_preview_has_the_very_texts_that_will_go_out(
    as_kei: Client, wall: SocialAccount
) -> None:
    answer = as_kei.post(
        f"/admin/scheduling/post/check/{wall.persona_id}/",
        {"text": "First", "hashtags": "fog", "parts": ["Second", " "]},
    ).json()["accounts"][str(wall.pk)]
    assert answer["texts"] == ["First\n\n#fog", "Second"]
    assert answer["counts"] == [11, 6]
