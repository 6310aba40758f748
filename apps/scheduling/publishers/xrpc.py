"""Calls of the AT Protocol (XRPC) with a session that renews itself.

Access tokens last two hours and refresh tokens two months; the app password behind them lasts
until somebody withdraws it, so a session that cannot be refreshed is simply opened anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import httpx

from apps.scheduling.publishers.base import Account, NeedsReconnect, Permanent
from apps.scheduling.publishers.calling import HttpPublisher

# Short, because it comes on top of the call that needs the session, within one lease.
SESSION_SECONDS = 10


class XrpcPublisher(HttpPublisher):
    """A publisher whose account keeps a session: access_jwt, refresh_jwt and did."""

    reconnect_codes: ClassVar[frozenset[str]] = frozenset(
        {
            "AccountDeactivated",
            "AccountSuspended",
            "AccountTakedown",
            "AuthFactorTokenRequired",
            "AuthMissing",
            "ExpiredToken",
            "InvalidToken",
        }
    )

    def signed_in(
        self, account: Account, call: Callable[[Mapping[str, Any]], httpx.Response]
    ) -> httpx.Response:
        """Make the call with the kept session; renew it once if the server no longer takes it."""
        session = account.credentials
        if not session.get("access_jwt"):
            session = account.renew(session, partial(self.sign_in, account))
        try:
            return call(session)
        except NeedsReconnect:
            return call(account.renew(session, partial(self._refresh, account)))

    def _refresh(self, account: Account, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        old = {"access_jwt": seen.get("refresh_jwt", "")}
        try:
            response = self.xrpc(
                account, old, "com.atproto.server.refreshSession", seconds=SESSION_SECONDS
            )
        except (NeedsReconnect, Permanent):
            return self.sign_in(account, seen)
        return self._session(seen, response)

    def sign_in(self, account: Account, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        given = {
            "identifier": account.handle.strip().removeprefix("@"),
            "password": str(seen.get("app_password", "")).strip(),
        }
        response = self.call(
            account,
            "POST",
            f"{self.server(account)}/xrpc/com.atproto.server.createSession",
            seconds=SESSION_SECONDS,
            json=given,
        )
        return self._session(seen, response)

    def _session(self, seen: Mapping[str, Any], response: httpx.Response) -> Mapping[str, Any]:
        answer = self.read(response)
        names = {"access_jwt": "accessJwt", "refresh_jwt": "refreshJwt", "did": "did"}
        if not isinstance(answer, dict) or not all(
            isinstance(answer.get(theirs), str) and answer[theirs] for theirs in names.values()
        ):
            self.malformed("it gives no session")
        return {**seen, **{ours: answer[theirs] for ours, theirs in names.items()}}

    def xrpc(
        self,
        account: Account,
        session: Mapping[str, Any],
        name: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        return self.call(
            replace(account, credentials={**account.credentials, **session}),
            method,
            f"{self.server(account)}/xrpc/{name}",
            headers={**(headers or {}), "Authorization": f"Bearer {session['access_jwt']}"},
            **request,
        )
