"""Series: posts that repeat by wall clock, prepared ahead, each once."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from rest_framework.test import APIClient

from apps.core.models import Alert, AuditEntry, User
from apps.scheduling import repeating, tasks
from apps.scheduling.models import Delivery, Occurrence, Post, Series, SocialAccount

pytestmark = pytest.mark.django_db

# A Tuesday, 08:00 in Lisbon.
TUESDAY = datetime(2026, 12, 1, 8, tzinfo=UTC)
State = Delivery.State


@pytest.fixture(autouse=True)
def clock() -> Any:
    """The time is TUESDAY until a test moves it."""
    with time_machine.travel(TUESDAY, tick=False) as traveller:
        yield traveller


@pytest.fixture
def daily(wall: SocialAccount) -> dict[str, Any]:
    """A series as one asks for it: every day at 09:00 in Lisbon."""
    return {
        "name": "Mornings",
        "persona": str(wall.persona_id),
        "accounts": [str(wall.pk)],
        "text": "Good morning",
        "hashtags": ["lisbon"],
        "rule": {
            "kind": "daily",
            "zone": "Europe/Lisbon",
            "starts_on": "2026-12-01",
            "at": "09:00",
        },
    }


def made(api: APIClient, body: dict[str, Any]) -> Series:
    answer = api.post("/api/v1/series/", body, format="json")
    assert answer.status_code == 201, answer.json()
    return Series.objects.get(pk=answer.json()["id"])


def ask(api: APIClient, series: Series, verb: str, body: Any = None, status: int = 200) -> Any:
    answer = api.post(f"/api/v1/series/{series.pk}/{verb}/", body, format="json")
    assert answer.status_code == status, answer.json()
    return answer.json()


def times(series: Series | None = None) -> list[str]:
    posts = Post.objects.filter(occurrence__series=series) if series else Post.objects.all()
    return [
        f"{timezone.localtime(each.scheduled_at, timezone.get_fixed_timezone(0)):%m-%d %H:%M}"
        for each in posts.order_by("scheduled_at")
    ]


# -- Prepared ahead -----------------------------------------------------------------------------


def test_a_series_prepares_ordinary_posts_for_the_coming_35_days(
    api: APIClient, daily: dict[str, Any], wall: SocialAccount
) -> None:
    series = made(api, daily)
    posts = list(Post.objects.order_by("scheduled_at"))
    assert len(posts) == 35
    assert posts[0].scheduled_at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    delivery = posts[0].deliveries.get()
    assert (delivery.state, delivery.account, posts[0].hashtags) == (
        State.SCHEDULED, wall, ["lisbon"],
    )  # fmt: skip
    assert len(set(Delivery.objects.values_list("key", flat=True))) == 35
    answer = api.get(f"/api/v1/series/{series.pk}/").json()
    assert answer["description"] == "Every day at 09:00, Europe/Lisbon"
    coming = api.get(f"/api/v1/series/{series.pk}/occurrences/").json()
    assert coming[0]["local"] == "2026-12-01T09:00"
    assert coming[0]["post"] == str(posts[0].pk)


def test_the_tick_goes_on_where_it_stopped_and_repeating_it_adds_nothing(
    api: APIClient, daily: dict[str, Any], clock: Any
) -> None:
    made(api, daily)
    tasks.prepare_series()
    assert Post.objects.count() == 35
    clock.move_to(TUESDAY + timedelta(days=3))
    tasks.prepare_series()
    tasks.prepare_series()
    assert Post.objects.count() == 38
    assert times()[-1] == "01-07 09:00"


def test_the_tick_is_a_schedule_that_staff_edit() -> None:
    task = PeriodicTask.objects.get(task="prepare_series")
    assert (task.interval.every, task.queue, task.enabled) == (300, "work", True)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_prepare_each_time_once(api: APIClient, daily: dict[str, Any]) -> None:
    series = made(api, daily)
    Post.objects.all().delete()
    Occurrence.objects.all().delete()
    Series.objects.update(prepared_until=timezone.now())
    start = threading.Barrier(4)

    def work() -> None:
        try:
            start.wait()
            repeating.prepare(series.pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Post.objects.count() == 35
    assert Occurrence.objects.count() == 35


def test_what_passed_while_nothing_ran_is_said_and_not_posted(
    api: APIClient, daily: dict[str, Any], clock: Any
) -> None:
    series = made(api, daily)
    clock.move_to(TUESDAY + timedelta(days=40))
    tasks.prepare_series()
    missed = series.occurrences.filter(state=Occurrence.State.MISSED)
    assert missed.count() == 5
    assert "5 posts of the series" in Alert.objects.get(key=f"series-missed:{series.pk}").title


def test_a_series_that_no_longer_fits_says_so_and_goes_on_once_it_does(
    api: APIClient, daily: dict[str, Any], clock: Any, wall: SocialAccount
) -> None:
    series = made(api, daily)
    wall.status = SocialAccount.Status.PAUSED
    wall.save()
    clock.move_to(TUESDAY + timedelta(days=2))
    tasks.prepare_series()
    series.refresh_from_db()
    assert "is paused" in series.problem
    assert Alert.objects.get(key=f"series:{series.pk}").body == series.problem
    wall.status = SocialAccount.Status.WORKING
    wall.save()
    tasks.prepare_series()
    series.refresh_from_db()
    assert (series.problem, Post.objects.count()) == ("", 37)


def test_a_crontab_is_a_schedule_of_beat_with_its_zone(
    api: APIClient, daily: dict[str, Any]
) -> None:
    rule = {
        "kind": "crontab",
        "zone": "Asia/Kolkata",
        "starts_on": "2026-12-01",
        "crontab": "30 9 * * 1-5",
    }
    series = made(api, {**daily, "rule": rule})
    schedule = CrontabSchedule.objects.get(pk=series.crontab_id)
    assert (schedule.minute, schedule.hour, str(schedule.timezone)) == ("30", "9", "Asia/Kolkata")
    assert times()[:3] == ["12-02 04:00", "12-03 04:00", "12-04 04:00"]
    answer = api.get(f"/api/v1/series/{series.pk}/").json()
    assert answer["rule"]["crontab"] == "30 9 * * 1-5"
    # Staff change the schedule itself, zone included: from then on it counts.
    schedule.timezone, schedule.hour = "Asia/Tokyo", "12"
    schedule.save()
    answer = api.get(f"/api/v1/series/{series.pk}/").json()
    assert answer["rule"]["zone"] == "Asia/Tokyo"


def test_a_series_over_the_change_of_the_clocks_stays_at_its_wall_time(
    api: APIClient, daily: dict[str, Any], clock: Any, kei: User
) -> None:
    clock.move_to(datetime(2027, 3, 26, tzinfo=UTC))
    api.force_login(kei)
    daily["rule"] |= {"starts_on": "2027-03-27", "at": "01:30", "count": 3}
    series = made(api, daily)
    assert times() == ["03-27 01:30", "03-28 01:30", "03-29 00:30"]
    moved = [each["is_moved"] for each in _coming(api, series)]
    assert moved == [False, True, False]


def _coming(api: APIClient, series: Series) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/api/v1/series/{series.pk}/occurrences/").json()
    return found


# -- One of them --------------------------------------------------------------------------------


def test_one_time_is_skipped_and_brought_back(api: APIClient, daily: dict[str, Any]) -> None:
    series = made(api, daily)
    coming = ask(api, series, "skip", {"local": "2026-12-02T09:00"})
    assert [each["state"] for each in coming[:3]] == ["prepared", "skipped", "prepared"]
    assert "12-02 09:00" not in times()
    tasks.prepare_series()
    assert Post.objects.count() == 34
    ask(api, series, "unskip", {"local": "2026-12-02T09:00"})
    assert Post.objects.count() == 35
    ask(api, series, "unskip", {"local": "2026-12-02T09:00"}, status=409)
    assert set(AuditEntry.objects.filter(object_id=str(series.pk)).values_list(
        "action", flat=True
    )) == {"add series", "skip", "bring back"}  # fmt: skip


def test_a_time_that_is_not_prepared_yet_can_be_skipped(
    api: APIClient, daily: dict[str, Any], clock: Any
) -> None:
    series = made(api, daily)
    ask(api, series, "skip", {"local": "2027-01-06T09:00"})
    clock.move_to(TUESDAY + timedelta(days=3))
    tasks.prepare_series()
    assert times()[-2:] == ["01-05 09:00", "01-07 09:00"]


@pytest.mark.parametrize(
    ("local", "status", "code"),
    [
        ("2026-12-02T09:30", 422, "unknown"),
        ("2026-11-30T09:00", 422, "unknown"),
        ("2026-12-02T09:00+01:00", 400, "aware"),
        (7, 400, "invalid"),
    ],
)
def test_a_time_that_the_series_does_not_have_cannot_be_skipped(
    api: APIClient, daily: dict[str, Any], local: Any, status: int, code: str
) -> None:
    answer = ask(api, made(api, daily), "skip", {"local": local}, status=status)
    assert answer["errors"][0]["code"] == code


def test_what_has_passed_or_is_out_cannot_be_skipped(
    api: APIClient, daily: dict[str, Any], clock: Any
) -> None:
    series = made(api, daily)
    first = Delivery.objects.order_by("due_at").first()
    assert first is not None
    Delivery.objects.filter(pk=first.pk).update(state=State.PUBLISHED)
    ask(api, series, "skip", {"local": "2026-12-01T09:00"}, status=409)
    clock.move_to(TUESDAY + timedelta(hours=2))
    ask(api, series, "skip", {"local": "2026-12-01T09:00"}, status=409)


def test_an_edited_one_stays_when_the_series_changes(api: APIClient, daily: dict[str, Any]) -> None:
    series = made(api, daily)
    post = Post.objects.order_by("scheduled_at")[2]
    answer = api.patch(f"/api/v1/posts/{post.pk}/", {"text": "By hand"}, format="json")
    assert answer.status_code == 200
    rule = {**daily["rule"], "at": "10:00"}
    answer = api.patch(
        f"/api/v1/series/{series.pk}/", {"text": "Changed", "rule": rule}, format="json"
    )
    assert answer.status_code == 200, answer.json()
    assert times()[:4] == ["12-01 10:00", "12-02 10:00", "12-03 09:00", "12-04 10:00"]
    texts = list(Post.objects.order_by("scheduled_at").values_list("text", flat=True)[:4])
    assert texts == ["Changed", "Changed", "By hand", "Changed"]
    assert Post.objects.count() == 35


def test_a_post_of_a_series_that_somebody_deletes_or_cancels_is_not_made_anew(
    api: APIClient, daily: dict[str, Any]
) -> None:
    series = made(api, daily)
    first, second = Post.objects.order_by("scheduled_at")[:2]
    assert api.delete(f"/api/v1/posts/{first.pk}/").status_code == 204
    assert api.post(f"/api/v1/posts/{second.pk}/cancel/").status_code == 200
    answer = api.patch(f"/api/v1/series/{series.pk}/", {"text": "Changed"}, format="json")
    assert answer.status_code == 200
    assert times()[:2] == ["12-02 09:00", "12-03 09:00"]
    second.refresh_from_db()
    assert second.text == "Good morning"


# -- All of them, and those that follow ---------------------------------------------------------


def test_changing_what_follows_splits_the_series(api: APIClient, daily: dict[str, Any]) -> None:
    old = made(api, daily)
    answer = ask(
        api, old, "change-following",
        {"from_date": "2026-12-04", "text": "New", "rule": {**daily["rule"], "at": "18:00"}},
    )  # fmt: skip
    new = Series.objects.get(pk=answer["id"])
    assert new.follows == old
    assert times(old) == ["12-01 09:00", "12-02 09:00", "12-03 09:00"]
    assert times(new)[:2] == ["12-04 18:00", "12-05 18:00"]
    assert Post.objects.count() == 35
    old.refresh_from_db()
    assert str(old.ends_on) == "2026-12-03"
    assert set(Post.objects.filter(occurrence__series=new).values_list("text", flat=True)) == {
        "New"
    }


def test_a_split_keeps_skips_and_the_count(api: APIClient, daily: dict[str, Any]) -> None:
    daily["rule"]["count"] = 10
    old = made(api, daily)
    ask(api, old, "skip", {"local": "2026-12-06T09:00"})
    answer = ask(api, old, "change-following", {"from_date": "2026-12-05", "text": "New"})
    new = Series.objects.get(pk=answer["id"])
    assert new.count == 6
    assert times() == [f"12-{day:02} 09:00" for day in (1, 2, 3, 4, 5, 7, 8, 9, 10)]
    tasks.prepare_series()
    assert Post.objects.count() == 9


def test_a_split_before_the_first_changes_the_series_itself(
    api: APIClient, daily: dict[str, Any]
) -> None:
    old = made(api, daily)
    answer = ask(api, old, "change-following", {"from_date": "2026-12-01", "text": "New"})
    assert answer["id"] == str(old.pk)
    assert Series.objects.count() == 1
    ask(api, old, "change-following", {"from_date": "2026-11-30"}, status=422)
    ask(api, old, "change-following", {"text": "x"}, status=422)


def test_what_went_out_stays_with_the_series_that_sent_it(
    api: APIClient, daily: dict[str, Any], clock: Any
) -> None:
    series = made(api, daily)
    clock.move_to(TUESDAY + timedelta(days=2))
    out = Delivery.objects.filter(due_at__lt=timezone.now())
    assert out.update(state=State.PUBLISHED) == 2
    answer = api.patch(f"/api/v1/series/{series.pk}/", {"text": "Changed"}, format="json")
    assert answer.status_code == 200
    kept = Post.objects.filter(deliveries__state=State.PUBLISHED)
    assert set(kept.values_list("text", flat=True)) == {"Good morning"}


def test_a_pause_takes_back_what_is_coming_and_resuming_catches_up_with_nothing(
    api: APIClient, daily: dict[str, Any], clock: Any
) -> None:
    series = made(api, daily)
    ask(api, series, "pause")
    ask(api, series, "pause", status=409)
    assert Post.objects.count() == 0
    clock.move_to(TUESDAY + timedelta(days=10))
    tasks.prepare_series()
    assert Post.objects.count() == 0
    ask(api, series, "resume")
    ask(api, series, "resume", status=409)
    assert times()[0] == "12-11 09:00"
    assert not series.occurrences.filter(state=Occurrence.State.MISSED).exists()


def test_deleting_a_series_takes_its_coming_posts_and_keeps_what_is_out(
    api: APIClient, daily: dict[str, Any]
) -> None:
    series = made(api, daily)
    first = Delivery.objects.order_by("due_at").first()
    assert first is not None
    Delivery.objects.filter(pk=first.pk).update(state=State.PUBLISHED)
    assert api.delete(f"/api/v1/series/{series.pk}/").status_code == 204
    assert list(Post.objects.all()) == [first.post]


def test_a_refused_series_names_its_fields_and_stores_nothing(
    api: APIClient, daily: dict[str, Any]
) -> None:
    cases: list[tuple[dict[str, Any], int, str, str]] = [
        ({"rule": {**daily["rule"], "kind": "weekly"}}, 422, "rule.weekdays", "required"),
        ({"rule": {**daily["rule"], "zone": "Mars/Base"}}, 400, "rule.zone", "invalid"),
        ({"rule": {**daily["rule"], "ends_on": "2026-11-01"}}, 422, "rule.ends_on", "before_start"),
        (
            {"rule": {**daily["rule"], "starts_on": "2026-11-01", "count": 3}},
            422, "rule", "never",
        ),
        ({"rule": {**daily["rule"], "at": "9 o'clock"}}, 400, "rule.at", "invalid"),
        ({"rule": {**daily["rule"], "hour": 9}}, 400, "rule.hour", "unknown_field"),
        ({"name": " "}, 400, "name", "blank"),
        ({"text": "", "hashtags": []}, 422, "text", "empty"),
        ({"accounts": []}, 400, "accounts", "empty"),
    ]  # fmt: skip
    for changes, status, field, code in cases:
        answer = api.post("/api/v1/series/", {**daily, **changes}, format="json")
        found = [(each["field"], each["code"]) for each in answer.json()["errors"]]
        assert (answer.status_code, (field, code) in found) == (status, True), found
    assert (Series.objects.count(), Post.objects.count()) == (0, 0)


def test_a_rule_can_be_looked_at_before_anything_is_stored(api: APIClient) -> None:
    rule = {
        "kind": "monthly_day",
        "month_day": 31,
        "zone": "Pacific/Chatham",
        "starts_on": "2027-01-01",
    }
    answer = api.post("/api/v1/series/preview/", {"rule": rule}, format="json").json()
    assert answer["description"].startswith("Day 31 of every month (its last day where")
    assert [each["local"] for each in answer["next"][:3]] == [
        "2027-01-31T09:00", "2027-02-28T09:00", "2027-03-31T09:00",
    ]  # fmt: skip
    refused = api.post(
        "/api/v1/series/preview/", {"rule": {**rule, "month_day": 32}}, format="json"
    )
    assert refused.status_code == 422
