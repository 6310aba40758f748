"""When a persona stays silent: held, stopped, in a loop, or because a person is needed."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.chat import caring, takeover
from apps.chat.models import Conversation, Reply
from apps.chat.mood import Felt
from apps.core import alerts
from apps.personas import services as personas

# Personas answering personas: this deep, and this often in a minute, and no further.
DEEPEST = 2
MOST_A_MINUTE = 6
STEPS_BACK = (
    "{}, an AI persona, stops here: this does not seem to go well. A person from the team has been "
    "called and will answer."
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why there is no answer, as the fan reads it."""

    code: str
    message: str
    retry: bool = False
    # Why the persona stops in this conversation until a person hands back; empty: it does not.
    stops_for: str = ""


DISTRESS, MOOD = "distress", "mood"


def why_not(reply: Reply, felt: Felt) -> Refusal | None:
    """What keeps this persona from answering this message, if anything does."""
    trigger, conversation = reply.trigger, reply.conversation
    if trigger.user_id is not None and caring.speaks_of_danger(trigger.content):
        return Refusal(
            code=DISTRESS, message="A person from the team has been called.", stops_for=DISTRESS
        )
    if trigger.user_id is not None and caring.asks_for_a_human(trigger.content):
        takeover.call_the_team(conversation)
    if conversation.stopped_for:
        return Refusal(code="stopped", message="A person from the team will answer here.")
    if not trigger.is_readable:
        return Refusal(code="gone", message="The message was taken back.")
    if personas.what_holds(reply.persona) is not None or not reply.persona.is_active:
        return Refusal(
            code="held", message=f"{reply.persona.name} does not answer just now.", retry=True
        )
    if trigger.persona_id is not None and _loops(reply):
        return Refusal(code="loop", message="Personas have talked enough among themselves.")
    if _turned_bad(reply, felt):
        return Refusal(code=MOOD, message="A person from the team has been called.", stops_for=MOOD)
    return None


def _turned_bad(reply: Reply, felt: Felt) -> bool:
    least = reply.persona.call_human_below
    # Where a person answers already, nobody needs to be called.
    return (
        least is not None
        and felt.mood < least
        and reply.trigger.user_id is not None
        and reply.conversation.holder == Conversation.Holder.AI
    )


def _loops(reply: Reply) -> bool:
    if reply.trigger.depth >= DEEPEST:
        return True
    lately = Reply.objects.filter(
        conversation=reply.conversation_id,
        trigger__persona__isnull=False,
        created_at__gt=timezone.now() - timedelta(minutes=1),
    )
    return lately.count() > MOST_A_MINUTE


@transaction.atomic
def call_a_person(reply: Reply, stops_for: str) -> None:
    """Stop the persona here, say so (in danger with where help is), and call. Once per stop."""
    # The conditional update lets one of several answers in a row do it.
    changed = Conversation.objects.filter(pk=reply.conversation_id, stopped_for="").update(
        stopped_for=stops_for, generation=F("generation") + 1
    )
    if not changed:
        return
    name = reply.persona.name
    is_danger = stops_for == DISTRESS
    takeover.say(
        reply.conversation_id, settings.CHAT_HELP_TEXT if is_danger else STEPS_BACK.format(name)
    )
    takeover.members_changed(reply.conversation_id, by=0)
    # The words themselves stay in the conversation: alerts leave the house.
    alerts.alert(
        key=f"{stops_for} {reply.conversation_id}",
        title=f"Somebody who writes to {name} may be in danger"
        if is_danger
        else f"A conversation with {name} has turned bad",
        body="The persona has stopped there. Please read the conversation and answer.",
        path=takeover.page_of(reply.conversation_id),
        level="critical" if is_danger else "warning",
    )
