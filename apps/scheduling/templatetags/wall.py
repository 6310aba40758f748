"""How the Wall shows a post: its text escaped first, links and hashtags marked up after."""

import re

from django import template
from django.conf import settings
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_PIECE = re.compile(r"(?P<url>https?://[^\s<>\"'`]+)|(?<![\w#&/])(?P<tag>#\w+)", re.IGNORECASE)
# What usually ends the sentence around a link, not the link itself.
_TRAILING = ".,;:!?…)]}*_"


@register.filter
def linked(text: str) -> SafeString:
    """The text with clickable links and marked hashtags; everything else is escaped."""
    pieces: list[tuple[SafeString | str]] = []
    end = 0
    for match in _PIECE.finditer(text):
        if match["url"]:
            url = match["url"].rstrip(_TRAILING)
            # A link such as /wiki/Gator_(animal) keeps the bracket that it opened.
            if "(" in url and match["url"][len(url) : len(url) + 1] == ")":
                url += ")"
            shown: SafeString | str = format_html(
                '<a href="{}" rel="nofollow noopener ugc">{}</a>', url, _short(url)
            )
            stop = match.start() + len(url)
        else:
            shown = format_html('<span class="hashtag">{}</span>', match["tag"])
            stop = match.end()
        pieces += [(text[end : match.start()],), (shown,)]
        end = stop
    pieces.append((text[end:],))
    return format_html_join("", "{}", pieces)


def _short(url: str) -> str:
    shown = url.split("://", 1)[1].removeprefix("www.").removesuffix("/")
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


@register.filter
def local(url: str) -> str:
    """An image's address as this page may load it: our own files by path, whatever our name."""
    return url.removeprefix(settings.GATOR_PUBLIC_URL) or url


@register.filter
def absolute(url: str) -> str:
    """An address as others must see it."""
    return url if "://" in url else settings.GATOR_PUBLIC_URL + url
