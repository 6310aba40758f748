"""Credentials that renew themselves: one caller at a time, and never a lost refresh token."""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import UUID, uuid4

from apps.core.fields import Sealed
from apps.core.running import leases
from apps.scheduling.models import SocialAccount
from apps.scheduling.publishers.base import Renew, Temporary

# Longer than any single call may take (apps.core.http.DEADLINE_SECONDS).
RENEWAL_SECONDS = 40


def renewer(account_id: UUID) -> Renew:
    """The `renew` of one account: see `publishers.base.Account`."""

    def renew(
        seen: Mapping[str, Any], refresh: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        name, holder = f"renew:{account_id}", uuid4().hex
        patience = time.monotonic() + RENEWAL_SECONDS
        # Two threads that both saw an expired token must not both spend the one refresh token.
        while not leases.take(name, holder=holder, seconds=RENEWAL_SECONDS):
            if time.monotonic() > patience:
                raise Temporary("Another process is still renewing this account's credentials.")
            time.sleep(0.1)
        try:
            current = _stored(account_id).open()
            if current != dict(seen):
                return current
            fresh = refresh(seen)
            return _keep(account_id, seen, dict(fresh))
        finally:
            leases.give_back(name, holder=holder)

    return renew


def _stored(account_id: UUID) -> Sealed:
    row = SocialAccount.objects.only("credentials").get(pk=account_id)
    return cast(Sealed, row.credentials)


def _keep(account_id: UUID, seen: Mapping[str, Any], fresh: dict[str, Any]) -> Mapping[str, Any]:
    """Store what a renewal brought, unless a person connected the account anew meanwhile."""
    while True:
        stored = _stored(account_id)
        current: dict[str, Any] = stored.open()
        if current != dict(seen):
            return current
        # Only over what was just read. Sealed anew with another key meanwhile, it is read again.
        same = SocialAccount.objects.filter(pk=account_id, credentials=stored)
        if same.update(credentials=Sealed.of(fresh)):
            return fresh
