"""Looks for spikes of negative comments, tells people, and holds the persona where asked to."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.utils import timezone

from apps.core import alerts
from apps.personas import services as personas
from apps.personas.models import Persona
from apps.sentiment.figures import binomial_upper_tail
from apps.sentiment.models import Reading, Spike, Watch

USUAL = timedelta(days=28)
# How sure it must be that this is no chance.
P = 0.001
# The usual share of negative comments is never taken for less: few readings know little.
LEAST_USUAL = 0.05
WORST_CITED = 10
BAD = Q(label__in=["negative", "very_negative"])


def watch(personas_: Iterable[Persona] | None = None) -> list[Spike]:
    """Look at each active persona with its rule; returns the spikes that are new."""
    own = {rule.persona_id: rule for rule in Watch.objects.filter(is_active=True)}
    excused = set(Watch.objects.filter(is_active=False).values_list("persona_id", flat=True))
    found = []
    for persona in personas_ if personas_ is not None else Persona.objects.active():
        rule = own.get(persona.pk) or (own.get(None) if persona.pk not in excused else None)
        if rule is not None and (spike := _look(persona, rule, timezone.now())):
            found.append(spike)
    return found


def _look(persona: Persona, rule: Watch, now: datetime) -> Spike | None:
    since = now - timedelta(hours=rule.hours)
    # One spike is one alert: while the window still holds the last one, nothing is new.
    if Spike.objects.filter(persona=persona, found_at__gte=since).exists():
        return None
    # Copies and floods do not make a spike, nor does what no engine could tell.
    readings = Reading.objects.filter(
        persona=persona, source=Reading.Source.COMMENT, weight__gte=0.5, abstained=False
    )
    recent = readings.between(since, now)
    counts = recent.aggregate(count=Count("pk"), bad=Count("pk", filter=BAD))
    count, bad = counts["count"], counts["bad"]
    if count < rule.at_least or bad < rule.share * count:
        return None
    before = readings.between(since - USUAL, since).aggregate(
        count=Count("pk"), bad=Count("pk", filter=BAD)
    )
    # One pseudo-comment each way: an empty past is no proof of peace (Laplace).
    usual = max(LEAST_USUAL, (before["bad"] + 1) / (before["count"] + 2))
    p = binomial_upper_tail(count, bad, usual)
    if before["count"] and p > P:
        return None
    worst = recent.filter(BAD).order_by("score").values_list("comment", flat=True)[:WORST_CITED]
    spike = Spike.objects.create(
        persona=persona,
        since=since,
        count=count,
        negative=bad,
        usual_share=usual,
        p=p,
        comments=[str(pk) for pk in worst if pk],
        held=rule.holds,
    )
    title = f"{persona}: {bad} of {count} comments in {rule.hours} h are negative"
    if rule.holds:
        personas.hold(persona=persona, reason=f"Spike of negative comments: {title}"[:300], by=None)
    usually = (
        f"Usually {usual:.0%} are." if before["count"] else "There is nothing to compare with."
    )
    held = " The persona is held until somebody releases it." if rule.holds else ""
    alerts.alert(
        key=f"sentiment-spike:{persona.pk}",
        title=title,
        body=f"{usually}{held}",
        path=f"/admin/sentiment/spike/{spike.pk}/change/",
        level="critical" if rule.holds else "warning",
    )
    return spike
