"""Networks of OAuth 2 (RFC 6749): a short access token, and a refresh token that renews it.

Many refresh tokens work only once, so renewing goes through `account.renew`: one caller at a time,
and what it brings is kept before anybody uses it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from apps.scheduling.publishers.base import Account, CredentialField, NeedsReconnect, Permanent
from apps.scheduling.publishers.calling import HttpPublisher, within

T = TypeVar("T")
# Short, because it comes on top of the call that needs the token, within one lease.
RENEWAL_SECONDS = 10


def token_fields(where: str) -> tuple[CredentialField, ...]:
    """What an account with a refresh token gives; `where` says how a person gets the tokens."""
    return (
        CredentialField(name="access_token", label="Access token", help=where),
        CredentialField(
            name="refresh_token",
            label="Refresh token",
            help="Comes with the access token. Without it the account must be connected again "
            "each time the access token ends.",
            required=False,
        ),
    )


class OAuthPublisher(HttpPublisher):
    """A publisher whose account keeps access_token and, with it, refresh_token."""

    token_url: ClassVar[str]

    def signed_in(self, account: Account, call: Callable[[Account], T]) -> T:
        """Make the call; if the token is refused, renew it once and call again."""
        if not account.credentials.get("access_token"):
            raise NeedsReconnect(f"{self.label}: the access token is missing.", code="no_token")
        try:
            return call(account)
        except NeedsReconnect:
            if not account.credentials.get("refresh_token"):
                raise
            fresh = account.renew(account.credentials, partial(self._renewed, account))
            return call(replace(account, credentials=fresh))

    def authorization(self, account: Account) -> dict[str, str]:
        token = str(account.credentials.get("access_token", "")).strip()
        return {"Authorization": f"Bearer {token}"}

    def renewal(self, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        """The request that renews, as httpx takes it: a form, and who asks."""
        raise NotImplementedError

    def _renewed(self, account: Account, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            response = self.call(
                replace(account, credentials=seen),
                "POST",
                self.token_url,
                seconds=RENEWAL_SECONDS,
                **self.renewal(seen),
            )
        except (NeedsReconnect, Permanent) as error:
            words = f"{self.label} does not renew the access; connect the account again. {error}"
            raise NeedsReconnect(words, code="renewal_refused") from None
        answer = self.read(response)
        token = within(answer, "access_token")
        if not isinstance(token, str) or not token:
            # TikTok refuses with 200.
            words = str(within(answer, "error_description") or "")[:200]
            if within(answer, "error"):
                raise NeedsReconnect(
                    f"{self.label} does not renew the access; connect the account again. {words}",
                    code="renewal_refused",
                )
            self.malformed("it gives no access token")
        kept = {**seen, "access_token": token}
        # A network that gives no new refresh token lets the old one live.
        if isinstance(refresh := within(answer, "refresh_token"), str) and refresh:
            kept["refresh_token"] = refresh
        if isinstance(life := within(answer, "expires_in"), int) and 0 < life < 10**9:
            kept["expires_at"] = int(time.time()) + life
        for name in ("refresh_expires_in", "refresh_token_expires_in"):
            if isinstance(life := within(answer, name), int) and 0 < life < 10**9:
                kept["refresh_expires_at"] = int(time.time()) + life
        return kept
