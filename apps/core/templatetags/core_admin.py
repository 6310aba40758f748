"""Filters for the studio's own admin templates."""

from datetime import datetime

from django import template
from django.utils.safestring import SafeString

from apps.core import shown

register = template.Library()


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """A moment in the viewer's zone, with the zone named."""
    return shown.when(moment)
