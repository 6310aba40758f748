"""A persona's answers: stop, again, take over, hand back, and what it remembers of a fan."""

from uuid import UUID

from django.utils import timezone

from apps.chat import replying, takeover, tasks
from apps.chat.models import Conversation, FanMemory, Reply
from apps.chat.services.asking import Refused, check_not_banned, may_lead_all
from apps.core import audit
from apps.core.models import User


def _reply_for(reply_id: UUID, by: UUID) -> Reply:
    row = Reply.objects.filter(pk=reply_id, conversation__memberships__user=by).first()
    if row is None or row.is_suggestion:
        raise Refused("not_found")
    return row


def stop_reply(*, reply_id: UUID, by: UUID) -> None:
    """Stop an answer that is being written; what is there stays."""
    row = _reply_for(reply_id, by)
    if not replying.stop(row):
        raise Refused("wrong_state", "This answer is finished already.")


def regenerate(*, reply_id: UUID, by: UUID) -> None:
    """Ask for another version of an answer, or for another try after a failure."""
    row = _reply_for(reply_id, by)
    check_not_banned(by)
    if not replying.again(row):
        raise Refused("wrong_state", "This answer is being written, or a person answers now.")
    tasks.wake([row.pk])


def take_over(*, conversation: Conversation, by: User) -> Conversation:
    """A person answers from now on, shown as a person; the persona only suggests."""
    if not may_lead_all(by):
        raise Refused("not_allowed")
    row = takeover.take(conversation.pk, by=by)
    audit.record(actor=by, action="take over", about=row)
    return row


def hand_back(*, conversation: Conversation, by: User) -> Conversation:
    """The persona answers again."""
    if not may_lead_all(by):
        raise Refused("not_allowed")
    row = takeover.give_back(conversation.pk, by=by)
    audit.record(actor=by, action="hand back", about=row)
    return row


def correct_memory(*, memory: FanMemory, text: str) -> None:
    """A fan puts right what a persona remembers; it is not overwritten any more."""
    memory.text, memory.corrected_at = text, timezone.now()
    memory.save(update_fields=["text", "corrected_at"])
