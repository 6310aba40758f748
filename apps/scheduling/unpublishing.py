"""Unpublish, as verbs: take a post off its network, note that somebody did, correct and repost."""

from django.db import transaction
from django.utils import timezone

from apps.core import audit
from apps.core.errors import Refused, WrongState
from apps.core.models import User
from apps.scheduling import removing, services, tasks
from apps.scheduling.models import Attempt, Delivery, Post
from apps.scheduling.networks import publishers
from apps.scheduling.services import Draft

State = Delivery.State


def can_unpublish(delivery: Delivery) -> bool:
    """Whether this delivery is out, on a network that lets programs delete posts."""
    network = delivery.account.network
    return (
        delivery.state == State.PUBLISHED
        and network in publishers
        and publishers[network].can_unpublish
    )


def unpublish_delivery(delivery: Delivery, *, by: User | None) -> Delivery:
    """Have a published post removed from its network; the ledger says what comes of it."""
    if delivery.state == State.PUBLISHED and not can_unpublish(delivery):
        label = publishers[delivery.account.network].label
        words = f"{label} lets no program delete posts: delete it there, then say so here."
        raise Refused(("network", "cannot_unpublish", words))
    with transaction.atomic():
        if not removing.begin(Delivery.objects.filter(pk=delivery.pk)):
            raise WrongState("Only what is published can be removed.")
        audit.record(actor=by, action="unpublish", about=delivery)
        transaction.on_commit(tasks.wake_removals, robust=True)
    delivery.refresh_from_db()
    return delivery


def unpublish_post(post: Post, *, by: User | None) -> int:
    """Have a post removed wherever it is published; how many, raises WrongState for none."""
    rows = [row for row in post.deliveries.select_related("account") if can_unpublish(row)]
    if not rows:
        raise WrongState("Nothing of this post is where it could be removed from here.")
    with transaction.atomic():
        count = removing.begin(Delivery.objects.filter(pk__in=[row.pk for row in rows]))
        audit.record(actor=by, action="unpublish", about=post, deliveries=count)
        transaction.on_commit(tasks.wake_removals, robust=True)
    return count


def mark_removed(delivery: Delivery, *, by: User | None) -> Delivery:
    """Note that somebody removed it by hand."""
    now = timezone.now()
    with transaction.atomic():
        rows = Delivery.objects.filter(pk=delivery.pk, state=State.PUBLISHED)
        row = rows.select_for_update(of=("self",)).select_related("post", "account").first()
        if row is None:
            raise WrongState("Only what is published can be removed.")
        changes = {"state": State.REMOVED, "removed_at": now, "changed_at": now}
        rows.update(**changes)
        Attempt.objects.create(
            delivery=row,
            claim=row.pk,
            finished_at=now,
            outcome=Attempt.Outcome.REMOVED,
            detail=f"Removed by hand ({by.username if by else 'gator'})",
        )
        removing.as_removed(row, changes)
        audit.record(actor=by, action="mark removed", about=row)
    delivery.refresh_from_db()
    return delivery


def correct_and_repost(post: Post, draft: Draft, *, by: User | None) -> Post:
    """A corrected post in place of one that is out: the old one is removed first.

    Where the network lets no program delete posts the correction is refused, since both would be
    there. A correction that needs approval removes nothing until it is approved.
    """
    old = {row.account_id: row for row in post.deliveries.select_related("account")}
    out = [row for row in old.values() if row.state == State.PUBLISHED]
    if not out:
        raise WrongState("Nothing of this post is out: change it instead.")
    if draft.persona.pk != post.persona_id:
        raise Refused(("persona", "fixed", "A correction is by the same persona."))
    for account in draft.accounts:
        row = old.get(account.pk)
        if row is None or not can_unpublish(row):
            words = f"{account}: it is not out there, or cannot be removed from here."
            raise Refused(("accounts", "cannot_unpublish", words))
    with transaction.atomic():
        fresh = services.schedule_post(draft, by=by)
        for row in fresh.deliveries.all():
            Delivery.objects.filter(pk=row.pk).update(replaces=old[row.account_id])
        removing.begin_replacing(fresh.pk)
        audit.record(actor=by, action="correct post", about=post, correction=str(fresh.pk))
        transaction.on_commit(tasks.wake_removals, robust=True)
    return fresh
