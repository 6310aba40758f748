"""How a conversation feels: what its people write weighs in, the newest most.

Read where an answer is written, never where messages are stored: nobody waits for it.
"""

from dataclasses import dataclass

from apps.chat.models import Conversation, Message
from apps.sentiment import services as sentiment
from apps.sentiment.engines.base import label_for

# The newest message is half of the mood, the one before it a quarter, and so on.
NEWEST = 0.5
UNHAPPY, HAPPY = -0.3, 0.3


@dataclass(frozen=True, kw_only=True)
class Felt:
    """What one message says, and how its conversation feels since; both from -1 to 1."""

    score: float = 0.0
    intent: str = "statement"
    mood: float = 0.0


def feel(trigger: Message) -> Felt:
    """Read a message that is to be answered, and let it weigh in, once."""
    reading = sentiment.analyze(trigger.content)
    decided = trigger.user_id is not None and trigger.is_readable and not reading.abstained
    mood = _weigh_in(trigger, reading.score if decided else None)
    return Felt(score=reading.score, intent=reading.intent, mood=mood)


def _weigh_in(trigger: Message, score: float | None) -> float:
    rows = Conversation.objects.filter(pk=trigger.conversation_id)
    while True:
        mood, read_seq = rows.values_list("mood", "mood_seq").get()
        if score is None or trigger.seq <= read_seq:
            # Another version of an answer, or another try: its message was heard already.
            return mood or 0.0
        felt = (mood or 0.0) * (1 - NEWEST) + score * NEWEST
        # Two answers at once: the one that comes second reads again.
        if rows.filter(mood_seq=read_seq).update(mood=felt, mood_seq=trigger.seq):
            return felt


def word_of(mood: float | None) -> str:
    """A mood in a word, for lists; empty where nothing was read."""
    if mood is None:
        return ""
    if mood <= UNHAPPY:
        return "very unhappy" if label_for(mood) == "very_negative" else "unhappy"
    return "happy" if mood >= HAPPY else "calm"
