"""Named events: how two apps that must not import each other react to one another."""

from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.core.models import EventHandling

log = structlog.get_logger(__name__)


class EventFailed(Exception):
    """At least one handler of an event raised; the journal says which and why."""


def emit(event: str, **payload: Any) -> None:
    """Call every handler that settings.EVENTS names for `event`, one after another.

    Handlers are idempotent: after an interruption the event may be emitted again. All of them
    run even when one raises; then EventFailed names those that did.
    """
    failed = []
    for handler in settings.EVENTS.get(event, []):
        entry = EventHandling.objects.create(event=event, handler=handler, payload=payload)
        try:
            import_string(handler)(**payload)
        except Exception as error:
            log.exception("event handler failed", event_name=event, handler=handler)
            entry.error = f"{type(error).__name__}: {error}"
            failed.append(handler)
        else:
            entry.finished_at = timezone.now()
        entry.save()
    if failed:
        raise EventFailed(f"{event}: {', '.join(failed)} failed; see the event journal.")
