"""Tells webhooks what became of deliveries: a row with the event, the network afterwards.

The row is written in the transaction that changes the delivery, so no event is lost and none is
told that did not happen. Sending is another worker's work and never delays a post. A receiver may
get a message twice (its answer was lost); `webhook-id` stays the same.
Source: the Standard Webhooks specification 1.0 (retries, disabling, 410).
"""

import json
import random
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import structlog
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from apps.core import alerts, http, webhooks
from apps.core.keyring import KeyMissing
from apps.scheduling.models import Delivery, WebhookEndpoint, WebhookMessage

log = structlog.get_logger(__name__)

Event = WebhookEndpoint.Event
OF_STATE: dict[str, str] = {
    Delivery.State.PUBLISHED: Event.PUBLISHED,
    Delivery.State.FAILED: Event.FAILED,
    Delivery.State.NEEDS_REVIEW: Event.NEEDS_REVIEW,
    Delivery.State.MISSED: Event.MISSED,
    Delivery.State.REMOVED: Event.REMOVED,
}
# When a message is tried again: about a day and a quarter in all.
WAITS = [
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
]
DISABLE_AFTER = timedelta(days=3)
BATCH = 20
SECONDS = 15.0
LEASE = timedelta(seconds=60)


# -- Rows first ---------------------------------------------------------------------------------


def note(changed: Iterable[tuple[Delivery, Mapping[str, Any]]]) -> None:
    """Write the messages that new states call for; call it in the transaction that changes them.

    Each delivery comes with the columns it has just been given, its state among them.
    """
    told = [(each, new, OF_STATE.get(new["state"], "")) for each, new in changed]
    told = [entry for entry in told if entry[2]]
    if not told:
        return
    endpoints = list(WebhookEndpoint.objects.filter(is_active=True))
    messages = [
        WebhookMessage(endpoint=endpoint, event=name, delivery=each.pk, body=_body(each, new, name))
        for each, new, name in told
        for endpoint in endpoints
        if _wants(endpoint, each, name)
    ]
    if messages:
        WebhookMessage.objects.bulk_create(messages)
        transaction.on_commit(_wake, robust=True)


def _wants(endpoint: WebhookEndpoint, delivery: Delivery, event: str) -> bool:
    mine = endpoint.persona_id in (None, delivery.account.persona_id)
    return mine and (not endpoint.events or event in endpoint.events)


def _body(delivery: Delivery, new: Mapping[str, Any], event: str) -> dict[str, Any]:
    published_at = new.get("published_at", delivery.published_at)
    account, post = delivery.account, delivery.post
    return {
        "type": event,
        "timestamp": timezone.now().isoformat(timespec="milliseconds"),
        "data": {
            "id": str(delivery.pk),
            "post": str(post.pk),
            "persona": str(account.persona_id),
            "account": str(account.pk),
            "network": account.network,
            "handle": account.handle,
            "state": str(new["state"]),
            "text": delivery.frozen.get("text", post.text),
            "scheduled_at": post.scheduled_at.isoformat(),
            "published_at": published_at.isoformat() if published_at else None,
            "url": new.get("remote_url", delivery.remote_url),
            "error_code": new.get("error_code", delivery.error_code),
            "error": new.get("error", delivery.error),
            "link": f"{settings.GATOR_PUBLIC_URL}/admin/scheduling/delivery/{delivery.pk}/change/",
        },
    }


def _wake() -> None:
    # Named, not imported: tasks call this module, nothing looks back up.
    from celery import current_app

    try:
        current_app.send_task("send_webhooks", queue="work", retry=False, ignore_result=True)
    except Exception as error:
        log.warning("webhooks wait for the next sweep", error=str(error))


# -- Then the network ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one try: a status, or why there is none."""

    status: int | None = None
    error: str = ""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def send_due(*, transport: httpx.BaseTransport | None = None) -> dict[str, int]:
    """Try what is due; how many were delivered, are tried again, or were given up."""
    counts = {"delivered": 0, "again": 0, "given_up": 0}
    claim, messages = _claim()
    if not messages:
        return counts
    with (
        http.client(transport=transport) as client,
        ThreadPoolExecutor(len(messages), thread_name_prefix="webhooks") as pool,
    ):
        answers = pool.map(partial(_post, client), messages)
        for message, answer in zip(messages, answers, strict=True):
            counts[_record(claim, message, answer)] += 1
    log.info("webhooks sent", **counts)
    return counts


def _claim() -> tuple[UUID, list[WebhookMessage]]:
    claim = uuid4()
    due = WebhookMessage.objects.due()
    if not due.exists():
        return claim, []
    with transaction.atomic():
        rows = due.select_for_update(skip_locked=True, of=("self",)).order_by("due_at")
        chosen = [row.pk for row in rows.only("pk")[:BATCH]]
        WebhookMessage.objects.filter(pk__in=chosen, state=WebhookMessage.State.WAITING).update(
            claim=claim, lease_until=timezone.now() + LEASE
        )
    return claim, list(WebhookMessage.objects.filter(claim=claim).select_related("endpoint"))


def _post(client: httpx.Client, message: WebhookMessage) -> Answer:
    try:
        url, body = message.endpoint.url, json.dumps(message.body, ensure_ascii=False).encode()
        parts = urlsplit(url)
        if parts.scheme != "https" and not http.is_named(parts.hostname or "", parts.port or 80):
            return Answer(error="The address must be https.")
        signed = webhooks.signed_headers(
            secret=message.endpoint.secret.open()["secret"], message_id=str(message.pk), body=body
        )
        headers = {"Content-Type": "application/json", **signed}
        request = client.build_request(
            "POST", url, content=body, headers=headers, extensions={"deadline": SECONDS}
        )
        # Only the status counts: the receiver's words are not read.
        response = client.send(request, stream=True)
        response.close()
        return Answer(status=response.status_code)
    except KeyMissing:
        return Answer(error="The key that sealed its secret is not on this machine.")
    except Exception as error:
        # The words may quote the address, which may hold a token.
        return Answer(error=type(error).__name__)
    finally:
        connections.close_all()


def _record(claim: UUID, message: WebhookMessage, answer: Answer) -> str:
    now = timezone.now()
    changes: dict[str, object] = {
        "claim": None,
        "lease_until": None,
        "tries": message.tries + 1,
        "last_status": answer.status,
        "last_error": answer.error[:500],
    }
    outcome = "again"
    if answer.taken:
        outcome = "delivered"
        changes |= {"state": WebhookMessage.State.DELIVERED, "delivered_at": now}
    elif answer.status == 410 or message.tries >= len(WAITS):
        outcome = "given_up"
        changes |= {"state": WebhookMessage.State.FAILED}
    else:
        # A tenth of jitter: many messages that failed together do not come back together.
        changes |= {"due_at": now + WAITS[message.tries] * random.uniform(1, 1.1)}
    with transaction.atomic():
        ours = WebhookMessage.objects.filter(pk=message.pk, claim=claim)
        if not ours.update(**changes):
            return outcome
        _tell_endpoint(message.endpoint_id, answer)
    return outcome


def _tell_endpoint(endpoint_id: UUID, answer: Answer) -> None:
    now = timezone.now()
    row = WebhookEndpoint.objects.filter(pk=endpoint_id)
    if answer.taken:
        row.exclude(failing_since=None).update(failing_since=None)
        return
    row.filter(failing_since=None).update(failing_since=now)
    why = ""
    if answer.status == 410:
        why = "It answered 410: it wants no more messages."
    elif row.filter(failing_since__lte=now - DISABLE_AFTER).exists():
        why = f"Nothing came through for {DISABLE_AFTER.days} days."
    if why and row.filter(is_active=True).update(
        is_active=False, disabled_at=now, disabled_why=why
    ):
        endpoint = row.get()
        alerts.alert(
            key=f"webhook:{endpoint.pk}",
            title=f"Webhook switched off: {endpoint}",
            body=f"{why} Mend it and switch it on again; its messages can be sent anew.",
            path=f"/admin/scheduling/webhookendpoint/{endpoint.pk}/change/",
        )
