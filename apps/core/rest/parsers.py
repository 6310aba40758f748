"""JSON as we take it: every key once, text that every database can store, no deep nesting."""

import json
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

# The API's own requests are three levels deep.
DEEPEST = 20


class StrictJSONParser(JSONParser):
    """Refuses what would be dropped or stored otherwise than it was sent."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            content = stream.read().decode("utf-8")
            parsed = json.loads(content, object_pairs_hook=_once, parse_constant=_no_such_number)
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        except RecursionError:
            raise ParseError(f"The body is nested deeper than {DEEPEST} levels.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {str(error)[:200]}.") from None
        _check(parsed, "")
        return parsed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ParseError(f"{_shown(key)} is given twice.")
        found[key] = value
    return found


def _no_such_number(name: str) -> Any:
    raise ParseError(f"{name} is not a JSON number.")


def _check(value: Any, path: str, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")
    if isinstance(value, str):
        if "\0" in value:
            raise ParseError(f"{path or 'The body'} holds a NUL character.")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError(f"{path or 'The body'} holds half a character (a lone surrogate).")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check(key, f"A key in {path or 'the body'}", depth + 1)
            _check(inner, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check(inner, f"{path}.{index}" if path else str(index), depth + 1)


def _shown(key: str) -> str:
    return key[:80].encode("utf-8", "backslashreplace").decode()
