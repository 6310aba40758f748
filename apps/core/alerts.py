"""Alerts: a row with a link, sent to people by mail, ntfy, Telegram or webhook; rate-limited."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import httpx
import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.core import http, webhooks
from apps.core.models import Alert

log = structlog.get_logger(__name__)

# The same thing again within this time adds to the alert there is instead of sending another.
QUIET = timedelta(hours=1)


def alert(*, key: str, title: str, body: str = "", path: str = "", level: str = "warning") -> None:
    """Tell people once an hour per `key`; `path` is the page of this studio that deals with it."""
    now = timezone.now()
    known = Alert.objects.filter(key=key, raised_at__gt=now - QUIET)
    if known.update(repeats=F("repeats") + 1):
        return
    row = Alert.objects.create(key=key, level=level, title=title[:200], body=body, path=path)
    transaction.on_commit(partial(_enqueue, str(row.pk)), robust=True)


def was_raised(key: str) -> bool:
    """Whether people were ever told of this, as far back as alerts are kept."""
    return Alert.objects.filter(key=key).exists()


def _enqueue(alert_id: str) -> None:
    # Named, not imported: tasks call this module, nothing looks back up.
    from celery import current_app

    try:
        # Nobody waits for the result; subscribing to it would retry a dead Redis for 20 s.
        current_app.send_task(
            "send_alert", args=[alert_id], queue="work", retry=False, ignore_result=True
        )
    except Exception as error:
        log.warning("alert waits for the next sweep", alert=alert_id, error=str(error))


def send(row: Alert, *, transport: httpx.BaseTransport | None = None) -> dict[str, str]:
    """Send by every channel that settings name; returns each failed channel with its reason."""
    failures = {}
    with http.client(transport=transport) as client:
        for name, (wanted, deliver) in _CHANNELS.items():
            if not wanted():
                continue
            try:
                deliver(row, client)
            except Exception as error:
                # The address may hold a token, so only the kind of failure is kept.
                failures[name] = type(error).__name__
                log.warning("alert not delivered", channel=name, error=type(error).__name__)
    return failures


def _link(row: Alert) -> str:
    return f"{settings.GATOR_PUBLIC_URL}{row.path}" if row.path else settings.GATOR_PUBLIC_URL


def _mail(row: Alert, client: httpx.Client) -> None:
    text = f"{row.body}\n\n{_link(row)}\n"
    title = " ".join(f"[Gator] {row.title}".split())
    send_mail(title, text, settings.DEFAULT_FROM_EMAIL, settings.ALERT_EMAILS)


def _ntfy(row: Alert, client: httpx.Client) -> None:
    # As JSON to the server itself: titles in headers would have to be ASCII.
    server, _, topic = settings.ALERT_NTFY_URL.rstrip("/").rpartition("/")
    message = {
        "topic": topic,
        "title": row.title,
        "message": row.body or row.title,
        "click": _link(row),
        "priority": 5 if row.level == Alert.Level.CRITICAL else 3,
    }
    client.post(server, json=message).raise_for_status()


def _telegram(row: Alert, client: httpx.Client) -> None:
    message = {
        "chat_id": settings.ALERT_TELEGRAM_CHAT,
        "text": f"{row.title}\n{row.body}\n{_link(row)}"[:4_000],
    }
    url = f"https://api.telegram.org/bot{settings.ALERT_TELEGRAM_TOKEN}/sendMessage"
    client.post(url, json=message).raise_for_status()


def _webhook(row: Alert, client: httpx.Client) -> None:
    body = json.dumps(
        {
            "type": "alert",
            "timestamp": row.raised_at.isoformat(),
            "data": {
                "id": str(row.pk),
                "level": row.level,
                "title": row.title,
                "body": row.body,
                "link": _link(row),
            },
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        **webhooks.signed_headers(
            secret=settings.ALERT_WEBHOOK_SECRET, message_id=str(row.pk), body=body
        ),
    }
    client.post(settings.ALERT_WEBHOOK_URL, content=body, headers=headers).raise_for_status()


_CHANNELS: dict[str, tuple[Callable[[], object], Callable[[Alert, httpx.Client], None]]] = {
    "mail": (lambda: settings.ALERT_EMAILS, _mail),
    "ntfy": (lambda: settings.ALERT_NTFY_URL, _ntfy),
    "telegram": (
        lambda: settings.ALERT_TELEGRAM_TOKEN and settings.ALERT_TELEGRAM_CHAT,
        _telegram,
    ),
    "webhook": (lambda: settings.ALERT_WEBHOOK_URL, _webhook),
}
