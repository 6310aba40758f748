"""Which backups may go: a pure decision, then the deleting.

A backup's age is not what the clock says. It is the time that backups themselves have bridged
since: gap by gap, none counted for more than twice the usual one. A clock that jumps a year makes
one large gap, and nothing is deleted for it; a studio that slept for a month keeps its past.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import structlog
from django.conf import settings
from django.utils import timezone

from apps.backups import manifest
from apps.backups.errors import BackupError
from apps.backups.models import BackupJob, BackupRun
from apps.backups.shelves import shelf_of

log = structlog.get_logger(__name__)

NEVER_FEWER_THAN = 3
# A backup dated later than this from now was made by a clock gone wrong, now or then.
FUTURE = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How long backups are kept: all for some days, then the last one of some periods."""

    days: int = 30
    daily: int = 7
    weekly: int = 4
    monthly: int = 6

    @classmethod
    def of(cls, job: BackupJob | None) -> "Rules":
        if job is None:
            return cls(days=settings.BACKUP_RETENTION_DAYS)
        return cls(
            days=job.keep_days,
            daily=job.keep_daily,
            weekly=job.keep_weekly,
            monthly=job.keep_monthly,
        )


def doomed(moments: Iterable[datetime], rules: Rules, *, now: datetime) -> list[datetime]:
    """Those of the verified backups that no rule keeps, oldest first."""
    present = sorted((each for each in moments if each <= now + FUTURE), reverse=True)
    kept = set(present[:NEVER_FEWER_THAN])
    limit = timedelta(days=rules.days)
    for moment, age in zip(present, _ages(present), strict=True):
        # Both clocks must agree that it is old.
        if min(age, now - moment) <= limit:
            kept.add(moment)
    periods: list[tuple[int, Callable[[datetime], tuple[int, ...]]]] = [
        (rules.daily, lambda each: (each.year, each.month, each.day)),
        (rules.weekly, lambda each: tuple(each.isocalendar())[:2]),
        (rules.monthly, lambda each: (each.year, each.month)),
    ]
    for count, period_of in periods:
        newest: dict[tuple[int, ...], datetime] = {}
        for moment in present:
            newest.setdefault(period_of(moment), moment)
        kept |= set(sorted(newest.values(), reverse=True)[:count])
    return sorted(set(present) - kept)


def _ages(present: list[datetime]) -> list[timedelta]:
    """For each, newest first, the time that the backups after it have bridged."""
    gaps = [later - earlier for later, earlier in zip(present, present[1:], strict=False)]
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps) if gaps else 0)
    # At least a day: backups made by hand in quick succession say nothing of the usual rhythm.
    most = max(2 * usual, timedelta(days=1))
    ages = [timedelta()]
    for gap in gaps:
        ages.append(ages[-1] + min(gap, most))
    return ages[: len(present)]


def prune(
    storage: str, *, rules: Rules, dry_run: bool = False, now: datetime | None = None
) -> list[str]:
    """Delete what the rules no longer keep; gives the names. Never right after a failure."""
    runs = BackupRun.objects.filter(storage=storage)
    last = runs.filter(finished_at__isnull=False).exclude(state="deleted").first()
    if last is not None and last.state == BackupRun.State.FAILED:
        raise BackupError("The last backup failed; until one succeeds, none is deleted.")
    shelf = shelf_of(storage)
    listed = set(shelf.names())
    by_moment = {
        manifest.moment_of(name): name
        for name in runs.verified().values_list("name", flat=True)
        if name in listed
    }
    names = [by_moment[each] for each in doomed(by_moment, rules, now=now or timezone.now())]
    if dry_run:
        return names
    for name in names:
        shelf.delete(name)
        runs.filter(name=name).update(state=BackupRun.State.DELETED)
        log.info("backup deleted by retention", backup=name, where=shelf.where)
    return names
