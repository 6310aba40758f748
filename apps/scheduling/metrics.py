"""Figures of deliveries for /metrics, read from rows."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from apps.scheduling.models import Attempt, Delivery

LOOK_BACK = timedelta(hours=1)
# Sweeps come every few seconds; later than this something is wrong.
OVERDUE_AFTER = timedelta(seconds=10)
MOST_ROWS = 10_000


def of_deliveries() -> Iterator[Metric]:
    """How many are in each state, how many are late, and how late the last hour's were."""
    states = GaugeMetricFamily("gator_deliveries", "Deliveries by state.", labels=["state"])
    counts = dict(Delivery.objects.order_by().values_list("state").annotate(Count("pk")))
    for state in Delivery.State.values:
        states.add_metric([state], counts.get(state, 0))
    yield states

    now = timezone.now()
    overdue = GaugeMetricFamily("gator_deliveries_overdue", "Free to go out, and still here.")
    late = Delivery.objects.claimable(now).filter(due_at__lt=now - OVERDUE_AFTER)
    overdue.add_metric([], late.count())
    yield overdue

    lateness = GaugeMetricFamily(
        "gator_delivery_lateness_seconds",
        "From a delivery's due time to the start of the attempt that published it, last hour.",
        labels=["quantile"],
    )
    seconds = _lateness(now - LOOK_BACK)
    for quantile in (0.5, 0.99) if seconds else ():
        lateness.add_metric([str(quantile)], seconds[int(quantile * (len(seconds) - 1))])
    yield lateness


def _lateness(since: object) -> list[float]:
    rows = Attempt.objects.filter(
        delivery__state=Delivery.State.PUBLISHED,
        delivery__changed_at__gte=since,
        outcome=Attempt.Outcome.PUBLISHED,
    ).values_list("started_at", "delivery__due_at")[:MOST_ROWS]
    return sorted((started - due).total_seconds() for started, due in rows)
