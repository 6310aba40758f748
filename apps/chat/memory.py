"""What a fan told a persona about themselves: a few plain facts, theirs to see and to erase.

Only from a fan's own conversation with the persona, and only ever used there.
"""

import re
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.chat.models import FanMemory

MOST_PER_FAN = 50
_END = r"(?=[.,;!?\n]|\band\b|\bbut\b|$)"
_SOURCES = {
    "name": r"\b(?:my name is|call me|i am called|i'm called)\s+([^\W\d_][\w'-]{1,30})",
    "home": rf"\b(?:i live in|i'm from|i am from|i come from)\s+([\w' -]{{2,40}}?){_END}",
    "age": r"\b(?:i am|i'm)\s+(\d{1,3})\s*(?:years old|yo\b)",
    "birthday": rf"\bmy birthday is\s+(?:on\s+)?([\w ]{{3,30}}?){_END}",
    "work": rf"\b(?:i work as|my job is)\s+(?:an?\s+)?([\w' -]{{2,40}}?){_END}",
    "likes": rf"\bi (?:really )?(?:love|like|enjoy)\s+([\w' -]{{2,60}}?){_END}",
    "pet": r"\b(?:i have|my)\s+((?:a |an )?(?:dog|cat|horse|rabbit|hamster|parrot)"
    rf"(?: (?:is )?(?:called|named) [\w'-]+)?){_END}",
    "favourite": rf"\bmy favou?rite\s+([\w' -]{{2,60}}?\s+is\s+[\w' -]{{2,40}}?){_END}",
}
_PATTERNS = [(about, re.compile(source, re.I)) for about, source in _SOURCES.items()]
# One of each at a time: a new one replaces the old.
_SINGLE = {"name", "home", "age", "birthday", "work"}
_NOBODY = {"not", "so", "just", "very", "you", "your", "it", "this", "that", "what", "how"}


def told_in(text: str) -> list[tuple[str, str]]:
    """What a message says about its writer: (what it concerns, what it says)."""
    plain = text.replace("\u2019", "'")
    found = []
    for about, pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            value = " ".join(match[1].split()).strip(" '-")
            if value and value.lower().split()[0] not in _NOBODY:
                found.append((about, value[:300]))
    return found


def keep(*, persona_id: UUID, user_id: UUID, text: str) -> None:
    """Add what this message tells; what the fan corrected themselves is left as it is."""
    rows = FanMemory.objects.filter(persona=persona_id, user=user_id)
    for about, value in told_in(text):
        if about in _SINGLE:
            earlier = rows.filter(about=about)
            if earlier.filter(corrected_at__isnull=False).exists():
                continue
            earlier.exclude(text=value).delete()
        if rows.count() >= MOST_PER_FAN:
            return
        try:
            with transaction.atomic():
                FanMemory.objects.get_or_create(
                    persona_id=persona_id, user_id=user_id, about=about, text=value
                )
        except IntegrityError:
            # Two workers read the same words: once is enough.
            continue


def of(*, persona_id: UUID, user_id: UUID) -> list[tuple[str, str]]:
    """What this persona remembers of this fan."""
    rows = FanMemory.objects.filter(persona=persona_id, user=user_id)
    return list(rows.values_list("about", "text")[:MOST_PER_FAN])
