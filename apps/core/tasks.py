"""The floor's Celery tasks: alerts on their way, and the nightly cleanup of old rows."""

from datetime import timedelta

import structlog
from celery import shared_task
from django.contrib.sessions.models import Session
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from apps.core import alerts, statistics
from apps.core.models import Alert, EventHandling, Lease, ReplayableResponse

log = structlog.get_logger(__name__)

# An alert that could not be sent is tried again for a day; it stays in the admin in any case.
RESEND_WITHIN = timedelta(days=1)
KEPT = timedelta(days=90)
REPLAYS_KEPT = timedelta(days=1)


@shared_task(name="send_alert")
def send_alert(alert_id: str) -> None:
    """Send one alert by every channel."""
    row = Alert.objects.get(pk=alert_id)
    failures = alerts.send(row)
    Alert.objects.filter(pk=row.pk).update(
        failures=failures, sent_at=None if failures else timezone.now()
    )


@shared_task(name="resend_alerts")
def resend_alerts() -> None:
    """Try again what no channel or only some took."""
    now = timezone.now()
    # The youngest are left to the task that was queued with them.
    waiting = (now - RESEND_WITHIN, now - timedelta(minutes=5))
    young = Alert.objects.filter(sent_at=None, raised_at__range=waiting)
    for pk in young.values_list("pk", flat=True)[:100]:
        send_alert(str(pk))


@shared_task(name="cleanup_old_tasks", ignore_result=False)
def cleanup_old_tasks() -> dict[str, int]:
    """Delete rows that no longer serve anybody: answers kept for replay, expired sessions, tokens
    and leases, alerts and event journals older than 90 days. Posts and attempts are kept. Then the
    planner is told how the tables have grown."""
    now = timezone.now()
    old = {
        "api_replays": ReplayableResponse.objects.filter(started_at__lt=now - REPLAYS_KEPT),
        "sessions": Session.objects.filter(expire_date__lt=now),
        "tokens": OutstandingToken.objects.filter(expires_at__lt=now),
        "leases": Lease.objects.filter(expires_at__lt=now - timedelta(hours=1)),
        "alerts": Alert.objects.filter(raised_at__lt=now - KEPT),
        "event_journal": EventHandling.objects.filter(started_at__lt=now - KEPT),
    }
    counts = {name: rows.delete()[0] for name, rows in old.items()}
    statistics.refresh()
    log.info("cleaned up", **counts)
    return counts
