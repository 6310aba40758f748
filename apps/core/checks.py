"""System checks of the floor: what would fail at 2:30 at night is said at the start."""

import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@register(Tags.security)
def keys_are_private(**kwargs: Any) -> list[CheckMessage]:
    """Nobody but us may read the keys that seal credentials and sessions."""
    folder = Path(settings.KEYS_DIR)
    return [
        Error(
            f"{path} can be read or written by other users.",
            hint=f"chmod {'700' if path == folder else '600'} {path}",
            id="core.E001",
        )
        for path in (folder, *folder.iterdir())
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


@register(Tags.security)
def open_to_the_world_means_a_public_address(**kwargs: Any) -> list[CheckMessage]:
    """Who listens beyond this machine has a name there."""
    host = urlsplit(settings.GATOR_PUBLIC_URL).hostname
    if settings.GATOR_BIND[0] in LOOPBACK or host not in LOOPBACK:
        return []
    return [
        Warning(
            "The web listens beyond this machine, but GATOR_PUBLIC_URL is localhost.",
            hint="Set GATOR_PUBLIC_URL to the address that people open.",
            id="core.W001",
        )
    ]
