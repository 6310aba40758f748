"""Connecting an account by signing in at its network: out with a state, back with a code.

A sign-in is a row: it ends after ten minutes, is used once, and only by the person and the browser
session that began it. The code is exchanged outside of any transaction; what it brings is kept
sealed. A refusal changes no account.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from apps.core import audit
from apps.core.errors import Refused
from apps.core.fields import Sealed
from apps.core.keyring import KeyMissing
from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import health
from apps.scheduling.models import SignIn, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Account, Identity, PublishError, Temporary
from apps.scheduling.publishers.calling import HttpPublisher, bounded
from apps.scheduling.publishers.connecting import Client, Connected, Connecting, Way

LIFE = timedelta(minutes=10)
# What networks say when the person pressed "Cancel".
DENIALS = frozenset({"access_denied", "user_cancelled_login", "user_cancelled_authorize"})
Stage = SignIn.Stage
Status = SocialAccount.Status


def refused(code: str, words: str) -> Refused:
    return Refused(("sign_in", code, words))


# -- What a network demands ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that a network needs of this installation, and whether it is there."""

    good: bool
    words: str
    # Whether signing in cannot work without it.
    needed: bool = True


def can_sign_in(network: str) -> bool:
    """Whether accounts of this network are connected by signing in there."""
    return network in publishers and isinstance(publishers[network], Connecting)


def redirect_address(network: str) -> str:
    """Where the network sends people back to; one address for each network, always our own."""
    path = reverse("admin:scheduling_socialaccount_back", args=[network])
    return f"{settings.GATOR_PUBLIC_URL}{path}"


def setting_names(network: str) -> tuple[str, ...]:
    """The settings that name Gator's registration with this network; none where it needs none."""
    publisher = publishers[network]
    if not isinstance(publisher, Connecting) or not publisher.client_name:
        return ()
    name = publisher.client_name.upper()
    return f"{name}_CLIENT_ID", f"{name}_CLIENT_SECRET"


def checks(network: str, *, ask: bool = False) -> list[Check]:
    """What is there and what is missing; `ask` also calls the network, with no credentials."""
    publisher = publishers[network]
    found = []
    if isinstance(publisher, Connecting) and (names := setting_names(network)):
        client = publisher.registered
        for name, value in zip(names, (client.id, client.secret), strict=True):
            needed = publisher.secret_needed or name == names[0]
            lacks = f"{name} is not set." if needed else f"{name} is not set (public client)."
            found.append(
                Check(good=bool(value), words=f"{name} is set." if value else lacks, needed=needed)
            )
    if publisher.setup.https:
        url = urlsplit(settings.GATOR_PUBLIC_URL)
        public = url.scheme == "https" and url.hostname not in ("localhost", "127.0.0.1", "::1")
        words = "a public https address." if public else "not the public https address it needs."
        found.append(
            Check(good=public, words=f"GATOR_PUBLIC_URL is {settings.GATOR_PUBLIC_URL}: {words}")
        )
    if ask and isinstance(publisher, HttpPublisher) and publisher.default_server:
        try:
            publisher.reach()
        except PublishError as error:
            found.append(Check(good=False, words=str(error), needed=False))
        else:
            found.append(Check(good=True, words=f"{publisher.label} answers.", needed=False))
    return found


# -- Out ----------------------------------------------------------------------------------------


def begin(
    network: str,
    *,
    persona: Persona,
    account: SocialAccount | None = None,
    server: str = "",
    session: str,
    host: str,
    by: User,
) -> str:
    """The network's page to go to. `session` is the browser's key, `host` where it reaches us.

    With `account` that one is connected again, on its own server; without, a new one.
    """
    publisher = _publisher(network)
    for check in checks(network):
        if check.needed and not check.good:
            raise refused("not_set_up", f"{publisher.label} is not set up: {check.words}")
    own = urlsplit(settings.GATOR_PUBLIC_URL).netloc
    if host.lower() != own.lower():
        # The way back would lead to another address, where this session is unknown.
        words = f"Open Gator at {settings.GATOR_PUBLIC_URL} and connect from there."
        raise refused("other_address", words)
    if account is not None:
        if account.network != network:
            raise refused("other_network", f"{account} is no account of {publisher.label}.")
        persona, server = account.persona, account.server
    redirect = redirect_address(network)
    try:
        if publisher.needs_server:
            server = _server(publisher, server)
        client = publisher.register(server, redirect)
    except PublishError as error:
        raise refused(error.code, str(error)) from None
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    way = Way(client=client, redirect=redirect, verifier=verifier, server=server)
    row = SignIn(
        network=network,
        server=server,
        persona=persona,
        account=account,
        user=by,
        state_hash=_hash(state),
        session_hash=_hash(session),
        expires_at=timezone.now() + LIFE,
    )
    row.held = Sealed.of({"verifier": verifier, "redirect": redirect, "client": asdict(client)})
    row.save()
    return publisher.authorize_at(way, state)


def _publisher(network: str) -> Connecting:
    if network in publishers and isinstance(publisher := publishers[network], Connecting):
        return publisher
    raise refused("no_sign_in", f"Nobody signs in to {network} from here.")


def _server(publisher: Connecting, server: str) -> str:
    if not server.strip():
        raise refused("no_server", "This network has many servers: give the address.")
    return publisher.server(Account(id="", handle="", server=server))


# -- Back ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Back:
    """What a way back led to: an account, or a sign-in that waits for a choice."""

    account: SocialAccount | None = None
    choosing: SignIn | None = None


def come_back(network: str, *, state: str, code: str, error: str, session: str, by: User) -> Back:
    """Use up the sign-in that `state` names, and keep what `code` opens."""
    publisher = _publisher(network)
    row = SignIn.objects.filter(state_hash=_hash(state), network=network).first()
    row = _claim(row, Stage.OUT, session=session, by=by)
    _close(row)
    if error:
        said = bounded(error)[:60]
        denied = error in DENIALS
        words = "you did not allow it" if denied else f"it answers with an error ({said})"
        raise refused("denied" if denied else "network_error", f"{publisher.label}: {words}.")
    if not code:
        raise refused("no_code", f"{publisher.label} sent you back without a code; start again.")
    try:
        held = row.held.open()
    except KeyMissing:
        raise refused("key_missing", "The key of this sign-in is gone; start again.") from None
    way = Way(
        client=Client(**held["client"]),
        redirect=held["redirect"],
        verifier=held["verifier"],
        server=row.server,
    )
    try:
        found = publisher.exchange(way, code)
    except Temporary as problem:
        raise refused(problem.code, f"{problem} Nothing was changed; start again.") from None
    except PublishError as problem:
        raise refused(problem.code, str(problem)) from None
    if row.account is not None:
        mine = [each for each in found if _is(row.account, each.identity)]
        if not mine:
            names = ", ".join(each.identity.handle for each in found[:5])
            raise refused(
                "wrong_account",
                f"You signed in as {names}, but this account is {row.account.handle}. Sign in to "
                "that one, or connect the other as an account of its own.",
            )
        return Back(account=_keep(row, publisher, mine[0], by=by))
    if len(found) == 1:
        return Back(account=_keep(row, publisher, found[0], by=by))
    row.held = Sealed.of({"found": [_plain(each) for each in found]})
    row.stage, row.expires_at = Stage.CHOOSING, timezone.now() + LIFE
    row.save(update_fields=["held", "stage", "expires_at"])
    return Back(choosing=row)


def choices(sign_in: UUID, *, session: str, by: User) -> list[Identity]:
    """The accounts to choose from, of this person's own sign-in."""
    row = SignIn.objects.filter(pk=sign_in).first()
    return [each.identity for each in _found(_own(row, Stage.CHOOSING, session=session, by=by))]


def choose(sign_in: UUID, number: int, *, session: str, by: User) -> SocialAccount:
    """Connect the account at this place of the choices; the others' tokens are thrown away."""
    row = SignIn.objects.filter(pk=sign_in).first()
    row = _own(row, Stage.CHOOSING, session=session, by=by)
    found = _found(row)
    if not 0 <= number < len(found):
        raise refused("no_choice", "Choose one of the accounts.")
    row = _claim(row, Stage.CHOOSING, session=session, by=by)
    _close(row)
    return _keep(row, _publisher(row.network), found[number], by=by)


def _own(row: SignIn | None, stage: str, *, session: str, by: User) -> SignIn:
    if row is None or row.stage != stage:
        words = "This sign-in is unknown here or was used already; start again."
        raise refused("unknown_state", words)
    if row.user_id != by.pk or not secrets.compare_digest(row.session_hash, _hash(session)):
        words = "This sign-in was begun by somebody else or in another browser; start again here."
        raise refused("other_session", words)
    if row.expires_at <= timezone.now():
        raise refused("expired", "The sign-in took longer than ten minutes; start again.")
    return row


def _claim(row: SignIn | None, stage: str, *, session: str, by: User) -> SignIn:
    row = _own(row, stage, session=session, by=by)
    # One of two requests with the same state gets through.
    if not SignIn.objects.filter(pk=row.pk, stage=stage).update(stage=Stage.DONE):
        return _own(None, stage, session=session, by=by)
    row.stage = Stage.DONE
    return row


def _close(row: SignIn) -> None:
    SignIn.objects.filter(pk=row.pk).update(held=Sealed(""))


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()


def _plain(found: Connected) -> dict[str, Any]:
    return {"identity": asdict(found.identity), "credentials": dict(found.credentials)}


def _found(row: SignIn) -> list[Connected]:
    try:
        held = row.held.open()
    except KeyMissing:
        raise refused("key_missing", "The key of this sign-in is gone; start again.") from None
    return [
        Connected(identity=Identity(**each["identity"]), credentials=each["credentials"])
        for each in held.get("found", [])
    ]


# -- Kept ---------------------------------------------------------------------------------------


def _is(account: SocialAccount, identity: Identity) -> bool:
    """By the network's own id where both are known: handles change hands."""
    known = str(account.facts.get("remote_id") or "")
    if known and identity.remote_id:
        return known == identity.remote_id
    return _name(account.handle) == _name(identity.handle)


def _name(handle: str) -> str:
    return handle.strip().removeprefix("@").casefold()


@transaction.atomic
def _keep(row: SignIn, publisher: Connecting, found: Connected, *, by: User) -> SocialAccount:
    identity = found.identity
    account = row.account or _connected_before(row, identity)
    if account is None:
        account = SocialAccount(
            persona=row.persona, network=row.network, server=row.server, handle=identity.handle
        )
    elif account.persona_id != row.persona_id:
        words = f"{identity.handle} is connected already, as an account of {account.persona}."
        raise refused("other_persona", words)
    new = account._state.adding
    account.credentials = Sealed.of({**_choices(publisher, account), **found.credentials})
    # What a person paused stays paused.
    if account.status != Status.PAUSED:
        account.status = Status.WORKING
    account.status_detail = f"Connected as {identity.handle}."[:500]
    account.facts = {**identity.facts, "remote_id": identity.remote_id, "url": identity.url}
    account.follow_up_detail = ""
    account.wait_until = None
    account.tested_at = timezone.now()
    account.access_ends_at = health.access_ends(found.credentials)
    try:
        with transaction.atomic():
            account.save()
    except IntegrityError:
        words = f"{identity.handle} was connected by somebody else just now."
        raise refused("connected_already", words) from None
    audit.record(
        actor=by, action="connect account" if new else "connect account again", about=account
    )
    return account


def _connected_before(row: SignIn, identity: Identity) -> SocialAccount | None:
    there = SocialAccount.objects.select_related("persona").filter(network=row.network)
    # As a person may have typed it.
    here = [each for each in there if each.server.rstrip("/").lower() == row.server.lower()]
    return next((each for each in here if _is(each, identity)), None)


def _choices(publisher: Connecting, account: SocialAccount) -> Mapping[str, Any]:
    """What a person chose for this account besides its tokens."""
    try:
        stored = account.credentials.open() if account.credentials else {}
    except KeyMissing:
        return {}
    return {name: stored[name] for name in publisher.choices_kept if name in stored}
