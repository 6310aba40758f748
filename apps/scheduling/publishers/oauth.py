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
from apps.scheduling.publishers.calling import bounded, within
from apps.scheduling.publishers.connecting import Client, Connecting, Way

T = TypeVar("T")
# Short, because it comes on top of the call that needs the token, within one lease.
RENEWAL_SECONDS = 10
# So long before a token ends it is renewed, rather than refused in the middle of a post.
EARLY_SECONDS = 60


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


class OAuthPublisher(Connecting):
    """A publisher whose account keeps access_token and, with it, refresh_token."""

    token_url: ClassVar[str]

    def signed_in(self, account: Account, call: Callable[[Account], T]) -> T:
        """Make the call with a token that still holds; if it is refused, renew and call again."""
        if not account.credentials.get("access_token"):
            raise NeedsReconnect(f"{self.label}: the access token is missing.", code="no_token")
        ends = account.credentials.get("expires_at")
        ending = isinstance(ends, int) and ends < time.time() + EARLY_SECONDS
        if ending and account.credentials.get("refresh_token"):
            return call(self._fresh(account))
        try:
            return call(account)
        except NeedsReconnect:
            if not account.credentials.get("refresh_token"):
                raise
            return call(self._fresh(account))

    def _fresh(self, account: Account) -> Account:
        fresh = account.renew(account.credentials, partial(self._renewed, account))
        return replace(account, credentials=fresh)

    def authorization(self, account: Account) -> dict[str, str]:
        token = str(account.credentials.get("access_token", "")).strip()
        return {"Authorization": f"Bearer {token}"}

    def client_of(self, seen: Mapping[str, Any]) -> Client:
        """Whose client these tokens were given to: the account's own, or the studio's."""
        own = str(seen.get(self.client_field) or "").strip()
        secret = str(seen.get("client_secret") or "").strip()
        # A sign-in keeps the client's id alone: its secret may be changed in the settings.
        if not secret and own in ("", self.registered.id):
            return self.registered
        return Client(id=own, secret=secret)

    def pages(self, way: Way) -> tuple[str, str]:
        return self.authorize_url, self.token_url

    def grant(self, way: Way, answer: Any) -> Mapping[str, Any]:
        if not within(answer, "access_token") and within(answer, "error"):
            # TikTok refuses with 200.
            told = bounded(within(answer, "error_description") or within(answer, "error"))
            raise NeedsReconnect(f"{self.label} refused the sign-in: {told}", code="code_refused")
        return {**self._kept({}, answer), self.client_field: way.client.id}

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
        if not within(answer, "access_token") and within(answer, "error"):
            # TikTok refuses with 200.
            words = str(within(answer, "error_description") or "")[:200]
            raise NeedsReconnect(
                f"{self.label} does not renew the access; connect the account again. {words}",
                code="renewal_refused",
            )
        return self._kept(seen, answer)

    def _kept(self, seen: Mapping[str, Any], answer: Any) -> dict[str, Any]:
        """What was seen, with the tokens of an answer and when they end."""
        kept = {**seen, "access_token": self.token_in(answer)}
        # The old token's end is not the new one's, where the network names none.
        kept.pop("expires_at", None)
        # A network that gives no new refresh token lets the old one live.
        if isinstance(refresh := within(answer, "refresh_token"), str) and refresh:
            kept["refresh_token"] = refresh
        if isinstance(life := within(answer, "expires_in"), int) and 0 < life < 10**9:
            kept["expires_at"] = int(time.time()) + life
        for name in ("refresh_expires_in", "refresh_token_expires_in"):
            if isinstance(life := within(answer, name), int) and 0 < life < 10**9:
                kept["refresh_expires_at"] = int(time.time()) + life
        return kept
