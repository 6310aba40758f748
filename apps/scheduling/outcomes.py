"""What an outcome means for the row, for what a persona remembers and for people."""

from datetime import datetime
from typing import Any

from django.conf import settings

from apps.core import alerts
from apps.personas import services as personas
from apps.scheduling import retrying
from apps.scheduling.models import Attempt, Delivery, SocialAccount
from apps.scheduling.publishers.base import PublishError, Receipt, Unconfirmed

State = Delivery.State


def as_published(receipt: Receipt, now: datetime) -> dict[str, Any]:
    """The columns of a delivery that is on its network."""
    return {
        "state": State.PUBLISHED,
        "remote_id": receipt.remote_id,
        "remote_url": receipt.url,
        "published_at": now,
        "claim": None,
        "lease_until": None,
        "maybe_sent": False,
        "error": "",
        "error_code": "",
        "changed_at": now,
    }


def as_step(
    delivery: Delivery, step: retrying.Step, error: PublishError, now: datetime
) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": step.state,
        "claim": None,
        "lease_until": None,
        "error": str(error),
        "error_code": error.code,
        "changed_at": now,
    }
    if step.due_at is not None:
        changes["due_at"] = step.due_at
    if step.outcome == Attempt.Outcome.TEMPORARY:
        changes["retries"] = delivery.retries + 1
    if step.state == State.UNCONFIRMED:
        changes["maybe_sent"] = True
        # Time for a request still under way to arrive, before anybody looks for it.
        changes["due_at"] = now + settings.PUBLISHING_SETTLE
    if isinstance(error, Unconfirmed) and error.progress:
        changes["progress"] = {**delivery.progress, **error.progress}
    return changes


def memory(delivery: Delivery, receipt: Receipt, now: datetime) -> personas.Published:
    return personas.Published(
        source_id=delivery.pk,
        persona_id=delivery.post.persona_id,
        network=delivery.account.network,
        text=delivery.frozen.get("text", ""),
        url=receipt.url,
        published_at=now,
    )


def tell_account(account: SocialAccount, step: retrying.Step, error: PublishError) -> None:
    row = SocialAccount.objects.filter(pk=account.pk)
    if step.account_waits_until is not None:
        row.update(wait_until=step.account_waits_until, status_detail=str(error)[:500])
    if step.account_needs_reconnect:
        row.update(status=SocialAccount.Status.RECONNECT, status_detail=str(error)[:500])


def tell_people(delivery: Delivery, state: str, why: str) -> None:
    """Raise the alert that a state calls for, with a link to where it is dealt with."""
    path = f"/admin/scheduling/delivery/{delivery.pk}/change/"
    if state == State.FAILED:
        alerts.alert(key=f"failed:{delivery.pk}", title=f"Failed: {delivery}", body=why, path=path)
    elif state == State.NEEDS_REVIEW:
        title = f"Is it there? {delivery}"
        alerts.alert(key=f"review:{delivery.pk}", title=title, body=why, path=path)
    elif state == State.MISSED:
        alerts.alert(key=f"missed:{delivery.pk}", title=f"Missed: {delivery}", body=why, path=path)
    if delivery.account.status != SocialAccount.Status.RECONNECT and state == State.SCHEDULED:
        delivery.account.refresh_from_db(fields=["status"])
        if delivery.account.status == SocialAccount.Status.RECONNECT:
            alerts.alert(
                key=f"reconnect:{delivery.account_id}",
                title=f"Reconnect {delivery.account}",
                body=f"Its posts wait until then. {why}",
                path=f"/admin/scheduling/socialaccount/{delivery.account_id}/change/",
                level="critical",
            )
