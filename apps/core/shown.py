"""Small things shown all over the studio: badges, and moments with their zone."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString


def badge(tone: str, text: Any, title: str = "") -> SafeString:
    """A small coloured label; the text says it all, the colour only repeats it."""
    return format_html('<span class="g-badge g-{}" title="{}">{}</span>', tone, title, text)


def when(moment: datetime | None) -> SafeString | str:
    """A moment in the viewer's zone, with the zone named."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    same_year = local.year == timezone.localtime().year
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        timezone.get_current_timezone_name(),
        date_format(local, "D j M, H:i T" if same_year else "j M Y, H:i T"),
    )
