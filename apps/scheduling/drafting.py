"""A post as somebody wants it, whether it may be, and its rows: the one way posts come to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import composing
from apps.scheduling.models import DAY, Delivery, Media, Post, PostMedia, SocialAccount
from apps.scheduling.networks import publishers

# A time that was "now" when somebody pressed the button is not yet the past.
GRACE = timedelta(minutes=1)
OVERRIDABLE = frozenset({"text", "link", "hashtags"})


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A post as somebody wants it: content, where and when."""

    persona: Persona
    accounts: Sequence[SocialAccount]
    scheduled_at: datetime
    text: str = ""
    link: str = ""
    hashtags: Sequence[str] = ()
    media: Sequence[Media] = ()
    # Per account id: its own text, link or hashtags.
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    too_late_after: timedelta | None = DAY


def problems_of(draft: Draft) -> list[tuple[str, str, str]]:
    """Everything that keeps this draft from being scheduled; empty when it may be."""
    problems = []
    if draft.scheduled_at < timezone.now() - GRACE:
        problems.append(("scheduled_at", "in_the_past", "This time has passed."))
    if draft.too_late_after is not None and draft.too_late_after <= timedelta():
        problems.append(("too_late_after", "not_positive", "Give a time above zero, or none."))
    if not draft.persona.is_active:
        problems.append(("persona", "inactive", f"{draft.persona} is not active."))
    if not draft.accounts:
        problems.append(("accounts", "required", "Choose at least one account."))
    if len({account.pk for account in draft.accounts}) != len(draft.accounts):
        problems.append(("accounts", "repeated", "An account is listed twice."))
    known = {str(account.pk) for account in draft.accounts}
    for account_id, override in draft.overrides.items():
        if account_id not in known:
            message = f"{account_id} is not one of this post's accounts."
            problems.append(("overrides", "unknown_account", message))
        if unknown := set(override) - OVERRIDABLE:
            message = f"{', '.join(sorted(unknown))} cannot be overridden."
            problems.append(("overrides", "unknown_field", message))
    if problems:
        return problems
    post = post_of(draft, by=None)
    for account in draft.accounts:
        if account.persona_id != draft.persona.pk:
            message = f"{account} is not an account of {draft.persona}."
            problems.append(("accounts", "another_persona", message))
            continue
        if account.status == SocialAccount.Status.PAUSED:
            problems.append(("accounts", "paused", f"{account} is paused."))
        override = dict(draft.overrides.get(str(account.pk), {}))
        for problem in composing.problems_of(
            post=post, account=account, override=override, media=draft.media
        ):
            place = "overrides" if problem.field in override else problem.field
            problems.append((place, problem.code, f"{account}: {problem.message}"))
    return problems


def post_of(draft: Draft, *, by: User | None) -> Post:
    """The draft as a row that is not stored."""
    return Post(
        persona=draft.persona,
        text=draft.text,
        link=draft.link,
        hashtags=[tag.removeprefix("#") for tag in draft.hashtags],
        scheduled_at=draft.scheduled_at,
        too_late_after=draft.too_late_after,
        created_by=by,
    )


def like(post: Post, *, accounts: Sequence[SocialAccount], at: datetime) -> Draft:
    """The draft of another post like this one, for these of its accounts."""
    rows = post.deliveries.filter(account__in=accounts)
    return Draft(
        persona=post.persona,
        accounts=accounts,
        scheduled_at=at,
        text=post.text,
        link=post.link,
        hashtags=post.hashtags,
        media=[each.media for each in post.postmedia_set.select_related("media")],
        overrides={str(row.account_id): row.override for row in rows if row.override},
        too_late_after=post.too_late_after,
    )


def store(draft: Draft, *, by: User | None, in_slot: bool = False) -> tuple[Post, list[Delivery]]:
    """Write the post with one delivery per account, in its time's slot if asked.

    The caller has checked the draft and holds a transaction.
    """
    post = post_of(draft, by=by)
    post.save()
    attach(post, draft.media)
    deliveries = [
        Delivery(
            post=post,
            account=account,
            due_at=draft.scheduled_at,
            too_late_at=post.too_late_at,
            slot_at=draft.scheduled_at if in_slot else None,
            override=dict(draft.overrides.get(str(account.pk), {})),
            key=publishers[account.network].new_key(),
        )
        for account in draft.accounts
    ]
    Delivery.objects.bulk_create(deliveries)
    return post, deliveries


def attach(post: Post, media: Sequence[Media]) -> None:
    """Give the post its media, in this order."""
    if media:
        PostMedia.objects.bulk_create(
            PostMedia(post=post, media=each, position=position)
            for position, each in enumerate(media)
        )
