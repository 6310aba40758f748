"""A post as somebody wants it, whether it may be, and its rows: the one way posts come to be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.core import alerts
from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling import composing, duplicates
from apps.scheduling.models import DAY, Delivery, Media, Post, PostMedia, SocialAccount
from apps.scheduling.networks import publishers

State = Delivery.State
Approval = Post.Approval

# A time that was "now" when somebody pressed the button is not yet the past.
GRACE = timedelta(minutes=1)
OVERRIDABLE = frozenset({"text", "link", "hashtags", "parts"})
MOST_PARTS = 25


@dataclass(frozen=True, kw_only=True)
class Part:
    """What follows a post as a reply to the part before it."""

    text: str
    media: Sequence[Media] = ()


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
    # What follows as replies: the rest of a thread, or a first comment.
    parts: Sequence[Part] = ()
    # Per account id: its own text, link, hashtags, or texts of the following parts.
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    too_late_after: timedelta | None = DAY
    campaign: str = ""
    # False refuses what the account has said within 30 days or is about to say.
    allow_duplicate: bool = True
    # True keeps it a draft, False hands a draft in; None leaves it to persona and post.
    as_draft: bool | None = None
    # Whether they were made with AI; None is as the persona has it.
    text_by_ai: bool | None = None
    media_by_ai: bool | None = None

    @property
    def all_media(self) -> list[Sequence[Media]]:
        """The media of each part, the first included."""
        return [self.media, *(part.media for part in self.parts)]


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
            post=post, account=account, override=override, media=draft.all_media
        ):
            place = "overrides" if problem.field in override else problem.field
            problems.append((place, problem.code, f"{account}: {problem.message}"))
        problems += _part_problems(post, override)
    return problems


def _part_problems(post: Post, override: dict[str, Any]) -> list[tuple[str, str, str]]:
    texts = [override.get("text", post.text), *composing.following(post, override)]
    if len(texts) > MOST_PARTS:
        return [("parts", "too_many", f"At most {MOST_PARTS} parts.")]
    said = [" ".join(text.split()) for text in texts]
    if len(set(said)) < len(said):
        # A network that is asked what arrived could take one for the other.
        return [("parts", "repeated", "Two parts say the same.")]
    return []


def post_of(draft: Draft, *, by: User | None) -> Post:
    """The draft as a row that is not stored."""
    usual = draft.persona.made_with_ai
    return Post(
        persona=draft.persona,
        text=draft.text,
        link=draft.link,
        hashtags=[tag.removeprefix("#") for tag in draft.hashtags],
        parts=[{"text": part.text} for part in draft.parts],
        scheduled_at=draft.scheduled_at,
        too_late_after=draft.too_late_after,
        campaign=draft.campaign,
        text_by_ai=usual if draft.text_by_ai is None else draft.text_by_ai,
        media_by_ai=usual if draft.media_by_ai is None else draft.media_by_ai,
        created_by=by,
    )


def new_post(draft: Draft, *, by: User | None) -> Post:
    """The draft as an unsaved post that stands where it may with those who approve."""
    post = post_of(draft, by=by)
    set_approval(post, approval_of(draft, before=None), by=by)
    return post


def approval_of(draft: Draft, *, before: Post | None) -> Post.Approval:
    """Where a post stands with its new content: what was approved before is asked about anew."""
    if draft.as_draft or (before and before.approval == Approval.DRAFT and draft.as_draft is None):
        return Approval.DRAFT
    return Approval.IN_REVIEW if draft.persona.needs_approval else Approval.APPROVED


def set_approval(post: Post, approval: Post.Approval, *, by: User | None) -> None:
    """Write where a post stands, and by whose leave."""
    approved = approval == Approval.APPROVED
    post.approval = approval
    post.approved_by = by if approved else None
    post.approved_at = timezone.now() if approved else None


def waiting_state(post: Post) -> Delivery.State:
    """The state of what has not gone out: only what is approved may be claimed."""
    return State.SCHEDULED if post.approval == Approval.APPROVED else State.AWAITING


def ask_for_approval(post: Post) -> None:
    """Tell those who approve that this post waits for them, if it does."""
    if post.approval == Approval.IN_REVIEW:
        alerts.alert(
            key=f"approval:{post.pk}",
            title=f"For approval: {post}",
            body=f"{post.persona} wants to say it at {post.scheduled_at:%Y-%m-%d %H:%M %Z}.",
            path=f"/admin/scheduling/post/{post.pk}/change/",
            level="info",
        )


def like(post: Post, *, accounts: Sequence[SocialAccount], at: datetime) -> Draft:
    """The draft of another post like this one, for these of its accounts."""
    rows = post.deliveries.filter(account__in=accounts, part=0)
    parts = parts_of(post.parts, post.postmedia_set.select_related("media"))
    return Draft(
        persona=post.persona,
        accounts=accounts,
        scheduled_at=at,
        text=post.text,
        link=post.link,
        hashtags=post.hashtags,
        media=parts[0].media,
        parts=parts[1:],
        overrides={str(row.account_id): row.override for row in rows if row.override},
        too_late_after=post.too_late_after,
        campaign=post.campaign,
        text_by_ai=post.text_by_ai,
        media_by_ai=post.media_by_ai,
    )


def parts_of(parts: Sequence[Mapping[str, Any]], media: Iterable[Any]) -> list[Part]:
    """Stored parts with their media; the first stands for the post itself and has no text."""
    places = list(media)
    return [
        Part(text=part["text"], media=[each.media for each in places if each.part == number])
        for number, part in enumerate([{"text": ""}, *parts])
    ]


def store(
    draft: Draft, *, by: User | None, in_slot: bool = False, ask: bool = True
) -> tuple[Post, list[Delivery]]:
    """Write the post with one delivery per account, in its time's slot if asked.

    `ask` tells those who approve, where that is needed.

    The caller has checked the draft and holds a transaction.
    """
    post = new_post(draft, by=by)
    post.save()
    attach(post, draft)
    deliveries = deliveries_of(post, draft, in_slot=in_slot)
    Delivery.objects.bulk_create(deliveries)
    if ask:
        ask_for_approval(post)
    return post, deliveries


def deliveries_of(post: Post, draft: Draft, *, in_slot: bool = False) -> list[Delivery]:
    """The unsaved deliveries of a post."""
    return [
        row
        for account in draft.accounts
        for row in thread_of(post, account, draft, known={}, in_slot=in_slot)
    ]


def thread_of(
    post: Post,
    account: SocialAccount,
    draft: Draft,
    *,
    known: Mapping[tuple[UUID, int], Delivery],
    in_slot: bool = False,
) -> list[Delivery]:
    """The deliveries of a post on one account, one per part, each after the one before.

    `known` has those there are already, by account and part. Only the first can come too late:
    once it is out, the rest follows however long it takes.
    """
    override = dict(draft.overrides.get(str(account.pk), {}))
    before: Delivery | None = None
    rows = []
    for part in range(1 + len(composing.following(post, override))):
        row = known.get((account.pk, part)) or Delivery(
            post=post,
            account=account,
            part=part,
            state=waiting_state(post),
            key=publishers[account.network].new_key(),
        )
        # Known rows came from the database with a post of their own.
        row.post = post
        row.fingerprint = "" if part else duplicates.fingerprint(post, override, draft.media)
        row.due_at, row.override, row.after = draft.scheduled_at, override, before
        row.too_late_at = None if part else post.too_late_at
        row.slot_at = draft.scheduled_at if in_slot and not part else None
        before = row
        rows.append(row)
    return rows


def attach(post: Post, draft: Draft) -> None:
    """Give the post its media, part by part, in this order."""
    places = [(part, media) for part, each in enumerate(draft.all_media) for media in each]
    PostMedia.objects.bulk_create(
        PostMedia(post=post, media=media, part=part, position=position)
        for position, (part, media) in enumerate(places)
    )
