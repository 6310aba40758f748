"""Figures of backups for /metrics, and the alarm on absence from the web's side."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from apps.backups import running
from apps.backups.models import BackupRun


def of_backups() -> Iterator[Metric]:
    """How old the newest verified and the newest proven backup are, and how many are bad."""
    # Beat and the workers may be what died; whoever scrapes us is alive.
    running.alarm_if_absent()
    now = timezone.now()
    for name, about, rows in (
        ("verified", "read back whole", BackupRun.objects.verified()),
        ("proven", "restored by a drill", BackupRun.objects.verified().exclude(proven_at=None)),
    ):
        age = GaugeMetricFamily(
            f"gator_backup_{name}_age_seconds", f"Age of the newest backup that was {about}."
        )
        if (newest := rows.first()) is not None:
            age.add_metric([], (now - newest.started_at).total_seconds())
        yield age
    bad = GaugeMetricFamily("gator_backups_bad", "Backups that a later reading found damaged.")
    bad.add_metric([], BackupRun.objects.finished().exclude(problem="").count())
    yield bad
