"""What may be asked of series: make, change, change what follows, skip, pause, remove.

As in `services.py`: each verb checks, stores in one transaction, and raises Refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule

from apps.core import audit
from apps.core.errors import Refused, WrongState
from apps.core.models import User
from apps.scheduling import drafting, recurrence, repeating
from apps.scheduling.drafting import Draft
from apps.scheduling.models import Delivery, Occurrence, Post, Series, SeriesMedia
from apps.scheduling.recurrence import Moment, Rule


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A series as somebody wants it; the draft's own time means nothing."""

    name: str
    draft: Draft
    rule: Rule


def problems_of(plan: Plan) -> list[tuple[str, str, str]]:
    """Everything that keeps this series from being made; empty when it may be."""
    problems = [
        (f"rule.{field}", code, words) for field, code, words in recurrence.problems_of(plan.rule)
    ]
    if not plan.name.strip():
        problems.append(("name", "required", "Give it a name."))
    if problems:
        return problems
    coming = recurrence.upcoming(plan.rule, timezone.now(), 1)
    if not coming:
        return [("rule", "never", "This rule gives no time that is still to come.")]
    return drafting.problems_of(replace(plan.draft, scheduled_at=coming[0].at))


def create_series(plan: Plan, *, by: User | None) -> Series:
    """Store a series and prepare its coming posts."""
    _refuse(problems_of(plan))
    with transaction.atomic():
        series = _write(Series(created_by=by, persona=plan.draft.persona), plan)
        audit.record(actor=by, action="add series", about=series)
        repeating.prepare(series.pk)
    series.refresh_from_db()
    return series


def change_series(series: Series, plan: Plan, *, by: User | None) -> Series:
    """Change everything that is still to come, except what a person edited or skipped."""
    _refuse(problems_of(plan), _persona_problem(series, plan))
    now = timezone.now()
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series.pk)
        repeating.withdraw(series, since=now)
        series.prepared_until = now
        series = _write(series, plan)
        repeating.follow_rule(series, since=now)
        audit.record(actor=by, action="change series", about=series)
        repeating.prepare(series.pk)
    series.refresh_from_db()
    return series


def change_following(series: Series, plan: Plan, *, from_date: date, by: User | None) -> Series:
    """Change what comes from this day on: the series ends the day before, and a new one follows.

    Returns the series that is in force from then on. Where nothing comes before that day, it is
    the same one, changed. A count goes on: the new series has what the old one had left.
    """
    now = timezone.now()
    old = repeating.rule_of(series)
    start = datetime.combine(from_date, time(), tzinfo=old.zone)
    if from_date < now.astimezone(old.zone).date():
        raise Refused(("from_date", "in_the_past", "What has passed cannot be changed."))
    begin = datetime.combine(old.starts_on, time(), tzinfo=old.zone)
    before = [m for m in recurrence.between(old, begin, start) if m.wall.date() < from_date]
    if not before:
        return change_series(series, plan, by=by)
    rule = replace(plan.rule, starts_on=max(from_date, plan.rule.starts_on))
    if rule.count is not None and rule.count == old.count:
        rule = replace(rule, count=rule.count - len(before))
    plan = replace(plan, rule=rule)
    _refuse(problems_of(plan), _persona_problem(series, plan))
    since = max(now, start)
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series.pk)
        repeating.withdraw(series, since=since)
        series.ends_on, series.count = from_date - timedelta(days=1), None
        series.save(update_fields=["ends_on", "count"])
        new = _write(
            Series(
                created_by=by,
                persona=series.persona,
                follows=series,
                is_paused=series.is_paused,
                prepared_until=since,
            ),
            plan,
        )
        series.occurrences.filter(local_date__gte=from_date).update(series=new)
        repeating.follow_rule(new, since=since)
        audit.record(actor=by, action="change what follows", about=series, followed_by=str(new.pk))
        repeating.prepare(new.pk)
    new.refresh_from_db()
    return new


def skip(series: Series, *, local: datetime, by: User | None) -> Occurrence:
    """Leave out the time at which the wall clock shows `local` (naive); takes its post back."""
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series.pk)
        moment = _coming(series, local)
        row, _ = Occurrence.objects.select_related("post").get_or_create(
            series=series,
            local_date=local.date(),
            local_time=local.time(),
            defaults={"at": moment.at, "is_moved": moment.is_moved},
        )
        if row.post is not None:
            _take_back(row.post)
        row.state, row.post = Occurrence.State.SKIPPED, None
        row.save()
        audit.record(actor=by, action="skip", about=series, local=local.isoformat())
    return row


def unskip(series: Series, *, local: datetime, by: User | None) -> None:
    """Bring a skipped time back."""
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series.pk)
        moment = _coming(series, local)
        skipped = series.occurrences.filter(
            local_date=local.date(), local_time=local.time(), state=Occurrence.State.SKIPPED
        )
        if not skipped.delete()[0]:
            raise WrongState("This time is not skipped.")
        if moment.at < series.prepared_until and not series.is_paused:
            _refuse(drafting.problems_of(repeating.draft_of(series, at=moment.at)))
            repeating.store(series, [moment])
        audit.record(actor=by, action="bring back", about=series, local=local.isoformat())


def pause(series: Series, *, by: User | None) -> Series:
    """Prepare nothing more and take back what nobody has touched."""
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series.pk)
        if series.is_paused:
            raise WrongState("This series is paused already.")
        repeating.withdraw(series, since=timezone.now())
        series.is_paused = True
        series.save(update_fields=["is_paused"])
        audit.record(actor=by, action="pause series", about=series)
    return series


def resume(series: Series, *, by: User | None) -> Series:
    """Go on with the next time; what passed meanwhile is not caught up with."""
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series.pk)
        if not series.is_paused:
            raise WrongState("This series is not paused.")
        series.is_paused, series.prepared_until = False, timezone.now()
        series.save(update_fields=["is_paused", "prepared_until"])
        audit.record(actor=by, action="resume series", about=series)
        repeating.prepare(series.pk)
    series.refresh_from_db()
    return series


def remove(series: Series, *, by: User | None) -> None:
    """Delete a series and what nobody has touched of its coming posts; the others stay."""
    pk = series.pk
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=pk)
        repeating.withdraw(series, since=timezone.now())
        series.delete()
        series.pk = pk
        audit.record(actor=by, action="delete series", about=series)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One coming time of a series: its moment, and what has become of it so far."""

    moment: Moment
    # "planned" beyond what is prepared; else the occurrence's own.
    state: str
    post: Post | None
    is_edited: bool


def coming(series: Series, *, most: int) -> list[Shown]:
    """The next times of a series, prepared or not."""
    now = timezone.now()
    rows = {
        (row.local_date, row.local_time): row
        for row in series.occurrences.filter(at__gte=now).select_related("post")
    }
    shown = []
    for moment in recurrence.upcoming(repeating.rule_of(series), now, most):
        row = rows.get((moment.wall.date(), moment.wall.time()))
        shown.append(
            Shown(
                moment=moment,
                state=row.state if row else "planned",
                post=row.post if row else None,
                is_edited=row.is_edited if row else False,
            )
        )
    return shown


# -- Shared -------------------------------------------------------------------------------------


def _refuse(*lists: list[tuple[str, str, str]]) -> None:
    if problems := [problem for each in lists for problem in each]:
        raise Refused(*problems)


def _persona_problem(series: Series, plan: Plan) -> list[tuple[str, str, str]]:
    if plan.draft.persona.pk == series.persona_id:
        return []
    return [("persona", "fixed", "A series stays with its persona; make a new one.")]


def _write(series: Series, plan: Plan) -> Series:
    draft, rule = plan.draft, plan.rule
    values: Mapping[str, Any] = {
        "name": plan.name,
        "text": draft.text,
        "link": draft.link,
        "hashtags": [tag.removeprefix("#") for tag in draft.hashtags],
        "parts": [{"text": part.text} for part in draft.parts],
        "overrides": {pk: dict(override) for pk, override in draft.overrides.items()},
        "too_late_after": draft.too_late_after,
        "kind": rule.kind,
        "zone": rule.zone.key,
        "starts_on": rule.starts_on,
        "at": None if rule.kind == "crontab" else rule.at,
        "every": rule.every,
        "weekdays": list(rule.weekdays),
        "month_day": rule.month_day,
        "nth": rule.nth,
        "crontab": _crontab(rule) if rule.kind == "crontab" else None,
        "ends_on": rule.ends_on,
        "count": rule.count,
    }
    for name, value in values.items():
        setattr(series, name, value)
    series.save()
    series.accounts.set(draft.accounts)
    series.seriesmedia_set.all().delete()
    places = [(part, media) for part, each in enumerate(draft.all_media) for media in each]
    SeriesMedia.objects.bulk_create(
        SeriesMedia(series=series, media=media, part=part, position=position)
        for position, (part, media) in enumerate(places)
    )
    return series


def _crontab(rule: Rule) -> CrontabSchedule:
    minute, hour, day, month, weekday = rule.crontab.split()
    found = CrontabSchedule.objects.filter(
        minute=minute,
        hour=hour,
        day_of_month=day,
        month_of_year=month,
        day_of_week=weekday,
        timezone=rule.zone,
    ).first()
    return found or CrontabSchedule.objects.create(
        minute=minute,
        hour=hour,
        day_of_month=day,
        month_of_year=month,
        day_of_week=weekday,
        timezone=rule.zone,
    )


def _coming(series: Series, local: datetime) -> Moment:
    """The moment of this wall time, if the series has it and it has not passed."""
    rule = repeating.rule_of(series)
    moment = recurrence.moment_of(local, rule.zone)
    window = recurrence.between(rule, moment.at, moment.at + timedelta(microseconds=1))
    if local not in [each.wall for each in window]:
        raise Refused(("local", "unknown", f"This series has no time {local:%Y-%m-%d %H:%M}."))
    if moment.at <= timezone.now():
        raise WrongState("This time has passed.")
    return moment


def _take_back(post: Post) -> None:
    rows = list(post.deliveries.select_for_update())
    gone = (Delivery.State.SCHEDULED, Delivery.State.HELD, Delivery.State.CANCELLED)
    if any(row.state not in gone or row.maybe_sent for row in rows):
        raise WrongState("Part of this post is out or on its way.")
    post.delete()
