"""Webhooks out, as verbs: add, change, test, send again."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from apps.core import audit, http
from apps.core.errors import Refused, WrongState
from apps.core.fields import Sealed
from apps.core.models import User
from apps.scheduling import tasks
from apps.scheduling.models import WebhookEndpoint, WebhookMessage


def new_secret() -> str:
    """A fresh signing key, as Standard Webhooks spells it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def check(given: Mapping[str, Any]) -> None:
    """Raise Refused for an address that would travel in the clear, or events that there are not."""
    url = given.get("url", "")
    parts = urlsplit(url)
    if (
        url
        and parts.scheme != "https"
        and not http.is_named(parts.hostname or "", parts.port or 80)
    ):
        words = "Use https, or name the private host in GATOR_ALLOWED_PRIVATE_HOSTS."
        raise Refused(("url", "insecure_address", words))
    if unknown := set(given.get("events", ())) - set(WebhookEndpoint.Event.values):
        known = ", ".join(WebhookEndpoint.Event.values)
        words = f"{', '.join(sorted(unknown))} is none of the events: {known}."
        raise Refused(("events", "unknown", words))


def add_endpoint(*, by: User | None, **given: Any) -> tuple[WebhookEndpoint, str]:
    """A new endpoint, and its secret, which is never shown again."""
    check(given)
    secret = new_secret()
    with transaction.atomic():
        row = WebhookEndpoint(**given)
        row.secret = Sealed.of({"secret": secret})
        row.save()
        audit.record(actor=by, action="add webhook", about=row)
    return row, secret


def change_endpoint(
    row: WebhookEndpoint, *, changes: Mapping[str, Any], by: User | None
) -> WebhookEndpoint:
    """Change an endpoint; switching it on again forgets why it was switched off."""
    check(changes)
    more: dict[str, Any] = {}
    if changes.get("is_active") and not row.is_active:
        more = {"failing_since": None, "disabled_at": None, "disabled_why": ""}
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=row.pk).update(**changes, **more)
        audit.record(actor=by, action="change webhook", about=row, fields=sorted(changes))
    row.refresh_from_db()
    return row


def renew_secret(row: WebhookEndpoint, *, by: User | None) -> str:
    """A new secret in place of the old one, which stops working at once."""
    secret = new_secret()
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=row.pk).update(secret=Sealed.of({"secret": secret}))
        audit.record(actor=by, action="renew webhook secret", about=row)
    return secret


def replay(message: WebhookMessage, *, by: User | None) -> WebhookMessage:
    """Send a message again under its own id; raises WrongState while it still waits."""
    with transaction.atomic():
        rows = WebhookMessage.objects.filter(pk=message.pk).exclude(
            state=WebhookMessage.State.WAITING
        )
        if not rows.update(
            state=WebhookMessage.State.WAITING, due_at=timezone.now(), tries=0, delivered_at=None
        ):
            raise WrongState("It waits to be sent as it is.")
        audit.record(actor=by, action="replay webhook", about=message)
        transaction.on_commit(tasks.wake_webhooks, robust=True)
    message.refresh_from_db()
    return message


def send_test(row: WebhookEndpoint, *, by: User | None) -> WebhookMessage:
    """Send a message that says only that it is a test."""
    if not row.is_active:
        raise WrongState("It is switched off.")
    with transaction.atomic():
        body = {
            "type": "test",
            "timestamp": timezone.now().isoformat(timespec="milliseconds"),
            "data": {"webhook": row.name},
        }
        message = WebhookMessage.objects.create(
            endpoint=row, event="test", delivery=uuid4(), body=body
        )
        audit.record(actor=by, action="test webhook", about=row)
        transaction.on_commit(tasks.wake_webhooks, robust=True)
    return message
