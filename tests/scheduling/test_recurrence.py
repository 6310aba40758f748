"""Wall clocks across the changes of five years in nine zones, and a day that was never there."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scheduling import recurrence
from apps.scheduling.recurrence import Rule

# Northern and southern, half hours and quarters, half an hour of summer time, none at all.
ZONES = [
    "Europe/Lisbon",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Chatham",
    "Asia/Kolkata",
    "Africa/Casablanca",
]
FIVE_YEARS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))
MINUTE = timedelta(minutes=1)


def rule(kind: str = "daily", zone: str = "Europe/Lisbon", **more: Any) -> Rule:
    return Rule(kind=kind, zone=ZoneInfo(zone), **{"starts_on": date(2026, 1, 1), **more})


def changes(zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """Each change of the clocks in five years: the moment (UTC), and how far they jump."""
    found, at = [], FIVE_YEARS[0]
    while at < FIVE_YEARS[1]:
        following = at + timedelta(hours=1)
        before, after = (each.astimezone(zone).utcoffset() for each in (at, following))
        assert before is not None and after is not None
        if before != after:
            while (at + MINUTE).astimezone(zone).utcoffset() == before:
                at += MINUTE
            found.append((at + MINUTE, after - before))
        at = following
    return found


@pytest.mark.parametrize("name", ZONES)
def test_every_change_of_the_clocks_moves_a_skipped_time_and_takes_a_double_time_once(
    name: str,
) -> None:
    zone = ZoneInfo(name)
    found = changes(zone)
    assert found or name == "Asia/Kolkata"
    for moment, jump in found:
        # What the clock showed at the change, and a wall time in the middle of what follows.
        shown = (moment - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
        within = shown + jump / 2
        planned = recurrence.moment_of(within, zone)
        if jump > timedelta():
            assert planned.is_moved
            assert planned.at.astimezone(zone).replace(tzinfo=None) == within + jump
        else:
            assert planned.is_twice
            assert planned.at < moment
        day = within.date()
        daily = rule(zone=name, starts_on=day - timedelta(3), at=within.time())
        around = recurrence.between(
            daily, moment - timedelta(days=2, hours=12), moment + timedelta(days=2, hours=12)
        )
        walls = [each.wall.date() for each in around]
        assert len(walls) == len(set(walls)), "once a day, whatever the clocks do"
        assert [each for each in around if each.wall == within] == [planned]


@pytest.mark.parametrize("name", ZONES)
def test_ten_years_of_a_daily_series_show_the_same_time_every_day(name: str) -> None:
    zone = ZoneInfo(name)
    daily = rule(zone=name, starts_on=date(2026, 1, 1), at=time(9, 30))
    found = recurrence.between(
        daily, datetime(2025, 12, 1, tzinfo=UTC), datetime(2035, 12, 31, 23, 59, tzinfo=zone)
    )
    assert len(found) == (date(2036, 1, 1) - date(2026, 1, 1)).days
    for number, each in enumerate(found):
        assert each.at.astimezone(zone).replace(tzinfo=None) == each.wall
        assert each.wall.time() == time(9, 30)
        assert each.wall.date() == date(2026, 1, 1) + timedelta(days=number)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("at", [time(0, 30), time(1, 45), time(2, 15), time(2, 45), time(3)])
def test_a_series_at_night_comes_on_every_day_of_five_years_once(name: str, at: time) -> None:
    found = recurrence.between(rule(zone=name, at=at), *FIVE_YEARS)
    days = [each.wall.date() for each in found]
    assert days == sorted(set(days))
    assert len(days) >= 5 * 365
    assert [each.at for each in found] == sorted({each.at for each in found})


def test_asking_in_pieces_gives_the_same_as_asking_at_once() -> None:
    often = rule("crontab", "America/Santiago", crontab="*/30 * * * *")
    whole = recurrence.between(often, *FIVE_YEARS)
    pieces, since = [], FIVE_YEARS[0]
    while since < FIVE_YEARS[1]:
        until = min(since + timedelta(days=101, hours=7, minutes=13), FIVE_YEARS[1])
        pieces += recurrence.between(often, since, until)
        since = until
    assert pieces == whole
    assert len({each.at for each in whole}) == len(whole)


def test_the_day_that_samoa_skipped_shares_the_post_of_the_day_after() -> None:
    apia = ZoneInfo("Pacific/Apia")
    window = datetime(2011, 12, 28, tzinfo=apia), datetime(2012, 1, 2, tzinfo=apia)
    daily = recurrence.between(rule(zone="Pacific/Apia", starts_on=date(2011, 12, 1)), *window)
    assert [each.wall.date().isoformat() for each in daily] == [
        "2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01",
    ]  # fmt: skip
    fridays = rule("weekly", "Pacific/Apia", starts_on=date(2011, 12, 1), weekdays=("fri",))
    [friday] = recurrence.between(fridays, *window)
    assert friday.is_moved
    assert friday.wall.date() == date(2011, 12, 30)
    assert friday.at.astimezone(apia).date() == date(2011, 12, 31)


def test_a_moved_time_that_the_rule_has_anyway_is_one() -> None:
    half_hours = rule("crontab", "Europe/Berlin", crontab="*/30 1-4 * * *")
    night = recurrence.between(
        half_hours, datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC)
    )
    shown = [each.at.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") for each in night]
    assert shown == ["01:00", "01:30", "03:00", "03:30", "04:00", "04:30"]
    assert not any(each.is_moved for each in night)


DATES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"kind": "daily", "every": 3},
        ["2026-01-01", "2026-01-04", "2026-01-07"],
    ),
    (
        {"kind": "weekdays", "starts_on": date(2026, 1, 2)},
        ["2026-01-02", "2026-01-05", "2026-01-06"],
    ),
    (
        {"kind": "weekly", "every": 2, "weekdays": ("thu", "mon")},
        ["2026-01-01", "2026-01-12", "2026-01-15", "2026-01-26"],
    ),
    (
        {"kind": "monthly_day", "month_day": 31},
        ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"],
    ),
    (
        {"kind": "monthly_day", "month_day": 29, "starts_on": date(2028, 2, 1)},
        ["2028-02-29", "2028-03-29"],
    ),
    (
        {"kind": "monthly_day", "month_day": 15, "every": 2},
        ["2026-01-15", "2026-03-15"],
    ),
    (
        {"kind": "monthly_weekday", "nth": 2, "weekdays": ("tue",)},
        ["2026-01-13", "2026-02-10"],
    ),
    (
        {"kind": "monthly_weekday", "nth": -1, "weekdays": ("fri",)},
        ["2026-01-30", "2026-02-27", "2026-03-27"],
    ),
    (
        {"kind": "crontab", "crontab": "0 9 1,15 * *"},
        ["2026-01-01", "2026-01-15", "2026-02-01"],
    ),
]


@pytest.mark.parametrize(("given_rule", "dates"), DATES)
def test_each_kind_of_repetition(given_rule: dict[str, Any], dates: list[str]) -> None:
    found = recurrence.upcoming(rule(**given_rule), FIVE_YEARS[0], len(dates))
    assert [each.wall.date().isoformat() for each in found] == dates


def test_an_end_by_date_and_an_end_by_count() -> None:
    by_date = recurrence.between(rule(ends_on=date(2026, 1, 3)), *FIVE_YEARS)
    by_count = recurrence.between(rule(count=3), *FIVE_YEARS)
    assert by_date == by_count
    assert len(by_date) == 3
    later = recurrence.between(rule(count=3), datetime(2026, 1, 3, tzinfo=UTC), FIVE_YEARS[1])
    assert later == by_count[2:], "a count counts from the start, not from where one asks"


IMPOSSIBLE: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"kind": "hourly"}, ("kind", "unknown")),
    ({"every": 0}, ("every", "out_of_range")),
    ({"starts_on": date(1, 1, 1)}, ("starts_on", "out_of_range")),
    ({"kind": "weekly"}, ("weekdays", "required")),
    ({"kind": "weekly", "weekdays": ("someday",)}, ("weekdays", "unknown")),
    ({"kind": "monthly_weekday", "weekdays": ("fri",), "nth": 5}, ("nth", "required")),
    ({"kind": "monthly_weekday", "weekdays": (), "nth": 1}, ("weekdays", "required")),
    ({"kind": "monthly_day"}, ("month_day", "required")),
    ({"kind": "monthly_day", "month_day": 32}, ("month_day", "required")),
    ({"kind": "crontab", "crontab": "* * *"}, ("crontab", "invalid")),
    ({"kind": "crontab", "crontab": "0 9 31 2 *"}, ("crontab", "invalid")),
    ({"kind": "crontab", "crontab": "*/0 9 * * *"}, ("crontab", "invalid")),
    ({"kind": "crontab", "crontab": "* * * * *"}, ("crontab", "too_often")),
    ({"count": 0}, ("count", "out_of_range")),
    ({"count": 3, "ends_on": date(2026, 2, 1)}, ("count", "two_ends")),
    ({"ends_on": date(2025, 12, 31)}, ("ends_on", "before_start")),
]


@pytest.mark.parametrize(("given_rule", "problem"), IMPOSSIBLE)
def test_an_impossible_rule_names_what_is_wrong(
    given_rule: dict[str, Any], problem: tuple[str, str]
) -> None:
    assert problem in [(place, code) for place, code, _ in recurrence.problems_of(
        rule(**given_rule)
    )]  # fmt: skip


@given(text=st.text(alphabet="0123456789*/-,LW# aeiou", max_size=30))
def test_any_text_is_a_crontab_or_refused_in_words(text: str) -> None:
    try:
        recurrence.parsed(text)
    except ValueError as error:
        assert str(error)


def test_rules_are_said_in_words() -> None:
    said = recurrence.describe
    assert said(rule()) == "Every day at 09:00, Europe/Lisbon"
    assert said(rule("weekly", every=2, weekdays=("fri", "mon"), count=4)) == (
        "Every 2 weeks on Monday and Friday at 09:00, Europe/Lisbon, 4 times"
    )
    assert said(rule("monthly_weekday", nth=-1, weekdays=("fri",), ends_on=date(2027, 1, 1))) == (
        "The last Friday of every month at 09:00, Europe/Lisbon, until 2027-01-01"
    )
    assert said(rule("monthly_day", month_day=31)) == (
        "Day 31 of every month (its last day where it is shorter) at 09:00, Europe/Lisbon"
    )
    assert said(rule("weekdays")) == "Every weekday at 09:00, Europe/Lisbon"
    assert said(rule("crontab", crontab="0 9 * * 1")) == "By the crontab 0 9 * * 1, Europe/Lisbon"
