"""More verbs of scheduling: connect and change accounts, remove what nobody has seen, measure.

Like those in `services.py` they check, store in one transaction, and raise Refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from apps.core import audit
from apps.core.errors import Refused, WrongState
from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import composing, drafting
from apps.scheduling.models import Delivery, Media, Occurrence, Post, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Publisher
from apps.scheduling.services import Draft, set_credentials

State = Delivery.State
# No network's credential is longer; a certificate or a whole file is a mistake.
LONGEST_CREDENTIAL = 8_000

# What no network has seen and none may be seeing.
NOTHING_OUT = (
    State.AWAITING,
    State.SCHEDULED,
    State.HELD,
    State.FAILED,
    State.MISSED,
    State.CANCELLED,
)


# -- Accounts -----------------------------------------------------------------------------------


def network_named(name: str) -> Publisher:
    """The publisher of this network; raises Refused, naming those there are."""
    if name not in publishers:
        known = ", ".join(sorted(publishers))
        raise Refused(("network", "unknown", f"{name!r} is not one of the networks: {known}."))
    return publishers[name]


def check_credentials(network: str, credentials: Mapping[str, Any]) -> None:
    """Raise Refused unless these are the fields the network asks for; never repeats a value."""
    fields = {field.name: field for field in network_named(network).credential_fields}
    problems = []
    for name, value in credentials.items():
        place = f"credentials.{name[:60]}"
        if name not in fields:
            wanted = ", ".join(fields) or "none"
            message = f"{network} has no such credential; it asks for: {wanted}."
            problems.append((place, "unknown_field", message))
        elif not isinstance(value, str) or len(value) > LONGEST_CREDENTIAL:
            message = f"This must be text of at most {LONGEST_CREDENTIAL:,} characters."
            problems.append((place, "not_text", message))
    for name, field in fields.items():
        if field.required and credentials.get(name, "") == "":
            problems.append((f"credentials.{name}", "required", f"{field.label} is missing."))
    if problems:
        raise Refused(*problems)


def connect_account(
    *,
    persona: Persona,
    network: str,
    handle: str,
    server: str = "",
    credentials: Mapping[str, Any],
    by: User | None,
    **more: Any,
) -> SocialAccount:
    """Add a persona's account on a network, with its credentials; `more`: its other columns."""
    if network_named(network).needs_server and not server:
        raise Refused(("server", "required", f"{network} has many servers; give its address."))
    check_credentials(network, credentials)
    account = SocialAccount(
        persona=persona, network=network, handle=handle, server=server.rstrip("/"), **more
    )
    try:
        with transaction.atomic():
            account.save()
            audit.record(actor=by, action="connect account", about=account)
            if credentials:
                set_credentials(account, credentials, by=by)
    except IntegrityError:
        raise Refused(_taken()) from None
    return account


def change_account(
    account: SocialAccount, *, changes: Mapping[str, Any], by: User | None
) -> SocialAccount:
    """Change handle, server or credentials, or pause and resume; network and persona stay."""
    changes = dict(changes)
    credentials = changes.pop("credentials", None)
    if "server" in changes:
        changes["server"] = changes["server"].rstrip("/")
        if publishers[account.network].needs_server and not changes["server"]:
            raise Refused(("server", "required", "This network has many servers; give one."))
    if credentials is not None:
        check_credentials(account.network, credentials)
    try:
        with transaction.atomic():
            if credentials is not None:
                set_credentials(account, credentials, by=by)
            moved = {"handle", "server"} & {
                name for name, value in changes.items() if value != getattr(account, name)
            }
            if moved and account.status == SocialAccount.Status.WORKING:
                # What was tested is no longer what is written here.
                changes.setdefault("status", SocialAccount.Status.UNTESTED)
            if changes:
                SocialAccount.objects.filter(pk=account.pk).update(**changes)
                audit.record(
                    actor=by, action="change account", about=account, fields=sorted(changes)
                )
    except IntegrityError:
        raise Refused(_taken()) from None
    account.refresh_from_db()
    return account


def _taken() -> tuple[str, str, str]:
    return ("handle", "taken", "This account is connected already.")


def remove_account(account: SocialAccount, *, by: User | None) -> None:
    """Delete an account that never had a delivery; raises WrongState otherwise."""
    _delete(account, "This account has posts; pause it instead.", by=by)


# -- Media --------------------------------------------------------------------------------------


def remove_media(media: Media, *, by: User | None) -> None:
    """Delete an upload that no post uses, and its file; raises WrongState otherwise."""
    storage = media.file.storage
    names = [str(file.name) for file in (media.file, media.marked) if file]
    with transaction.atomic():
        _delete(media, "A post uses this picture.", by=by)
        # After the commit: a file without a row is rubbish, a row without its file a broken post.
        for name in names:
            transaction.on_commit(partial(storage.delete, name), robust=True)


def _delete(row: SocialAccount | Media, refusal: str, *, by: User | None) -> None:
    pk = row.pk
    try:
        with transaction.atomic():
            row.delete()
            row.pk = pk
            audit.record(actor=by, action=f"delete {row._meta.model_name}", about=row)
    except ProtectedError:
        raise WrongState(refusal) from None


# -- Posts --------------------------------------------------------------------------------------


def remove_post(post: Post, *, by: User | None) -> None:
    """Delete a post of which nothing went out; raises WrongState once something may have."""
    with transaction.atomic():
        rows = list(post.deliveries.select_for_update())
        if any(row.state not in NOTHING_OUT or row.maybe_sent for row in rows):
            raise WrongState(
                "Part of this post is out or on its way; it stays, and cancel stops the rest."
            )
        pk = post.pk
        # Deleted on purpose: its series does not make it anew.
        Occurrence.objects.filter(post=post).update(state=Occurrence.State.SKIPPED)
        post.delete()
        post.pk = pk
        audit.record(actor=by, action="delete post", about=post)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How long a draft is on one account, as its network counts; None is no limit."""

    account: SocialAccount
    length: int
    limit: int | None
    bytes: int
    byte_limit: int | None
    # The lengths of the parts that follow the first.
    parts: list[int]


def measure(draft: Draft) -> list[Measure]:
    """The draft's length on each of its accounts, link and hashtags included."""
    post = drafting.post_of(draft, by=None)
    measures = []
    for row in draft.accounts:
        account = composing.account_of(row, with_credentials=False)
        override = dict(draft.overrides.get(str(row.pk), {}))
        parts = composing.outgoings(post=post, account=row, override=override, media=())
        texts = [each.full_text for each in parts]
        publisher = publishers[row.network]
        limits = publisher.limits(account)
        length, *following = [publisher.count(text, account) for text in texts]
        measures.append(
            Measure(
                account=row,
                length=length,
                limit=limits.characters,
                bytes=len(texts[0].encode()),
                byte_limit=limits.bytes,
                parts=following,
            )
        )
    return measures
