"""Typed readers of environment settings; a bad value stops the start with one clear line."""

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class BadSetting(Exception):
    """A setting that cannot be used; the message names it, says why and what to do."""


def load_file(name: str, default: Path) -> None:
    """Add the `NAME=value` lines of a file; what the environment says already wins."""
    path = Path(text(name, str(default)))
    try:
        lines = path.read_text().splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{name}: cannot read {path}: {error}.") from None
    for number, line in enumerate(lines, start=1):
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        setting, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", setting.strip()):
            # The line may hold a password, so it is not repeated.
            raise BadSetting(f"{path}, line {number} is not NAME=value.")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = re.sub(r"(^|\s+)#.*", "", value)
        os.environ.setdefault(setting.strip(), value)


def text(name: str, default: str = "") -> str:
    """The value as given, without surrounding white space; an empty value counts as absent."""
    return os.environ.get(name, "").strip() or default


def boolean(name: str, default: bool) -> bool:
    """1/true/yes/on or 0/false/no/off."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name}={value!r} is neither yes nor no; write 1 or 0.")


def integer(name: str, default: int, *, at_least: int = 0) -> int:
    """A whole number not below `at_least`."""
    value = text(name)
    if not value:
        return default
    if not re.fullmatch(r"-?\d{1,18}", value) or int(value) < at_least:
        raise BadSetting(f"{name}={value!r} is not a whole number of at least {at_least}.")
    return int(value)


def choice(name: str, default: str, known: tuple[str, ...]) -> str:
    """One of the values in `known`."""
    value = text(name, default)
    if value not in known:
        raise BadSetting(f"{name}={value!r} is not one of: {', '.join(known)}.")
    return value


def listing(name: str, default: str = "") -> list[str]:
    """Values separated by commas or white space."""
    return [part for part in re.split(r"[,\s]+", text(name, default)) if part]


def url(name: str, default: str = "", *, schemes: tuple[str, ...]) -> str:
    """An absolute address with one of `schemes`."""
    value = text(name, default)
    if not value:
        return value
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises when the port is no number
    except ValueError as error:
        raise BadSetting(f"{name} is not an address: {error}.") from None
    if parts.scheme not in schemes:
        # The value may hold a password, so it is not repeated.
        raise BadSetting(f"{name} must start with {' or '.join(s + '://' for s in schemes)}.")
    return value


def bind(name: str, default: str) -> tuple[str, int]:
    """A `host:port` pair to listen on."""
    value = text(name, default)
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadSetting(f"{name}={value!r} is not HOST:PORT, as in 127.0.0.1:8000.")
    return host.strip("[]"), int(port)


def rate(name: str, default: str) -> str:
    """How often in which time, as in 60/min."""
    value = text(name, default)
    if not re.fullmatch(r"[1-9]\d{0,8}/(s|sec|second|m|min|minute|h|hour|d|day)", value):
        raise BadSetting(f"{name}={value!r} is not NUMBER/min (or s, hour, day), as in 60/min.")
    return value


_WHOLE_NUMBERS = re.compile(r"_(UID|GID|SIZE|EXPIRE|EXPIRATION|SECS|TIMEOUT|CONN)\Z")


def storage_option(name: str) -> Any:
    """A setting of django-storages in the type it expects: an object or a list written as JSON,
    true or false, a file mode in octal, a number where the name says so; all else is text.
    """
    value = text(name)
    if value[0] in "{[":
        try:
            return json.loads(value)
        except ValueError as error:
            # The value may hold a password, so it is not repeated.
            raise BadSetting(f"{name} is no JSON: {error}.") from None
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if re.fullmatch(r"SFTP_STORAGE_(FILE|DIR)_MODE", name):
        if not re.fullmatch(r"(0o?)?[0-7]{3,4}", value):
            raise BadSetting(f"{name}={value!r} is no file mode in octal, as in 0600.")
        return int(value, 8)
    # Not every number: a key or a bucket may consist of digits.
    return int(value) if _WHOLE_NUMBERS.search(name) and value.isdecimal() else value


def folder(name: str, default: Path) -> Path:
    """An existing or new folder of our own, readable by this user only."""
    path = Path(text(name, str(default))).expanduser().resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"{name}: cannot make {path}: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise BadSetting(f"{name}: {path} is not writable by this user.")
    return path


def refuse_nesting(**folders: Path) -> None:
    """Stop when one of our folders lies in another: a backup would then swallow itself."""
    for name, path in folders.items():
        for other, outer in folders.items():
            if name != other and path.is_relative_to(outer):
                raise BadSetting(
                    f"{name} ({path}) lies inside {other} ({outer}); give each its own."
                )


def kept_secret(name: str, path: Path) -> str:
    """The secret given by environment, else one made once and kept at `path` (0600)."""
    given = text(name)
    if given:
        return given
    # O_EXCL lets exactly one of several starting processes make the file; the others read it.
    # The content goes in by rename, so nobody reads half a secret.
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
