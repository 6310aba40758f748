"""What may be deleted, by calendars of every kind and clocks of every mood."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.backups import index, retention
from apps.backups.errors import BackupError
from apps.backups.models import BackupRun
from apps.backups.retention import NEVER_FEWER_THAN, Rules, doomed
from tests.backups.conftest import Home

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
ONLY_DAYS = Rules(days=30, daily=0, weekly=0, monthly=0)
DAY = timedelta(days=1)


def daily(count: int, *, end: datetime = NOW) -> list[datetime]:
    return [end - number * DAY for number in range(count)]


def test_thirty_days_are_kept() -> None:
    moments = daily(40)
    assert doomed(moments, ONLY_DAYS, now=NOW) == sorted(moments[31:])


def test_the_newest_three_stay_however_old() -> None:
    moments = daily(3, end=NOW - 900 * DAY)
    assert doomed(moments, ONLY_DAYS, now=NOW) == []


@pytest.mark.parametrize("jump", [365, -365, 10_000])
def test_a_clock_that_jumps_deletes_nothing(jump: int) -> None:
    moments = daily(20)
    wrong = NOW + jump * DAY
    assert doomed([*moments, wrong], ONLY_DAYS, now=wrong) == []
    # And once it is right again, what is dated in the future neither counts nor goes.
    assert doomed([*moments, wrong], ONLY_DAYS, now=NOW + DAY) == []


def test_a_month_of_sleep_deletes_nothing() -> None:
    assert doomed([*daily(10, end=NOW - 60 * DAY), NOW], ONLY_DAYS, now=NOW) == []


def test_the_last_of_each_month_stays() -> None:
    rules = Rules(days=1, daily=0, weekly=0, monthly=3)
    moments = daily(150)
    kept = set(moments) - set(doomed(moments, rules, now=NOW))
    assert {datetime(2026, 5, 31, 12, tzinfo=UTC), datetime(2026, 4, 30, 12, tzinfo=UTC)} <= kept
    assert len(kept) <= NEVER_FEWER_THAN + 3


@given(
    gaps=st.lists(st.integers(60, 10**8), max_size=60),
    days=st.integers(1, 400),
    skew=st.integers(-(10**9), 10**9),
)
def test_whatever_the_clock_says(gaps: list[int], days: int, skew: int) -> None:
    moments, moment = [], datetime(2024, 1, 1, tzinfo=UTC)
    for gap in gaps:
        moment += timedelta(seconds=gap)
        moments.append(moment)
    now = moment + timedelta(seconds=skew)
    gone = doomed(moments, Rules(days=days), now=now)
    assert set(gone) <= set(moments)
    past = [each for each in moments if each <= now + DAY]
    assert len(past) - len(gone) >= min(NEVER_FEWER_THAN, len(past))
    assert not set(gone) & set(sorted(past)[-NEVER_FEWER_THAN:])
    assert all(now - each > timedelta(days=days) for each in gone)


def _aged(home: Home, count: int) -> list[str]:
    """Backups that were made a day apart, the newest now, every one read."""
    made = home.back_up(what="content").id
    files = {path.name: path.read_bytes() for path in (home.backups / made).iterdir()}
    home.shelf().delete(made)
    names = []
    for number in range(count):
        name = f"backup_{timezone.now() - number * DAY:%Y%m%d_%H%M%S}"
        (home.backups / name).mkdir()
        for file, content in files.items():
            (home.backups / name / file).write_bytes(content)
        names.append(name)
    now = timezone.now()
    for number, name in enumerate(names):
        BackupRun.objects.create(
            name=name,
            state="done",
            verified_at=now,
            started_at=now - number * DAY,
            finished_at=now - number * DAY,
        )
    return names


def test_pruning_deletes_what_no_rule_keeps(home: Home) -> None:
    names = _aged(home, 35)
    expected = sorted(names[31:])
    assert retention.prune("backups", rules=ONLY_DAYS, dry_run=True) == expected
    assert len(home.shelf().names()) == 35
    assert retention.prune("backups", rules=ONLY_DAYS) == expected
    assert len(home.shelf().names()) == 31
    assert BackupRun.objects.filter(state="deleted").count() == 4


def test_what_was_never_read_or_is_bad_is_not_counted_and_not_touched(home: Home) -> None:
    names = _aged(home, 35)
    BackupRun.objects.filter(name=names[34]).update(verified_at=None)
    BackupRun.objects.filter(name=names[33]).update(problem="flipped")
    gone = retention.prune("backups", rules=ONLY_DAYS)
    assert names[34] not in gone and names[33] not in gone
    assert names[33] in home.shelf().names()


def test_after_a_failure_nothing_is_deleted(home: Home) -> None:
    _aged(home, 35)
    BackupRun.objects.create(
        state="failed", started_at=timezone.now() + DAY, finished_at=timezone.now()
    )
    with pytest.raises(BackupError, match="failed"):
        retention.prune("backups", rules=ONLY_DAYS)
    assert len(home.shelf().names()) == 35


def test_the_table_follows_the_shelf(home: Home) -> None:
    made = home.back_up()
    assert index.sync() == 1
    run = BackupRun.objects.get(name=made.id)
    assert (run.state, run.size, run.verified_at) == ("done", made.stored_bytes, None)
    home.shelf().delete(made.id)
    index.sync()
    run.refresh_from_db()
    assert run.state == "deleted"


def test_a_run_whose_process_died_is_buried(home: Home) -> None:
    run = BackupRun.objects.create(state="running")
    assert index.bury_the_dead() == 1
    run.refresh_from_db()
    assert run.state == "failed" and run.finished_at is not None
