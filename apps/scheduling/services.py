"""What may be asked of scheduling: schedule, change, cancel, publish now, retry, decide, release.

Every verb checks who is asked to do what, in one transaction, and wakes a worker after the commit.
Refusals are `Refused`, with the fields they concern; nothing is stored then.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core import alerts, audit
from apps.core.errors import Duplicate as Duplicate
from apps.core.errors import Refused as Refused
from apps.core.errors import WrongState as WrongState
from apps.core.fields import Sealed
from apps.core.models import User
from apps.personas import services as personas
from apps.personas.models import Persona
from apps.scheduling import (
    composing,
    duplicates,
    health,
    hooks,
    outcomes,
    removing,
    tasks,
    uploads,
)
from apps.scheduling.models import DAY, Attempt, Delivery, Media, Post, PostMedia, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Receipt

State = Delivery.State
Approval = Post.Approval

# A time that was "now" when somebody pressed the button is not yet the past.
GRACE = timedelta(minutes=1)
# What is due sooner than the sweep would find it is woken by the request itself.
WAKE_WITHIN = tasks.LOOKAHEAD
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
    campaign: str = ""
    # False refuses what the account has said within 30 days or is about to say.
    allow_duplicate: bool = True
    # True keeps it a draft, False hands a draft in; None leaves it to persona and post.
    as_draft: bool | None = None
    # Whether they were made with AI; None is as the persona has it.
    text_by_ai: bool | None = None
    media_by_ai: bool | None = None


# -- Posts --------------------------------------------------------------------------------------


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


def measure(draft: Draft) -> dict[UUID, composing.Measure]:
    """How each account's network counts this draft, and what it would refuse."""
    post = post_of(draft, by=None)
    return {
        account.pk: composing.measure(
            post=post,
            account=account,
            override=dict(draft.overrides.get(str(account.pk), {})),
            media=draft.media,
        )
        for account in draft.accounts
    }


def post_of(draft: Draft, *, by: User | None) -> Post:
    """The draft as an unsaved post."""
    usual = draft.persona.made_with_ai
    return Post(
        persona=draft.persona,
        text=draft.text,
        link=draft.link,
        hashtags=[tag.removeprefix("#") for tag in draft.hashtags],
        scheduled_at=draft.scheduled_at,
        too_late_after=draft.too_late_after,
        campaign=draft.campaign,
        text_by_ai=usual if draft.text_by_ai is None else draft.text_by_ai,
        media_by_ai=usual if draft.media_by_ai is None else draft.media_by_ai,
        created_by=by,
    )


def schedule_post(draft: Draft, *, by: User | None) -> Post:
    """Store the post with one delivery per account, or raise Refused and store nothing."""
    if problems := problems_of(draft):
        raise Refused(*problems)
    with transaction.atomic():
        _refuse_duplicates(draft)
        post = new_post(draft, by=by)
        post.save()
        _attach(post, draft.media)
        deliveries = deliveries_of(post, draft)
        Delivery.objects.bulk_create(deliveries)
        ask_for_approval(post)
        wake_after_commit([row.pk for row in deliveries], at=draft.scheduled_at)
    return post


def new_post(draft: Draft, *, by: User | None) -> Post:
    """The draft as an unsaved post that stands where it may with those who approve."""
    post = post_of(draft, by=by)
    _set_approval(post, _approval_of(draft, before=None), by=by)
    return post


def deliveries_of(post: Post, draft: Draft) -> list[Delivery]:
    """The unsaved deliveries of a post."""
    return [
        Delivery(
            post=post,
            account=account,
            state=_waiting_state(post),
            due_at=draft.scheduled_at,
            too_late_at=post.too_late_at,
            override=override,
            fingerprint=duplicates.fingerprint(post, override, draft.media),
            key=publishers[account.network].new_key(),
        )
        for account in draft.accounts
        for override in [dict(draft.overrides.get(str(account.pk), {}))]
    ]


def duplicates_of(draft: Draft, *, but: Post | None = None) -> list[tuple[str, str, str]]:
    """Where the same is out or on its way already, as problems of the draft."""
    if draft.allow_duplicate:
        return []
    post, at = post_of(draft, by=None), draft.scheduled_at
    marks = {
        account.pk: duplicates.fingerprint(
            post, draft.overrides.get(str(account.pk), {}), draft.media
        )
        for account in draft.accounts
    }
    # What a post says already it may go on saying.
    said = set(but.deliveries.values_list("account", "fingerprint")) if but else set()
    wanted = [(pk, mark, at) for pk, mark in marks.items() if (pk, mark) not in said]
    there = duplicates.known(wanted, but=but)
    return [
        ("accounts", "duplicate", duplicates.words(account, there[account.pk, marks[account.pk]]))
        for account in draft.accounts
        if (account.pk, marks[account.pk]) in there
    ]


def _refuse_duplicates(draft: Draft, *, but: Post | None = None) -> None:
    if draft.allow_duplicate:
        return
    # Locked, so that of two equal requests at the same moment the second sees the first.
    ids = [account.pk for account in draft.accounts]
    list(SocialAccount.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    if found := duplicates_of(draft, but=but):
        raise Duplicate(*found)


def _approval_of(draft: Draft, *, before: Post | None) -> Post.Approval:
    """Where a post stands with its new content: what was approved before is asked about anew."""
    if draft.as_draft or (before and before.approval == Approval.DRAFT and draft.as_draft is None):
        return Approval.DRAFT
    return Approval.IN_REVIEW if draft.persona.needs_approval else Approval.APPROVED


def _set_approval(post: Post, approval: Post.Approval, *, by: User | None) -> None:
    approved = approval == Approval.APPROVED
    post.approval = approval
    post.approved_by = by if approved else None
    post.approved_at = timezone.now() if approved else None


def _waiting_state(post: Post) -> Delivery.State:
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


def _attach(post: Post, media: Sequence[Media]) -> None:
    if media:
        PostMedia.objects.bulk_create(
            PostMedia(post=post, media=each, position=position)
            for position, each in enumerate(media)
        )


def wake_after_commit(delivery_ids: Collection[UUID], *, at: datetime) -> None:
    """Have a worker woken once this is committed, if the sweep would come too late."""
    if delivery_ids and at <= timezone.now() + WAKE_WITHIN:
        # robust: a broker that is down must not fail a request whose rows are committed.
        transaction.on_commit(partial(tasks.wake, delivery_ids, at=at), robust=True)


def may_change(post: Post) -> bool:
    """Whether `change_post` would take it: no network has seen any of it, or may have."""
    return _unseen(list(post.deliveries.all()))


def _unseen(rows: Sequence[Delivery]) -> bool:
    changeable = (State.AWAITING, State.SCHEDULED, State.HELD, State.FAILED, State.MISSED)
    return all(row.state in changeable and not row.maybe_sent for row in rows)


def change_post(post: Post, draft: Draft, *, by: User | None) -> Post:
    """Replace a post that no network has seen; raises WrongState once one may have."""
    if problems := problems_of(draft):
        raise Refused(*problems)
    if draft.persona.pk != post.persona_id:
        raise Refused(("persona", "fixed", "A post stays with its persona; make a new one."))
    with transaction.atomic():
        # The post first, then its deliveries, as approving does: no deadlock.
        before = Post.objects.select_for_update().get(pk=post.pk)
        rows = list(post.deliveries.select_for_update())
        if not _unseen(rows):
            raise WrongState("Part of this post is out, on its way, or given up.")
        _refuse_duplicates(draft, but=post)
        fresh = post_of(draft, by=post.created_by)
        fresh.pk, fresh.created_at, fresh._state.adding = post.pk, post.created_at, False
        fresh.revision = before.revision + 1
        _set_approval(fresh, _approval_of(draft, before=before), by=by)
        fresh.save()
        post.postmedia_set.all().delete()
        _attach(fresh, draft.media)
        known = {row.account_id: row for row in rows}
        wanted = {account.pk: account for account in draft.accounts}
        post.deliveries.exclude(account__in=wanted).delete()
        for pk, account in wanted.items():
            row = known.get(pk) or Delivery(
                post=fresh, account=account, key=publishers[account.network].new_key()
            )
            if row.state != State.HELD or fresh.approval != Approval.APPROVED:
                row.state = _waiting_state(fresh)
            row.due_at, row.too_late_at = fresh.scheduled_at, fresh.too_late_at
            row.override = dict(draft.overrides.get(str(pk), {}))
            row.fingerprint = duplicates.fingerprint(fresh, row.override, draft.media)
            row.frozen, row.progress, row.retries = {}, {}, 0
            row.error = row.error_code = ""
            row.changed_at = timezone.now()
            row.save()
        # A correction stays behind what it corrects.
        removing.begin_replacing(fresh.pk)
        audit.record(actor=by, action="change post", about=fresh, approval=fresh.approval)
        ask_for_approval(fresh)
        wake_after_commit(
            list(fresh.deliveries.values_list("pk", flat=True)), at=fresh.scheduled_at
        )
    return fresh


def cancel_post(post: Post, *, by: User | None) -> int:
    """Cancel what has not gone out; returns how many deliveries, raises WrongState for none."""
    now = timezone.now()
    with transaction.atomic():
        open_ones = post.deliveries.filter(
            state__in=[State.AWAITING, State.SCHEDULED, State.HELD], maybe_sent=False
        )
        count = open_ones.update(state=State.CANCELLED, changed_at=now)
        if not count:
            raise WrongState("Nothing of this post is waiting any more.")
        audit.record(actor=by, action="cancel post", about=post, deliveries=count)
    return count


def publish_now(post: Post, *, by: User | None) -> int:
    """Make what is waiting due at once; returns how many deliveries, raises WrongState for none."""
    return send_soon(
        post.deliveries.filter(state=State.SCHEDULED), about=post, by=by, action="publish now"
    )


def publish_delivery_now(delivery: Delivery, *, by: User | None) -> Delivery:
    """Make one waiting delivery due at once; raises WrongState unless it waits."""
    rows = Delivery.objects.filter(pk=delivery.pk, state=State.SCHEDULED)
    send_soon(rows, about=delivery, by=by, action="publish now")
    delivery.refresh_from_db()
    return delivery


def send_soon(rows: Any, *, about: Post | Delivery, by: User | None, action: str) -> int:
    """Make what is approved among `rows` due at once; raises WrongState where nothing is."""
    now = timezone.now()
    with transaction.atomic():
        # No verb is a way around approval.
        rows = rows.filter(post__approval=Approval.APPROVED)
        chosen = list(rows.select_for_update(of=("self",)).select_related("post"))
        if not chosen:
            raise WrongState("Nothing here is in a state to be sent.")
        for row in chosen:
            limit = row.post.too_late_after
            row.state, row.due_at, row.changed_at = State.SCHEDULED, now, now
            # Whoever asks for it now does not want it refused for being late.
            row.too_late_at = None if limit is None else now + limit
            row.retries, row.error, row.error_code = 0, "", ""
            if not row.maybe_sent:
                row.frozen, row.progress = {}, {}
            row.save()
        audit.record(actor=by, action=action, about=about, deliveries=len(chosen))
        wake_after_commit([row.pk for row in chosen], at=now)
    return len(chosen)


# -- Deliveries ---------------------------------------------------------------------------------


def retry_delivery(delivery: Delivery, *, by: User | None) -> Delivery:
    """Send a failed or missed delivery again, now."""
    rows = Delivery.objects.filter(pk=delivery.pk, state__in=[State.FAILED, State.MISSED])
    send_soon(rows, about=delivery, by=by, action="retry")
    delivery.refresh_from_db()
    return delivery


def resolve_delivery(
    delivery: Delivery, *, answer: str, url: str = "", by: User | None
) -> Delivery:
    """Settle what nothing but a person could tell.

    `answer`: "posted" (it is there, at `url` if known), "post_again" (it is not), "leave" (do
    nothing more). Raises WrongState unless the delivery needs a decision.
    """
    now = timezone.now()
    waiting = Delivery.objects.filter(pk=delivery.pk, state=State.NEEDS_REVIEW)
    words = {
        "posted": "A person found it on the network.",
        "post_again": "A person looked: it is not there.",
        "leave": "A person decided to leave it.",
    }
    if answer not in words:
        raise Refused(("answer", "unknown", f"Answer one of {', '.join(words)}."))
    with transaction.atomic():
        row = waiting.select_for_update().select_related("post", "account").first()
        if row is None:
            raise WrongState("This delivery does not wait for a decision.")
        if answer == "posted":
            changes = outcomes.as_published(Receipt(remote_id="", url=url), now)
            waiting.update(**changes)
            hooks.note([(row, changes)])
            row.refresh_from_db()
            personas.remember([outcomes.memory(row, Receipt(remote_id="", url=url), now)])
        elif answer == "post_again":
            waiting.update(maybe_sent=False)
            send_soon(waiting, about=row, by=by, action="post again")
        else:
            waiting.update(state=State.CANCELLED, changed_at=now)
        Attempt.objects.create(
            delivery=row,
            claim=row.pk,
            finished_at=now,
            outcome=Attempt.Outcome.FOUND if answer == "posted" else Attempt.Outcome.ABSENT,
            detail=f"{words[answer]} ({by.username if by else 'gator'})",
        )
        audit.record(actor=by, action=f"resolve: {answer}", about=row, url=url)
    delivery.refresh_from_db()
    return delivery


def cancel_delivery(delivery: Delivery, *, by: User | None) -> Delivery:
    """Cancel one delivery that waits and that no network can have seen; else raises WrongState."""
    waiting = [State.AWAITING, State.SCHEDULED, State.HELD]
    rows = Delivery.objects.filter(pk=delivery.pk, state__in=waiting, maybe_sent=False)
    with transaction.atomic():
        if not rows.update(state=State.CANCELLED, changed_at=timezone.now()):
            raise WrongState("Only what waits and cannot be out yet can be cancelled.")
        audit.record(actor=by, action="cancel", about=delivery)
    delivery.refresh_from_db()
    return delivery


def hold_delivery(delivery: Delivery, *, by: User | None) -> Delivery:
    """Keep one waiting delivery back until it is released."""
    rows = Delivery.objects.filter(pk=delivery.pk, state=State.SCHEDULED)
    with transaction.atomic():
        if not rows.update(state=State.HELD, changed_at=timezone.now()):
            raise WrongState("Only a scheduled delivery can be held.")
        audit.record(actor=by, action="hold", about=delivery)
    delivery.refresh_from_db()
    return delivery


def release_delivery(delivery: Delivery, *, by: User | None) -> Delivery:
    """Let a held delivery go on; one whose time has passed is first looked for on its network."""
    now = timezone.now()
    with transaction.atomic():
        rows = Delivery.objects.filter(pk=delivery.pk, state=State.HELD)
        row = rows.select_for_update().select_related("post").first()
        if row is None:
            raise WrongState("This delivery is not held.")
        if row.replaces is not None and row.replaces.state == State.REMOVING:
            raise WrongState("It goes out by itself once what it corrects is gone.")
        limit = row.post.too_late_after
        if row.maybe_sent:
            # The database may be older than the network: what was due may have gone out.
            rows.update(state=State.UNCONFIRMED, due_at=now, changed_at=now)
        else:
            late = row.due_at <= now and limit is not None
            rows.update(
                state=_waiting_state(row.post),
                too_late_at=now + limit if late and limit is not None else row.too_late_at,
                changed_at=now,
            )
        audit.record(actor=by, action="release", about=delivery)
        wake_after_commit([row.pk], at=row.due_at)
    delivery.refresh_from_db()
    return delivery


def hold_unfinished(**about: Any) -> None:
    """After a restore: nothing goes out until a person releases it (event `database_restored`).

    What was due, or had been tried, may be on its network already; releasing it looks there first.
    """
    now = timezone.now()
    with transaction.atomic():
        unfinished = Delivery.objects.unfinished().exclude(state=State.HELD)
        unfinished.filter(due_at__lte=now).update(maybe_sent=True)
        unfinished.filter(attempts__isnull=False).update(maybe_sent=True)
        # What nobody has approved stays where it is; approving it looks at its network first.
        awaiting = Delivery.objects.filter(state=State.AWAITING, due_at__lte=now)
        awaiting.update(maybe_sent=True)
        count = unfinished.update(state=State.HELD, claim=None, lease_until=None, changed_at=now)
        audit.record(actor=None, action="hold everything unfinished", deliveries=count)


# -- Accounts -----------------------------------------------------------------------------------


def set_credentials(
    account: SocialAccount, credentials: Mapping[str, Any], *, by: User | None
) -> None:
    """Replace an account's credentials; what waits for it goes on once a test succeeds."""
    account.credentials = Sealed.of(dict(credentials))
    account.status = SocialAccount.Status.UNTESTED
    account.status_detail = ""
    account.save(update_fields=["credentials", "status", "status_detail"])
    audit.record(actor=by, action="change credentials", about=account)


def test_account(account: SocialAccount) -> SocialAccount:
    """Ask the network whose credentials these are, publishing nothing, and keep the answer.

    The account is then `working` with what the server said of its limits, or `reconnect`; a
    network that does not answer changes nothing but the detail.
    """
    return health.test(account)


# -- Media --------------------------------------------------------------------------------------


def add_media(file: BinaryIO, *, size: int, alt: str = "", by: User | None) -> Media:
    """Keep an uploaded image; raises Refused when its content is not an image we can publish."""
    try:
        media = uploads.read_image(file, size=size, alt=alt)
    except uploads.NotAnImage as error:
        raise Refused(("file", "not_an_image", str(error))) from None
    media.uploaded_by = by
    media.save()
    return media
