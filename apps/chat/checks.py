"""System checks of chat: what would fail under the first visitors is said at the start."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register("chat")
def limits_fit_together(**kwargs: Any) -> list[checks.CheckMessage]:
    """A frame must have room for the longest message, and a socket's buffer for a frame."""
    found: list[checks.CheckMessage] = []
    if settings.CHAT_MAX_FRAME < 6 * settings.CHAT_MAX_CONTENT:
        found.append(
            checks.Warning(
                "The longest message may not fit into one frame when it is all escapes.",
                hint="Let CHAT_MAX_FRAME be at least six times CHAT_MAX_CONTENT.",
                id="chat.W001",
            )
        )
    if settings.CHAT_MAX_BUFFER < settings.CHAT_MAX_FRAME:
        found.append(
            checks.Error(
                "A socket's outgoing buffer is smaller than one frame.",
                hint="Raise CHAT_MAX_BUFFER or lower CHAT_MAX_FRAME.",
                id="chat.E001",
            )
        )
    return found
