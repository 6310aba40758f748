"""Signing in at a network: OAuth 2's authorization code (RFC 6749), with PKCE (RFC 7636) where the
network takes it.

A person grants access on the network's own page and comes back with a code, which is exchanged for
tokens. What differs between networks is written down in their files.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings

from apps.scheduling.publishers.base import Account, Identity, Permanent
from apps.scheduling.publishers.calling import HttpPublisher, within

EXCHANGE_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Client:
    """Gator as a network knows it."""

    id: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One sign-in under way: who asks, where, and the address that the person comes back to."""

    client: Client
    redirect: str
    verifier: str = field(repr=False)
    server: str = ""


@dataclass(frozen=True, kw_only=True)
class Connected:
    """An account that the person may let us speak through, with what it takes."""

    identity: Identity
    credentials: Mapping[str, Any] = field(repr=False)


class Connecting(HttpPublisher):
    """A publisher whose accounts are connected by signing in at the network."""

    # The network's name in settings.NETWORK_CLIENTS; empty: Gator registers itself, per server.
    client_name: ClassVar[str] = ""
    # Whether the network knows clients without a secret as well.
    secret_needed: ClassVar[bool] = True
    # How requests name the client, for a network that does not say client_id.
    client_field: ClassVar[str] = "client_id"
    pkce: ClassVar[bool] = False
    scopes: ClassVar[tuple[str, ...]]
    # Asked for as well, for what not every account needs; a person may leave them out.
    extra_scopes: ClassVar[tuple[str, ...]] = ()
    scope_separator: ClassVar[str] = " "
    authorize_url: ClassVar[str] = ""
    exchange_url: ClassVar[str] = ""
    # Credentials that hold a person's choice, no right; a new sign-in leaves them as they are.
    choices_kept: ClassVar[tuple[str, ...]] = ()

    @property
    def registered(self) -> Client:
        """Gator's registration with this network, from the settings; empty where there is none."""
        given = settings.NETWORK_CLIENTS.get(self.client_name, {})
        return Client(id=given.get("id", ""), secret=given.get("secret", ""))

    def register(self, server: str, redirect: str) -> Client:
        """Who asks at `server`; a network that registers programs on request is called here."""
        return self.registered

    def authorize_at(self, way: Way, state: str) -> str:
        """The address of the page on which the person grants access; it holds no secret."""
        query = {
            "response_type": "code",
            self.client_field: way.client.id,
            "redirect_uri": way.redirect,
            "scope": self.scope_separator.join((*self.scopes, *self.extra_scopes)),
            "state": state,
        }
        if self.pkce:
            digest = hashlib.sha256(way.verifier.encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self.pages(way)[0]}?{urlencode(query)}"

    def pages(self, way: Way) -> tuple[str, str]:
        """Where access is granted, and where the code is exchanged."""
        return self.authorize_url, self.exchange_url

    def exchange(self, way: Way, code: str) -> list[Connected]:
        """The accounts that the code opens: one, or several to choose from.

        Raises Temporary, or Permanent and NeedsReconnect where the network refuses.
        """
        credentials = self.grant(way, self.redeem(way, code))
        return [Connected(identity=self.who(way, credentials), credentials=credentials)]

    def redeem(self, way: Way, code: str) -> Any:
        """The network's answer to the code; refused when the person granted less than we need."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": way.redirect,
            self.client_field: way.client.id,
        }
        request: dict[str, Any] = {"data": form}
        if self.pkce:
            form["code_verifier"] = way.verifier
        if way.client.secret:
            self.prove(request, way.client)
        # As the account's credentials, so that no refusal can quote them back to a page or a log.
        secrets = {"code": code, "verifier": way.verifier, "secret": way.client.secret}
        asking = Account(id="", handle="", server=way.server, credentials=secrets)
        address = self.pages(way)[1]
        answer = self.read(self.call(asking, "POST", address, seconds=EXCHANGE_SECONDS, **request))
        self.need_scopes(granted(answer))
        return answer

    def prove(self, request: dict[str, Any], client: Client) -> None:
        """Add the client's secret to the request, in the form unless the network wants it else."""
        request["data"]["client_secret"] = client.secret

    def grant(self, way: Way, answer: Any) -> Mapping[str, Any]:
        """What is kept of the network's answer, as the account's credentials."""
        return {"access_token": self.token_in(answer)}

    def token_in(self, answer: Any) -> str:
        """The access token of an answer."""
        token = within(answer, "access_token")
        if not isinstance(token, str) or not token:
            self.malformed("it gives no access token")
        return token

    def who(self, way: Way, credentials: Mapping[str, Any]) -> Identity:
        """Whose access it is."""
        # Without the refresh token: nothing keeps here what a renewal would bring.
        plain = {name: value for name, value in credentials.items() if name != "refresh_token"}
        return self.test(Account(id="", handle="", server=way.server, credentials=plain))

    def need_scopes(self, scopes: set[str] | None) -> None:
        """Refuse a grant that lacks a scope we asked for; None: the network does not tell."""
        missing = [] if scopes is None else [each for each in self.scopes if each not in scopes]
        if missing:
            words = f"{self.label} did not grant {', '.join(missing)}; sign in again and allow it."
            raise Permanent(words, code="missing_scope")


def granted(answer: Any) -> set[str] | None:
    """The scopes that an answer names; None where it names none (then all, by the RFC)."""
    for name in ("scope", "permissions"):
        told = within(answer, name)
        if isinstance(told, str) and told.strip():
            return set(re.split(r"[\s,]+", told.strip()))
        if isinstance(told, list) and told:
            return {str(each) for each in told}
    return None
