"""When something repeats: wall clock times in a zone, and the moments they are. Pure arithmetic.

A rule gives wall times; each becomes one moment:

- a time that the clocks skip is moved forward by as much as they skip (02:30 becomes 03:30);
- a time that comes twice is taken once, the first time;
- where a moved time falls on a moment that the rule has anyway, there is one, not two. So a day
  that a zone skips as a whole (Samoa, 30 December 2011) shares the post of the day after it.

The n-th day of a month that is shorter is its last day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab
from dateutil import rrule

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
KINDS = ("daily", "weekdays", "weekly", "monthly_day", "monthly_weekday", "crontab")
# Zones never skip more than a day; walls this near may still fall into a window of moments.
NEAR = timedelta(days=2)
MOST_A_DAY = 48
MOST_TIMES = 5_000
LONGEST_STEP = 366


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How something repeats, in wall clock times of one zone."""

    kind: str
    zone: ZoneInfo
    starts_on: date
    at: time = time(9)
    # Days, weeks or months from one to the next, by kind.
    every: int = 1
    # weekly: on these; monthly_weekday: the `nth` of the first of these.
    weekdays: tuple[str, ...] = ()
    month_day: int | None = None
    nth: int | None = None
    # Five fields: minute, hour, day of the month, month, day of the week (0 is Sunday).
    crontab: str = ""
    # The last day it may fall on, and how many times it comes in all; at most one is given.
    ends_on: date | None = None
    count: int | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class Moment:
    """One time of a rule: when it is (UTC), and what the wall clock was to show (naive)."""

    at: datetime
    wall: datetime
    # The clocks skip this wall time; `at` is as much later as they skip.
    is_moved: bool = False
    # The clocks show this wall time twice; `at` is the first.
    is_twice: bool = False

    @property
    def local(self) -> str:
        """The wall time as people and the API write it: 2026-12-01T09:00."""
        return self.wall.strftime("%Y-%m-%dT%H:%M")


def moment_of(wall: datetime, zone: ZoneInfo) -> Moment:
    """The one moment at which a clock in `zone` shows `wall`, by the rules at the top."""
    first = wall.replace(tzinfo=zone, fold=0)
    at = first.astimezone(UTC)
    # fold=0 in a gap is counted with the offset from before it, which moves it forward.
    is_moved = at.astimezone(zone).replace(tzinfo=None) != wall
    is_twice = not is_moved and first.utcoffset() != first.replace(fold=1).utcoffset()
    return Moment(at=at, wall=wall, is_moved=is_moved, is_twice=is_twice)


def between(rule: Rule, since: datetime, until: datetime) -> list[Moment]:
    """The moments of `rule` from `since` (aware, included) to `until` (not included), in order."""
    earliest = since.astimezone(rule.zone).replace(tzinfo=None) - NEAR
    latest = until.astimezone(rule.zone).replace(tzinfo=None) + NEAR
    near = [moment_of(wall, rule.zone) for wall in _walls(rule, latest) if wall >= earliest]
    own = {moment.at for moment in near if not moment.is_moved}
    return sorted(
        moment
        for moment in near
        if since <= moment.at < until and not (moment.is_moved and moment.at in own)
    )


def upcoming(rule: Rule, since: datetime, most: int) -> list[Moment]:
    """The next `most` moments from `since` on; fewer where the rule ends or is very rare."""
    for days in (40, 400, 4_000):
        found = between(rule, since, since + timedelta(days=days))
        if len(found) >= most:
            break
    return found[:most]


def _walls(rule: Rule, latest: datetime) -> Iterator[datetime]:
    for number, wall in enumerate(_endless(rule, latest)):
        over = rule.ends_on is not None and wall.date() > rule.ends_on
        if over or wall > latest or (rule.count is not None and number >= rule.count):
            return
        yield wall


def _endless(rule: Rule, latest: datetime) -> Iterator[datetime]:
    if rule.kind == "crontab":
        return _crontab_walls(rule, latest)
    start = datetime.combine(rule.starts_on, rule.at)
    chosen = [getattr(rrule, name[:2].upper()) for name in rule.weekdays]
    match rule.kind:
        case "daily":
            found = rrule.rrule(rrule.DAILY, start, rule.every)
        case "weekdays":
            found = rrule.rrule(rrule.DAILY, start, byweekday=range(5))
        case "weekly":
            found = rrule.rrule(rrule.WEEKLY, start, rule.every, byweekday=chosen)
        case "monthly_day":
            day = rule.month_day or 1
            # Of the days that a month has up to this one, the last.
            days = list(range(28, day + 1)) or [day]
            found = rrule.rrule(rrule.MONTHLY, start, rule.every, bymonthday=days, bysetpos=-1)
        case "monthly_weekday":
            found = rrule.rrule(
                rrule.MONTHLY, start, rule.every, byweekday=chosen[0](rule.nth or 1)
            )
        case _:
            raise ValueError(f"{rule.kind!r} is no kind of repetition.")
    return iter(found)


def _crontab_walls(rule: Rule, latest: datetime) -> Iterator[datetime]:
    schedule = parsed(rule.crontab)
    times = [time(hour, minute) for hour in schedule.hour for minute in schedule.minute]
    times.sort()
    day = rule.starts_on
    while day <= latest.date():
        if (
            day.month in schedule.month_of_year
            and day.day in schedule.day_of_month
            and day.isoweekday() % 7 in schedule.day_of_week
        ):
            for each in times:
                yield datetime.combine(day, each)
        day += timedelta(days=1)


def parsed(text: str) -> Any:
    """The five fields of a crontab, read by Celery; raises ValueError in words for people."""
    fields = text.split()
    if len(fields) != 5:
        raise ValueError("A crontab has five fields: minute, hour, day, month, weekday.")
    minute, hour, day, month, weekday = fields
    try:
        return crontab(
            minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday
        )
    except (ParseException, ValueError, IndexError, KeyError, ZeroDivisionError) as error:
        raise ValueError(f"This is no crontab: {error}") from None


def problems_of(rule: Rule) -> list[tuple[str, str, str]]:
    """What is wrong with a rule, as (field, code, message); empty when it can be followed."""
    problems = []
    if rule.kind not in KINDS:
        return [("kind", "unknown", f"One of {', '.join(KINDS)}.")]
    if not 1970 <= rule.starts_on.year <= 2200:
        problems.append(("starts_on", "out_of_range", "Between 1970 and 2200."))
    if not 1 <= rule.every <= LONGEST_STEP:
        problems.append(("every", "out_of_range", f"From 1 to {LONGEST_STEP}."))
    if set(rule.weekdays) - set(WEEKDAYS):
        problems.append(("weekdays", "unknown", f"Weekdays are {', '.join(WEEKDAYS)}."))
    elif rule.kind == "weekly" and not rule.weekdays:
        problems.append(("weekdays", "required", "Choose at least one weekday."))
    elif rule.kind == "monthly_weekday" and len(rule.weekdays) != 1:
        problems.append(("weekdays", "required", "Choose one weekday."))
    if rule.kind == "monthly_weekday" and rule.nth not in ORDINALS:
        problems.append(("nth", "required", "The 1st, 2nd, 3rd, 4th or the last (-1)."))
    if rule.kind == "monthly_day" and not 1 <= (rule.month_day or 0) <= 31:
        problems.append(("month_day", "required", "A day of the month, from 1 to 31."))
    if rule.kind == "crontab":
        problems += _crontab_problems(rule.crontab)
    if rule.ends_on is not None and rule.count is not None:
        problems.append(("count", "two_ends", "Let it end by date or by count, not both."))
    if rule.ends_on is not None and rule.ends_on < rule.starts_on:
        problems.append(("ends_on", "before_start", "It ends before it starts."))
    if rule.count is not None and not 1 <= rule.count <= MOST_TIMES:
        problems.append(("count", "out_of_range", f"From 1 to {MOST_TIMES:,}."))
    return problems


def _crontab_problems(text: str) -> list[tuple[str, str, str]]:
    try:
        schedule = parsed(text)
    except ValueError as error:
        return [("crontab", "invalid", str(error))]
    if len(schedule.hour) * len(schedule.minute) > MOST_A_DAY:
        return [("crontab", "too_often", f"At most {MOST_A_DAY} times a day.")]
    return []


def describe(rule: Rule) -> str:
    """The rule in words, as "The last Friday of every month at 09:00, Europe/Lisbon"."""
    names = [NAMES[WEEKDAYS.index(each)] for each in WEEKDAYS if each in rule.weekdays]
    step = "every" if rule.every == 1 else f"every {rule.every}"
    match rule.kind:
        case "daily":
            what = "Every day" if rule.every == 1 else f"Every {rule.every} days"
        case "weekdays":
            what = "Every weekday"
        case "weekly":
            week = "week" if rule.every == 1 else "weeks"
            what = f"{step.capitalize()} {week} on {_listed(names)}"
        case "monthly_day":
            month = "month" if rule.every == 1 else "months"
            what = f"Day {rule.month_day} of {step} {month}"
            if (rule.month_day or 1) > 28:
                what += " (its last day where it is shorter)"
        case "monthly_weekday":
            month = "month" if rule.every == 1 else "months"
            what = f"The {ORDINALS[rule.nth or 1]} {_listed(names)} of {step} {month}"
        case _:
            what = f"By the crontab {rule.crontab}"
    if rule.kind != "crontab":
        what += f" at {rule.at:%H:%M}"
    if rule.count is not None:
        ending = f", {rule.count} times" if rule.count > 1 else ", once"
    else:
        ending = f", until {rule.ends_on}" if rule.ends_on else ""
    return f"{what}, {rule.zone.key}{ending}"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
