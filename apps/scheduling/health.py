"""Whether accounts can still speak: asked regularly, with a word before their access ends."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db.models import Q
from django.utils import timezone

from apps.core import alerts
from apps.core.keyring import KeyMissing
from apps.scheduling import composing
from apps.scheduling.models import Delivery, SignIn, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import NeedsReconnect, PublishError

log = structlog.get_logger(__name__)

CHECK_EVERY = timedelta(hours=6)
# People are told so long before access ends, and again as it comes nearer.
WARN = (timedelta(days=1), timedelta(days=3), timedelta(days=7))
MOST_AT_ONCE = 200
Status = SocialAccount.Status


def test(account: SocialAccount) -> SocialAccount:
    """Ask the network whose credentials these are, publishing nothing, and keep the answer.

    The account is then `working` with what the server said of its limits, or `reconnect`; a
    network that does not answer changes nothing but the detail.
    """
    changes: dict[str, Any] = {"tested_at": timezone.now()}
    try:
        identity = publishers[account.network].test(composing.account_of(account))
    except NeedsReconnect as error:
        changes |= {"status": Status.RECONNECT, "status_detail": str(error)[:500]}
    except PublishError as error:
        changes |= {"status_detail": str(error)[:500]}
    else:
        changes |= {
            # Somebody who paused it means it, however well it answers.
            "status": Status.PAUSED if account.status == Status.PAUSED else Status.WORKING,
            "status_detail": f"Connected as {identity.handle}."[:500],
            "facts": {**identity.facts, "remote_id": identity.remote_id, "url": identity.url},
            "wait_until": None,
        }
    SocialAccount.objects.filter(pk=account.pk).update(**changes)
    account.refresh_from_db()
    # After the test: it may have renewed the token.
    try:
        ends = access_ends(account.credentials.open() if account.credentials else {})
    except KeyMissing:
        ends = None
    SocialAccount.objects.filter(pk=account.pk).update(access_ends_at=ends)
    account.access_ends_at = ends
    return account


def access_ends(credentials: Mapping[str, Any]) -> datetime | None:
    """When these credentials stop working for good; None where no end is known.

    An access token with a refresh token behind it ends with the refresh token, if at all.
    """
    name = "refresh_expires_at" if credentials.get("refresh_token") else "expires_at"
    ends = credentials.get(name)
    if not isinstance(ends, int) or not 0 < ends < 10**11:
        return None
    return datetime.fromtimestamp(ends, UTC)


def at_risk(account: SocialAccount) -> int:
    """How many waiting posts are due after the account's access ends."""
    if account.access_ends_at is None:
        return 0
    waiting = [Delivery.State.AWAITING, Delivery.State.SCHEDULED, Delivery.State.HELD]
    late = Delivery.objects.filter(account=account, due_at__gte=account.access_ends_at)
    return late.filter(state__in=waiting).count()


def check_accounts() -> int:
    """Test the accounts whose last test is some hours old; how many were tested."""
    now = timezone.now()
    # What a sign-in holds, tokens to choose from among it, must not lie here once it ended.
    SignIn.objects.filter(expires_at__lte=now).delete()
    stale = Q(tested_at=None) | Q(tested_at__lte=now - CHECK_EVERY)
    rows = SocialAccount.objects.filter(
        stale, persona__is_active=True, status__in=[Status.WORKING, Status.UNTESTED]
    ).order_by("tested_at")
    tested = 0
    for account in rows[:MOST_AT_ONCE]:
        if account.network not in publishers:
            continue
        try:
            test(account)
        except Exception:
            # One account's fault must not keep the others from being tested.
            log.exception("account could not be tested", account=str(account.pk))
            continue
        tested += 1
        if account.status == Status.RECONNECT:
            alerts.alert(
                key=f"reconnect:{account.pk}",
                title=f"Reconnect {account}",
                body=f"Its posts wait until then. {account.status_detail}",
                path=f"/admin/scheduling/socialaccount/{account.pk}/change/",
                level="critical",
            )
    _warn(now)
    return tested


def _warn(now: datetime) -> None:
    ending = SocialAccount.objects.filter(
        access_ends_at__gt=now, access_ends_at__lte=now + WARN[-1]
    )
    for account in ending.exclude(status=Status.PAUSED).select_related("persona"):
        ends = account.access_ends_at
        assert ends is not None
        days = next(each for each in WARN if ends <= now + each).days
        key = f"ending:{account.pk}:{ends:%Y%m%d}:{days}"
        # Once for each step: the key is told apart by it, and an alert is kept for months.
        if alerts.was_raised(key):
            continue
        number = at_risk(account)
        alerts.alert(
            key=key,
            title=f"Access of {account} ends {ends:%A %d %B}",
            body=f"{number} waiting posts are due after that. Connect the account again.",
            path=f"/admin/scheduling/socialaccount/{account.pk}/change/",
        )
