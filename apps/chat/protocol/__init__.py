"""The one place that names every event of the socket, and that reads and bounds every frame.

docs/chat-protocol.md describes each of these; a test compares the two.
"""

from apps.chat.protocol.client import CLIENT_EVENTS
from apps.chat.protocol.frames import (
    LONGEST_CLIENT_ID,
    LONGEST_TOKEN,
    MOST_ATTACHMENTS,
    Frame,
    clean_answer,
    clean_content,
    parse,
)
from apps.chat.protocol.refusals import (
    ERROR_CODES,
    FORBIDDEN,
    NOT_FOUND,
    TOO_MANY,
    UNAUTHENTICATED,
    BadFrame,
)
from apps.chat.protocol.server import SERVER_EVENTS
from apps.chat.protocol.writing import encode, error_event, stamp

SUBPROTOCOL = "gator"

__all__ = [
    "CLIENT_EVENTS",
    "ERROR_CODES",
    "FORBIDDEN",
    "LONGEST_CLIENT_ID",
    "LONGEST_TOKEN",
    "MOST_ATTACHMENTS",
    "NOT_FOUND",
    "SERVER_EVENTS",
    "SUBPROTOCOL",
    "TOO_MANY",
    "UNAUTHENTICATED",
    "BadFrame",
    "Frame",
    "clean_answer",
    "clean_content",
    "encode",
    "error_event",
    "parse",
    "stamp",
]
