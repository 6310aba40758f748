"""Networks that take the address of a picture or video and fetch it themselves."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from apps.core.http import is_public
from apps.scheduling.publishers.base import Attachment, Problem


def unreachable(label: str, attachments: Iterable[Attachment]) -> list[Problem]:
    """A problem if the network could surely not fetch one of these."""
    for each in attachments:
        if not _looks_public(each.url):
            return [
                Problem(
                    field="media",
                    code="media_not_public",
                    message=f"{label} fetches pictures and videos itself, and nobody outside can "
                    f"reach {each.url[:100]}. Set GATOR_PUBLIC_URL to a public https address.",
                )
            ]
    return []


def _looks_public(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme != "https":
        return False
    try:
        ip_address(host)
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan"))
    return is_public(host)
