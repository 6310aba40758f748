"""What may be asked of scheduling: schedule, change, cancel, publish now, retry, decide, release.

Every verb checks who is asked to do what, in one transaction, and wakes a worker after the commit.
Refusals are `Refused`, with the fields they concern; nothing is stored then.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core import audit
from apps.core.errors import Duplicate as Duplicate
from apps.core.errors import Refused as Refused
from apps.core.errors import WrongState as WrongState
from apps.core.fields import Sealed
from apps.core.models import User
from apps.personas import services as personas
from apps.scheduling import (
    composing,
    drafting,
    duplicates,
    health,
    hooks,
    outcomes,
    removing,
    tasks,
    uploads,
    video,
)
from apps.scheduling.drafting import Draft as Draft
from apps.scheduling.drafting import problems_of as problems_of
from apps.scheduling.models import Attempt, Delivery, Media, Occurrence, Post, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Receipt

State = Delivery.State
Approval = Post.Approval

# What is due sooner than the sweep would find it is woken by the request itself.
WAKE_WITHIN = tasks.LOOKAHEAD


# -- Posts --------------------------------------------------------------------------------------


def measure(draft: Draft) -> dict[UUID, composing.Measure]:
    """How each account's network counts this draft, and what it would refuse."""
    post = drafting.post_of(draft, by=None)
    return {
        account.pk: composing.measure(
            post=post,
            account=account,
            override=dict(draft.overrides.get(str(account.pk), {})),
            media=draft.all_media,
        )
        for account in draft.accounts
    }


def schedule_post(draft: Draft, *, by: User | None) -> Post:
    """Store the post with one delivery per account, or raise Refused and store nothing."""
    if problems := problems_of(draft):
        raise Refused(*problems)
    with transaction.atomic():
        _refuse_duplicates(draft)
        post, deliveries = drafting.store(draft, by=by)
        wake_after_commit([row.pk for row in deliveries], at=draft.scheduled_at)
    return post


def duplicates_of(draft: Draft, *, but: Post | None = None) -> list[tuple[str, str, str]]:
    """Where the same is out or on its way already, as problems of the draft."""
    if draft.allow_duplicate:
        return []
    at = draft.scheduled_at
    marks = {
        account.pk: duplicates.fingerprint(
            draft, draft.overrides.get(str(account.pk), {}), draft.media
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


def wake_after_commit(delivery_ids: Collection[UUID], *, at: datetime) -> None:
    """Have a worker woken once this is committed, if the sweep would come too late."""
    if delivery_ids and at <= timezone.now() + WAKE_WITHIN:
        # robust: a broker that is down must not fail a request whose rows are committed.
        transaction.on_commit(partial(tasks.wake, delivery_ids, at=at), robust=True)


def may_change(post: Post) -> bool:
    """Whether `change_post` would take it: no network has seen any of it, or may have."""
    return _unseen(list(post.deliveries.all()))


def _unseen(rows: Sequence[Delivery]) -> bool:
    return all(row.state in Delivery.CHANGEABLE and not row.maybe_sent for row in rows)


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
        slots_before = {row.pk: row.slot_at for row in rows}
        fresh = drafting.post_of(draft, by=post.created_by)
        fresh.pk, fresh.created_at, fresh._state.adding = post.pk, post.created_at, False
        fresh.revision = before.revision + 1
        drafting.set_approval(fresh, drafting.approval_of(draft, before=before), by=by)
        fresh.save()
        post.postmedia_set.all().delete()
        drafting.attach(fresh, draft)
        known = {(row.account_id, row.part): row for row in rows}
        wanted = [
            row
            for account in draft.accounts
            for row in drafting.thread_of(fresh, account, draft, known=known)
        ]
        post.deliveries.exclude(pk__in=[row.pk for row in wanted]).delete()
        for row in wanted:
            if slots_before.get(row.pk) == fresh.scheduled_at:
                row.slot_at = fresh.scheduled_at
            _begin_anew(row)
        # A post of a series that was written over is no longer changed with the series.
        Occurrence.objects.filter(post=fresh).update(is_edited=True)
        # A correction stays behind what it corrects.
        removing.begin_replacing(fresh.pk)
        audit.record(actor=by, action="change post", about=fresh, approval=fresh.approval)
        drafting.ask_for_approval(fresh)
        wake_after_commit(
            list(fresh.deliveries.values_list("pk", flat=True)), at=fresh.scheduled_at
        )
    return fresh


def move_post(post: Post, *, at: datetime, by: User | None) -> Post:
    """Give a post that no network has seen another time; raises WrongState once one may have."""
    if at < timezone.now() - drafting.GRACE:
        raise Refused(("scheduled_at", "in_the_past", "This time has passed."))
    with transaction.atomic():
        rows = list(post.deliveries.select_for_update().order_by("part"))
        if not rows or not _unseen(rows):
            raise WrongState("Part of this post is out, on its way, or given up.")
        before, post.scheduled_at = post.scheduled_at, at
        post.save(update_fields=["scheduled_at"])
        for row in rows:
            row.due_at, row.slot_at = at, None
            row.too_late_at = None if row.part else post.too_late_at
            _begin_anew(row)
        Occurrence.objects.filter(post=post).update(is_edited=True)
        audit.record(
            actor=by, action="move post", about=post, before=before.isoformat(), at=at.isoformat()
        )
        wake_after_commit([row.pk for row in rows], at=at)
    return post


def _begin_anew(row: Delivery) -> None:
    if row.state != State.HELD or row.post.approval != Approval.APPROVED:
        row.state = drafting.waiting_state(row.post)
    row.frozen, row.progress, row.retries = {}, {}, 0
    row.error = row.error_code = ""
    row.changed_at = timezone.now()
    row.save()


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
            row.too_late_at = None if limit is None or row.part else now + limit
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
            remote_id = publishers[row.account.network].id_in(url)
            receipt = Receipt(remote_id=remote_id, url=url)
            changes = outcomes.as_published(receipt, now)
            waiting.update(**changes)
            hooks.note([(row, changes)])
            row.refresh_from_db()
            personas.remember([outcomes.memory(row, receipt, now)])
        elif answer == "post_again":
            waiting.update(maybe_sent=False)
            send_soon(waiting, about=row, by=by, action="post again")
        else:
            waiting.update(state=State.CANCELLED, changed_at=now)
            _cancel_what_follows(row)
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
        _cancel_what_follows(delivery)
        audit.record(actor=by, action="cancel", about=delivery)
    delivery.refresh_from_db()
    return delivery


def _cancel_what_follows(delivery: Delivery) -> None:
    """The later parts of a thread have nothing to reply to any more."""
    Delivery.objects.filter(
        post=delivery.post_id,
        account=delivery.account_id,
        part__gt=delivery.part,
        state__in=[State.SCHEDULED, State.HELD, State.FAILED, State.MISSED],
    ).update(state=State.CANCELLED, changed_at=timezone.now())


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
                state=drafting.waiting_state(row.post),
                too_late_at=now + limit
                if late and limit is not None and not row.part
                else row.too_late_at,
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
    account.status_detail = account.follow_up_detail = ""
    account.save(update_fields=["credentials", "status", "status_detail", "follow_up_detail"])
    audit.record(actor=by, action="change credentials", about=account)


def test_account(account: SocialAccount) -> SocialAccount:
    """Ask the network whose credentials these are, publishing nothing, and keep the answer.

    The account is then `working` with what the server said of its limits, or `reconnect`; a
    network that does not answer changes nothing but the detail.
    """
    return health.test(account)


# -- Media --------------------------------------------------------------------------------------


def add_media(file: BinaryIO, *, size: int, alt: str = "", by: User | None) -> Media:
    """Keep an uploaded picture or video; raises Refused when its content is none we can publish."""
    try:
        media = uploads.read_media(file, size=size, alt=alt)
    except uploads.NotAnImage as error:
        raise Refused(("file", "not_an_image", str(error))) from None
    except video.NotAVideo as error:
        raise Refused(("file", "not_a_video", str(error))) from None
    media.uploaded_by = by
    media.save()
    return media
