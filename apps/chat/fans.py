"""The fan's button for a human: said in the conversation, and told to the team."""

from django.db import transaction

from apps.chat import takeover
from apps.chat.models import Conversation, Message
from apps.core.models import User

ASKED = "{name} asked for a human. The team has been told, and answers here as soon as it can."
# Asking again while one waits, before this many more messages, changes nothing anybody would see.
LATELY = 20


def ask_for_a_human(*, conversation: Conversation, by: User) -> None:
    """Tell the team that this fan wants a person, and say in the conversation that it was told."""
    if conversation.holder == Conversation.Holder.HUMAN or conversation.persona is None:
        return
    words = ASKED.format(name=by.shown_name)
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk)
        asked_lately = Message.objects.filter(
            conversation=row, kind=Message.Kind.NOTICE, content=words, seq__gt=row.last_seq - LATELY
        )
        if row.human_asked_at is not None and asked_lately.exists():
            return
        takeover.say(row.pk, words)
        takeover.call_the_team(conversation)
