"""Series become posts: each coming time is prepared ahead, once, as an ordinary post."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.db import transaction
from django.utils import timezone

from apps.core import alerts
from apps.scheduling import drafting, recurrence
from apps.scheduling.models import Delivery, Occurrence, Post, Series
from apps.scheduling.recurrence import Moment, Rule

log = structlog.get_logger(__name__)

# How far ahead posts are prepared, and how far that may shrink before they are prepared again.
AHEAD = timedelta(days=35)
SLACK = timedelta(days=1)
# At most so many posts of one series in one transaction; the next run goes on.
MOST_AT_ONCE = 200


def rule_of(series: Series) -> Rule:
    """The rule that a series is stored with; a crontab's zone is that of its schedule."""
    cron = series.crontab
    zone = str(cron.timezone) if cron else series.zone
    return Rule(
        kind=series.kind,
        zone=ZoneInfo(zone),
        starts_on=series.starts_on,
        at=series.at or time(),
        every=series.every,
        weekdays=tuple(series.weekdays),
        month_day=series.month_day,
        nth=series.nth,
        crontab=(
            f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}"
            if cron
            else ""
        ),
        ends_on=series.ends_on,
        count=series.count,
    )


def draft_of(series: Series, *, at: datetime) -> drafting.Draft:
    """The post that this series makes for one moment."""
    parts = drafting.parts_of(series.parts, series.seriesmedia_set.select_related("media"))
    return drafting.Draft(
        persona=series.persona,
        accounts=list(series.accounts.select_related("persona").order_by("network", "handle")),
        scheduled_at=at,
        text=series.text,
        link=series.link,
        hashtags=series.hashtags,
        media=parts[0].media,
        parts=parts[1:],
        overrides=series.overrides,
        too_late_after=series.too_late_after,
    )


def due(now: datetime) -> list[UUID]:
    """The series whose coming posts have to be prepared."""
    short = Series.objects.filter(is_paused=False, prepared_until__lt=now + AHEAD - SLACK)
    return list(short.order_by("prepared_until").values_list("pk", flat=True))


def prepare(series_id: UUID) -> int:
    """Prepare the coming posts of one series; returns how many are new.

    Two workers at once: the row is locked, and the key of an occurrence refuses a second one.
    """
    now = timezone.now()
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=series_id)
        if series.is_paused:
            return 0
        moments = recurrence.between(rule_of(series), series.prepared_until, now + AHEAD)
        passed = [each for each in moments if each.at < now]
        coming = [each for each in moments if each.at >= now]
        series.prepared_until = now + AHEAD
        if len(coming) > MOST_AT_ONCE:
            series.prepared_until = coming[MOST_AT_ONCE].at
            del coming[MOST_AT_ONCE:]
        problems = ""
        if coming:
            draft = draft_of(series, at=coming[0].at)
            problems = " ".join(words for _, _, words in drafting.problems_of(draft))
        if problems:
            # Tried again with every run, until somebody has dealt with it.
            Series.objects.filter(pk=series.pk).update(problem=problems)
            made = 0
        else:
            made = len(store(series, coming))
            series.problem = ""
            series.save(update_fields=["prepared_until", "problem"])
            _keep_missed(series, passed)
    _tell_people(series, problems, len(passed) if not problems else 0)
    return made


def store(series: Series, moments: Iterable[Moment]) -> list[Occurrence]:
    """Make the posts for these moments, except where the series has its occurrence already."""
    wanted = _without_known(series, moments)
    made = []
    for moment in wanted:
        draft = draft_of(series, at=moment.at)
        post, _ = drafting.store(draft, by=series.created_by, ask=False)
        made.append(_occurrence(series, moment, state=Occurrence.State.PREPARED, post=post))
    if made and series.persona.needs_approval:
        alerts.alert(
            key=f"approval:series:{series.pk}",
            title=f"For approval: {len(made)} posts of a series",
            body=f"{series} has prepared its coming posts; each waits until it is approved.",
            path="/admin/scheduling/post/?approval__exact=in_review",
            level="info",
        )
    return Occurrence.objects.bulk_create(made)


def _keep_missed(series: Series, moments: Iterable[Moment]) -> None:
    Occurrence.objects.bulk_create(
        _occurrence(series, moment, state=Occurrence.State.MISSED)
        for moment in _without_known(series, moments)
    )


def _without_known(series: Series, moments: Iterable[Moment]) -> list[Moment]:
    moments = list(moments)
    if not moments:
        return []
    first = min(moment.wall for moment in moments).date()
    known = set(
        series.occurrences.filter(local_date__gte=first).values_list("local_date", "local_time")
    )
    return [each for each in moments if (each.wall.date(), each.wall.time()) not in known]


def _occurrence(
    series: Series, moment: Moment, *, state: str, post: Post | None = None
) -> Occurrence:
    return Occurrence(
        series=series,
        local_date=moment.wall.date(),
        local_time=moment.wall.time(),
        at=moment.at,
        is_moved=moment.is_moved,
        state=state,
        post=post,
    )


def withdraw(series: Series, *, since: datetime) -> int:
    """Take back what is prepared from `since` on and nobody has touched; returns how many posts.

    What a person edited, skipped or cancelled stays, and so does whatever is out or on its way.
    The caller holds a transaction.
    """
    ours = Delivery.objects.filter(
        post__occurrence__series=series,
        post__occurrence__at__gte=since,
        post__occurrence__is_edited=False,
    )
    rows = list(
        ours.select_for_update(of=("self",)).values_list("post", "state", "maybe_sent", "claim")
    )
    open_states = (Delivery.State.SCHEDULED, Delivery.State.HELD)
    busy = {pk for pk, state, maybe, claim in rows if maybe or claim or state not in open_states}
    taken = {pk for pk, *_ in rows} - busy
    Occurrence.objects.filter(post__in=taken).delete()
    Post.objects.filter(pk__in=taken).delete()
    return len(taken)


def follow_rule(series: Series, *, since: datetime) -> None:
    """Give what stayed from `since` on the times of the series' rule, so that no day doubles."""
    rule = rule_of(series)
    for row in series.occurrences.filter(at__gte=since):
        start = datetime.combine(row.local_date, time(), tzinfo=rule.zone)
        walls = [
            moment.wall.time()
            for moment in recurrence.between(rule, start - timedelta(1), start + timedelta(2))
            if moment.wall.date() == row.local_date
        ]
        if not walls or row.local_time in walls:
            continue
        others = series.occurrences.filter(local_date=row.local_date, local_time=walls[0])
        if not others.exists():
            Occurrence.objects.filter(pk=row.pk).update(local_time=walls[0])


def _tell_people(series: Series, problems: str, missed: int) -> None:
    path = f"/admin/scheduling/series/{series.pk}/change/"
    if problems:
        log.warning("series not prepared", series=str(series.pk))
        alerts.alert(
            key=f"series:{series.pk}",
            title=f"No posts are prepared for the series “{series}”",
            body=problems,
            path=path,
        )
    if missed:
        alerts.alert(
            key=f"series-missed:{series.pk}",
            title=f"{missed} posts of the series “{series}” were missed",
            body="Their times passed before anything could prepare them.",
            path=path,
        )
