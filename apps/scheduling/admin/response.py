"""How a post did, as its pages show it: the latest numbers, and how they came about."""

from collections.abc import Iterable
from typing import Any

from apps.core.shown import when
from apps.scheduling.admin.shown import network_label
from apps.scheduling.models import Delivery, Measurement

WIDTH, HEIGHT = 240, 44


def of(deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
    """What was measured of these deliveries; nothing for those that nobody has looked at yet."""
    rows: dict[Any, list[Measurement]] = {}
    chosen = {each.pk: each for each in deliveries}
    for row in Measurement.objects.filter(delivery__in=chosen).order_by("at"):
        rows.setdefault(row.delivery_id, []).append(row)
    return [_shown(chosen[pk], looks) for pk, looks in rows.items()]


def _shown(delivery: Delivery, looks: list[Measurement]) -> dict[str, Any]:
    latest = looks[-1]
    return {
        "account": f"{delivery.account.handle} · {network_label(delivery.account.network)}",
        "latest": latest,
        "line": _line(delivery, looks),
        "looks": [(when(each.at), each) for each in reversed(looks)],
        "width": WIDTH,
        "height": HEIGHT,
    }


def _line(delivery: Delivery, looks: list[Measurement]) -> str:
    """The sum of its numbers since it went out, as points of an SVG polyline; empty for none."""
    sums = [each.likes + each.comments + each.shares for each in looks]
    start = delivery.published_at or looks[0].at
    span = (looks[-1].at - start).total_seconds()
    if span <= 0 or not max(sums):
        return ""
    points = [(0.0, float(HEIGHT - 2))]
    for each, total in zip(looks, sums, strict=True):
        along = (each.at - start).total_seconds() / span
        points.append((along * WIDTH, (HEIGHT - 2) - (HEIGHT - 4) * total / max(sums)))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
