"""Links as they go out: named by the campaign they belong to, and short where a hook shortens."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

log = structlog.get_logger(__name__)

LONGEST = 1_000


def of_campaign(link: str, *, network: str, campaign: str) -> str:
    """The link with utm_source, utm_medium and utm_campaign, where it does not name its own."""
    if not link or not campaign:
        return link
    parts = urlsplit(link)
    given = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    ours = {"utm_source": network, "utm_medium": "social", "utm_campaign": campaign}
    added = urlencode({name: value for name, value in ours.items() if name not in given})
    return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, added) if part)))


def may_shorten(frozen: dict[str, Any]) -> bool:
    """Whether there is a link that LINK_SHORTENER has not been asked about."""
    return bool(settings.LINK_SHORTENER and frozen.get("link") and "plain_link" not in frozen)


def shortened(frozen: dict[str, Any]) -> dict[str, Any]:
    """The frozen post with its link as LINK_SHORTENER makes it; it may call the network.

    A hook that fails delays no post: the link then goes out as it is, and is not asked about again.
    """
    if not may_shorten(frozen):
        return frozen
    link = frozen["link"]
    asked = {**frozen, "plain_link": link}
    try:
        short = import_string(settings.LINK_SHORTENER)(link)
        if not isinstance(short, str) or not short.startswith(("https://", "http://")):
            raise ValueError("The hook gave no web address.")
        if len(short) > LONGEST:
            raise ValueError(f"The hook's address is longer than {LONGEST:,} characters.")
    except Exception as error:
        log.warning("link not shortened", error=f"{type(error).__name__}: {error}")
        return asked
    return {**asked, "link": short, "text": frozen["text"].replace(link, short)}
