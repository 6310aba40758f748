"""Series in the admin: made, changed, skipped, split and deleted by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

from apps.scheduling.models import Occurrence, Post, Series, SocialAccount
from tests.conftest import Everyone
from tests.scheduling.test_wall import HOSTILE

pytestmark = pytest.mark.django_db

ADD = "/admin/scheduling/series/add/"


@pytest.fixture(autouse=True)
def clock() -> Any:
    """A Tuesday, 08:00 in Lisbon."""
    with time_machine.travel(datetime(2026, 12, 1, 8, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def typed(wall: SocialAccount) -> dict[str, Any]:
    """The form as somebody fills it in."""
    return {
        "name": "Mornings",
        "text": "Good morning",
        "accounts": [str(wall.pk)],
        "kind": "weekly",
        "weekdays": ["mon", "fri"],
        "at": "09:00",
        "zone": "Europe/Lisbon",
        "starts_on": "2026-12-01",
        "every": "1",
        "nth": "1",
        "too_late": "86400",
    }


@pytest.fixture
def series(as_kei: Client, typed: dict[str, Any]) -> Series:
    """Mondays and Fridays."""
    as_kei.post(ADD, typed)
    return Series.objects.get()


def page_of(series: Series, part: str = "change/") -> str:
    return f"/admin/scheduling/series/{series.pk}/{part}"


def days() -> list[str]:
    return [f"{each.scheduled_at:%m-%d}" for each in Post.objects.order_by("scheduled_at")]


def test_a_series_is_made_and_its_page_lists_what_comes(as_kei: Client, series: Series) -> None:
    assert days()[:3] == ["12-04", "12-07", "12-11"]
    page = as_kei.get(page_of(series)).content.decode()
    assert "Every week on Monday and Friday at 09:00, Europe/Lisbon" in page
    assert "Fri 4 Dec 2026, 09:00" in page
    assert str(series.occurrences.order_by("at")[0].post_id) in page
    listed = as_kei.get("/admin/scheduling/series/").content.decode()
    assert "Running" in listed


def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_stored(
    as_kei: Client, typed: dict[str, Any]
) -> None:
    for changes, words in (
        ({"weekdays": []}, "Choose at least one weekday."),
        ({"kind": "crontab", "crontab": "x"}, "A crontab has five fields"),
        ({"kind": "monthly_day"}, "A day of the month, from 1 to 31."),
        ({"ends_on": "2026-11-01"}, "It ends before it starts."),
        ({"text": ""}, "Nothing to publish."),
        ({"starts_on": "tomorrow"}, "Enter a valid date."),
    ):
        page = as_kei.post(ADD, {**typed, **changes}).content.decode()
        assert words in page, words
    assert not Series.objects.exists()


def test_one_time_is_skipped_and_brought_back(as_kei: Client, series: Series) -> None:
    as_kei.post(page_of(series, "skip/"), {"local": "2026-12-04T09:00"})
    assert days()[0] == "12-07"
    assert "Bring back" in as_kei.get(page_of(series)).content.decode()
    as_kei.post(page_of(series, "skip/"), {"local": "2026-12-04T09:00", "back": "1"})
    assert days()[0] == "12-04"
    assert as_kei.post(page_of(series, "skip/"), {"local": "never"}).status_code == 403


def test_saving_changes_all_or_only_what_follows_a_day(
    as_kei: Client, series: Series, typed: dict[str, Any]
) -> None:
    as_kei.post(page_of(series), {**typed, "text": "All", "weekdays": ["fri"]})
    assert days()[:2] == ["12-04", "12-11"]
    as_kei.post(page_of(series), {**typed, "text": "Later", "from_date": "2026-12-11"})
    assert Series.objects.count() == 2
    texts = list(Post.objects.order_by("scheduled_at").values_list("text", flat=True))
    assert texts[:2] == ["All", "Later"]
    # A day that is none must not turn into "all that is to come".
    page = as_kei.post(page_of(series), {**typed, "text": "Oh", "from_date": "soon"})
    assert "soon is no day." in page.content.decode()
    assert not Post.objects.filter(text="Oh").exists()


def test_a_series_is_paused_goes_on_and_is_deleted(as_ada: Client, series: Series) -> None:
    as_ada.post(page_of(series, "do/pause/"))
    assert days() == []
    as_ada.post(page_of(series, "do/resume/"))
    assert days()[0] == "12-04"
    as_ada.post(page_of(series, "remove/"))
    assert not Series.objects.exists()
    assert days() == []


def test_the_composer_says_that_a_post_is_one_of_a_series(as_kei: Client, series: Series) -> None:
    occurrence = Occurrence.objects.order_by("at")[0]
    assert occurrence.post is not None
    path = f"/admin/scheduling/post/{occurrence.post_id}/change/"
    page = as_kei.get(path).content.decode()
    assert "One of a series" in page
    all_following = f"{page_of(series)}?from_date={occurrence.local_date}"
    assert f'href="{all_following}#from_date"' in page
    assert f'value="{occurrence.local_date}"' in as_kei.get(all_following).content.decode()
    copied = as_kei.get(ADD, {"copy": str(occurrence.post_id)}).content.decode()
    assert "Good morning" in copied


def test_only_staff_with_the_permission_touch_a_series(
    everyone: Everyone, series: Series, typed: dict[str, Any]
) -> None:
    for role, user in everyone.items():
        if role in {"staff", "superuser"}:
            continue
        client = Client()
        if user is not None:
            client.force_login(user)
        expected = 403 if role == "staff without the permission" else 302
        for path in (
            ADD,
            *(page_of(series, part) for part in ("change/", "skip/", "remove/", "do/pause/")),
        ):
            assert client.post(path, typed).status_code == expected, (role, path)
    series.refresh_from_db()
    assert not series.is_paused


def test_hostile_text_is_inert(as_kei: Client, typed: dict[str, Any]) -> None:
    as_kei.post(ADD, {**typed, "name": HOSTILE[:100], "text": HOSTILE})
    page = as_kei.get(page_of(Series.objects.get())).content.decode()
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
