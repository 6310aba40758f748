"""Who answers for a persona: ai -> human -> ai, under the conversation's row lock.

The generation rises with every change of hands. An answer names the generation under which it was
asked for, and is stored only while that is still the conversation's: late output is discarded.
"""

from functools import partial
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.chat import fanout, ledger, protocol, shapes
from apps.chat.fanout import Packet
from apps.chat.ledger import Draft, Stored
from apps.chat.models import Conversation, Membership, Reply
from apps.core import alerts
from apps.core.models import User


def say(conversation_id: UUID, content: str) -> None:
    """A notice, said by nobody; inside a transaction, told after it."""
    draft = Draft(conversation_id=conversation_id, content=content, is_notice=True)
    [stored] = ledger.append([draft])
    if isinstance(stored, Stored):
        packet = Packet(fanout.MESSAGE, stored.seq, shapes.new_message(draft, stored))
        transaction.on_commit(
            partial(fanout.tell_conversation, conversation_id, packet), robust=True
        )


def members_changed(conversation_id: UUID, *, by: int) -> None:
    """Every process reads the member list again; `by` is how many more there are now."""
    Conversation.objects.filter(pk=conversation_id).update(
        members_version=F("members_version") + 1, member_count=F("member_count") + by
    )
    news = orjson.dumps({"news": "members", "conversation_id": conversation_id})
    transaction.on_commit(partial(fanout.tell_everybody, news), robust=True)


def page_of(conversation_id: UUID) -> str:
    """Where staff read a conversation and take over."""
    return f"/admin/chat/conversation/{conversation_id}/change/"


def call_the_team(conversation: Conversation) -> None:
    """Alert the team, and list the conversation as waiting until one of them takes over."""
    alone = Conversation.objects.filter(pk=conversation.pk, holder=Conversation.Holder.AI)
    if conversation.persona is not None and alone.update(human_asked_at=timezone.now()):
        alerts.alert(
            key=f"human wanted {conversation.pk}",
            title=f"Somebody asks {conversation.persona.name} for a human",
            path=page_of(conversation.pk),
        )


@transaction.atomic
def take(conversation_id: UUID, *, by: User) -> Conversation:
    """Give the conversation to this person; taking it from another person is allowed."""
    row = Conversation.objects.select_for_update().get(pk=conversation_id)
    if row.holder == Conversation.Holder.HUMAN and row.held_by_id == by.pk:
        return row
    row.holder, row.held_by, row.human_asked_at = Conversation.Holder.HUMAN, by, None
    row.generation += 1
    row.save(update_fields=["holder", "held_by", "human_asked_at", "generation"])
    _, made = Membership.objects.get_or_create(
        conversation=row,
        user=by,
        defaults={"role": Membership.Role.MODERATOR, "read_seq": row.last_seq},
    )
    members_changed(row.pk, by=int(made))
    say(row.pk, f"{by.shown_name}, a person from the team, answers here now.")
    _drop_what_is_written(row)
    return row


def _drop_what_is_written(row: Conversation) -> None:
    """Whatever a worker has in hand is late from this moment; those that wait draft instead."""
    for reply in row.replies.filter(state=Reply.State.STREAMING, is_suggestion=False):
        Reply.objects.filter(pk=reply.pk).update(
            state=Reply.State.DISCARDED, claim=None, lease_until=None
        )
        event = {
            "type": "reply_stopped",
            "conversation_id": row.pk,
            "reply_id": reply.pk,
            "version": reply.version,
            "reason": "taken_over",
            "message": "",
            "retry": False,
            "message_id": None,
        }
        packet = Packet(fanout.FLEETING, 0, protocol.encode(event))
        transaction.on_commit(partial(fanout.tell_conversation, row.pk, packet), robust=True)


@transaction.atomic
def give_back(conversation_id: UUID, *, by: User) -> Conversation:
    """The persona answers again, and may after a stop for distress; who asked is dealt with."""
    row = (
        Conversation.objects.select_for_update(of=("self",))
        .select_related("persona")
        .get(pk=conversation_id)
    )
    row.human_asked_at = None
    if row.holder == Conversation.Holder.AI and not row.stopped_for:
        row.save(update_fields=["human_asked_at"])
        return row
    row.holder, row.held_by, row.stopped_for = Conversation.Holder.AI, None, ""
    row.generation += 1
    # A person has dealt with what was wrong: what was said before does not call another.
    row.mood = None
    changed = ("holder", "held_by", "stopped_for", "human_asked_at", "generation", "mood")
    row.save(update_fields=changed)
    members_changed(row.pk, by=0)
    name = row.persona.name if row.persona is not None else "The persona"
    say(row.pk, f"{name}, an AI persona, answers here again.")
    row.replies.filter(is_suggestion=True, state__in=Reply.UNFINISHED).update(
        state=Reply.State.DISCARDED
    )
    return row
