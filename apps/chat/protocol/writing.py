"""Writing events: as the JSON text of a frame, each with the moment it was made."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.chat.protocol.refusals import BadFrame


def stamp(moment: datetime) -> str:
    """ISO 8601, as every event and message carries it."""
    return moment.isoformat()


def encode(event: Mapping[str, Any]) -> bytes:
    """An event as the JSON text of its frame; ids and moments may still be objects."""
    return orjson.dumps(event if "timestamp" in event else {**event, "timestamp": _now()})


def _now() -> datetime:
    return datetime.now(UTC)


def error_event(refused: BadFrame) -> bytes:
    """The answer to a frame that was refused."""
    event: dict[str, Any] = {"type": "error", "code": refused.code, "message": str(refused)}
    if refused.client_id is not None:
        event["client_id"] = refused.client_id
    return encode(event)
