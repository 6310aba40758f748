"""Reading frames: every field checked and bounded before anything is done with it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NotRequired, get_type_hints
from uuid import UUID

import orjson
from django.conf import settings

from apps.chat.protocol.client import CLIENT_EVENTS
from apps.chat.protocol.refusals import BadFrame

# Read once: asking the settings at every frame would cost as much as parsing it.
LARGEST_FRAME: int = settings.CHAT_MAX_FRAME
LONGEST_CONTENT: int = settings.CHAT_MAX_CONTENT
LONGEST_CLIENT_ID = 64
MOST_IDS = 200
MOST_ATTACHMENTS = 10
LONGEST_TOKEN = 4_096
LONGEST_EMOJI = 16
LARGEST_NUMBER = 2**53
# C0 controls but tab and newline, and DEL: PostgreSQL stores no NUL, and no reader wants others.
_CONTROLS = dict.fromkeys(
    [*range(9), 11, 12, *range(13, 32), 127],
    None,
)


@lru_cache(maxsize=8_192)
def _known_uuid(value: str) -> UUID:
    # The same few conversations are named in frame after frame.
    return UUID(value)


def _uuid(value: object) -> UUID:
    if type(value) is not str or len(value) > 36:
        raise ValueError("an id (UUID)")
    try:
        return _known_uuid(value)
    except ValueError:
        raise ValueError("an id (UUID)") from None


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < LARGEST_NUMBER:
        raise ValueError("a whole number of at least 0")
    return value


def _boolean(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _text(longest: int, *, what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if type(value) is not str or not value or len(value) > longest:
            raise ValueError(f"{what} of 1 to {longest} characters")
        if not value.isprintable():
            raise ValueError(f"{what} without control characters")
        return value

    return read


def clean_content(value: object) -> str:
    """The words of a message: bounded, without control characters and outer white space."""
    if type(value) is not str:
        raise ValueError("text")
    if len(value) > LONGEST_CONTENT:
        raise OverflowError
    return value.replace("\r\n", "\n").translate(_CONTROLS).strip()


def clean_answer(value: str) -> str:
    """The words of a voice, as clean as those of people."""
    return value.replace("\r\n", "\n").translate(_CONTROLS).strip()


def _ids(longest: int) -> Callable[[object], list[UUID]]:
    def read(value: object) -> list[UUID]:
        if type(value) is not list or len(value) > longest:
            raise ValueError(f"a list of at most {longest} ids")
        return [_uuid(each) for each in value]

    return read


_FIELDS: dict[str, Callable[[object], Any]] = {
    "conversation_id": _uuid,
    "persona_id": _uuid,
    "message_id": _uuid,
    "reply_id": _uuid,
    "last_seq": _number,
    "last_change": _number,
    "seq": _number,
    "remove": _boolean,
    "content": clean_content,
    "client_id": _text(LONGEST_CLIENT_ID, what="text"),
    "emoji": _text(LONGEST_EMOJI, what="an emoji"),
    "token": _text(LONGEST_TOKEN, what="a token"),
    "user_ids": _ids(MOST_IDS),
    "attachment_ids": _ids(MOST_ATTACHMENTS),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    needed: tuple[tuple[str, Callable[[object], Any]], ...]
    allowed: tuple[tuple[str, Callable[[object], Any]], ...]


def _plan(shape: type) -> _Plan:
    names = [name for name in get_type_hints(shape) if name != "type"]
    optional = {
        name
        for name, hint in get_type_hints(shape, include_extras=True).items()
        if getattr(hint, "__origin__", None) is NotRequired
    }
    return _Plan(
        needed=tuple((name, _FIELDS[name]) for name in names if name not in optional),
        allowed=tuple((name, _FIELDS[name]) for name in names if name in optional),
    )


_PLANS = {name: _plan(shape) for name, shape in CLIENT_EVENTS.items()}

Frame = dict[str, Any]


def parse(text: str | None) -> Frame:
    """One frame with every field checked, unknown fields dropped; BadFrame says what is wrong."""
    if text is None:
        raise BadFrame("binary")
    if len(text) > LARGEST_FRAME:
        raise BadFrame("too_large", f"A frame has at most {LARGEST_FRAME:,} bytes.")
    try:
        # Stops by itself at 1,024 levels, and refuses NaN and lone surrogates.
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFrame("malformed") from error
    except UnicodeEncodeError as error:
        raise BadFrame("malformed") from error
    if type(raw) is not dict:
        raise BadFrame("malformed")
    kind = raw.get("type")
    plan = _PLANS.get(kind) if type(kind) is str else None
    if plan is None:
        raise BadFrame("unknown_type")
    frame: Frame = {"type": kind}
    name = ""
    try:
        for name, read in plan.needed:
            frame[name] = read(raw[name])
        for name, read in plan.allowed:
            # null counts as absent: many clients send every field they know.
            if (value := raw.get(name)) is not None:
                frame[name] = read(value)
    except KeyError:
        raise BadFrame("bad_field", f"{kind} needs {name!r}.", client_id=_named_in(raw)) from None
    except OverflowError:
        raise BadFrame(
            "too_large",
            f"{name!r} has at most {LONGEST_CONTENT:,} characters.",
            client_id=_named_in(raw),
        ) from None
    except ValueError as error:
        about = f"{name!r} must be {error}."
        raise BadFrame("bad_field", about, client_id=_named_in(raw)) from None
    return frame


def _named_in(raw: dict[str, Any]) -> str | None:
    """The client id to name in an error, when there is one that may be echoed."""
    given = raw.get("client_id")
    return given if type(given) is str and len(given) <= LONGEST_CLIENT_ID else None
