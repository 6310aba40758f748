"""Approval, as verbs: hand in, approve, send back, and what staff say to each other about a post.

A post that is not approved has only `awaiting` deliveries, and nothing but `approve` makes them
`scheduled`: the claim cannot take what nobody has approved.
"""

from django.db import transaction
from django.utils import timezone

from apps.core import audit
from apps.core.errors import Refused, WrongState
from apps.core.models import User
from apps.scheduling import drafting, removing, services
from apps.scheduling.models import Delivery, Post, PostComment

State = Delivery.State
Approval = Post.Approval

LONGEST_COMMENT = 2_000


def _locked(post: Post) -> Post:
    return Post.objects.select_for_update(of=("self",)).select_related("persona").get(pk=post.pk)


def submit_post(post: Post, *, by: User | None) -> Post:
    """Hand a draft in: for review, or straight on where its persona needs none."""
    with transaction.atomic():
        row = _locked(post)
        if row.approval != Approval.DRAFT:
            raise WrongState(f"It is no draft: {row.get_approval_display().lower()}.")
        if not row.persona.needs_approval:
            _let_go(row, by=by, action="schedule draft")
            return row
        row.approval = Approval.IN_REVIEW
        row.save(update_fields=["approval"])
        audit.record(actor=by, action="submit post", about=row)
        drafting.ask_for_approval(row)
    return row


def approve_post(post: Post, *, revision: int | None = None, by: User | None) -> Post:
    """Let a post go out at its time; `revision` is the one that was read.

    Raises WrongState when it is approved already, has changed since, or its time is over.
    """
    with transaction.atomic():
        row = _locked(post)
        if row.approval == Approval.APPROVED:
            raise WrongState("It is approved already.")
        if revision is not None and revision != row.revision:
            raise WrongState("It was changed after you read it: read it again, then approve.")
        _let_go(row, by=by, action="approve post")
    return row


def _let_go(row: Post, *, by: User | None, action: str) -> None:
    now = timezone.now()
    if row.too_late_at is not None and row.too_late_at <= now:
        raise WrongState("Its time is over: give it a new one first.")
    row.approval, row.approved_by, row.approved_at = Approval.APPROVED, by, now
    row.save(update_fields=["approval", "approved_by", "approved_at"])
    waiting = row.deliveries.filter(state=State.AWAITING)
    # After a restore the network may be ahead of the database: it is asked before anything is sent.
    waiting.filter(maybe_sent=True).update(state=State.UNCONFIRMED, due_at=now, changed_at=now)
    ids = list(waiting.values_list("pk", flat=True))
    waiting.update(state=State.SCHEDULED, changed_at=now)
    # What it corrects is taken away first; until then it is held.
    removing.begin_replacing(row.pk)
    audit.record(actor=by, action=action, about=row, revision=row.revision)
    services.wake_after_commit(ids, at=row.scheduled_at)


def send_back(post: Post, *, reason: str, by: User | None) -> Post:
    """Make a post a draft again, with the reason as a comment; not once a network may have it."""
    now = timezone.now()
    with transaction.atomic():
        row = _locked(post)
        if row.approval == Approval.DRAFT:
            raise WrongState("It is a draft already.")
        deliveries = list(row.deliveries.select_for_update())
        open_ones = (State.AWAITING, State.SCHEDULED, State.HELD, State.CANCELLED)
        if any(each.state not in open_ones or each.maybe_sent for each in deliveries):
            raise WrongState("Part of this post is out or on its way.")
        row.approval, row.approved_by, row.approved_at = Approval.DRAFT, None, None
        row.save(update_fields=["approval", "approved_by", "approved_at"])
        row.deliveries.filter(state__in=[State.SCHEDULED, State.HELD]).update(
            state=State.AWAITING, changed_at=now
        )
        audit.record(actor=by, action="send post back", about=row, reason=reason[:300])
        if reason.strip():
            comment_on(row, text=reason, by=by)
    return row


def comment_on(post: Post, *, text: str, by: User | None) -> PostComment:
    """Say something about a post, to the others on the staff."""
    text = text.strip()
    if not text:
        raise Refused(("text", "required", "Write something."))
    if len(text) > LONGEST_COMMENT:
        words = f"At most {LONGEST_COMMENT:,} characters."
        raise Refused(("text", "max_length", words))
    return PostComment.objects.create(post=post, author=by, text=text)
