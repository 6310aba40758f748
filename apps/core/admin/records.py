"""What the studio writes about itself, to look at: audit trail, alerts, events, leases."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.utils import timezone
from django.utils.html import format_html

from apps.core.admin.base import ReadOnlyAdmin
from apps.core.models import Alert, AuditEntry, EventHandling, Lease
from apps.core.shown import badge, when

LEVELS = {"info": "info", "warning": "warn", "critical": "bad"}


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    """The audit trail: who did what, and when."""

    list_display = ("at_", "actor_name", "action", "object_label", "object_type", "more")
    list_display_links = ("at_",)
    list_filter = ("action", "object_type")
    search_fields = ("actor_name", "action", "object_label", "object_id")

    @display(description="When", ordering="at")
    def at_(self, row: AuditEntry) -> Any:
        return when(row.at)

    @display(description="Details")
    def more(self, row: AuditEntry) -> str:
        return json.dumps(row.details, ensure_ascii=False)[:120] if row.details else "–"


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What people were told to look at."""

    list_display = ("level_", "title", "raised", "repeats", "deal", "sent")
    list_display_links = ("title",)
    list_filter = ("level",)
    search_fields = ("title", "body")

    @display(description="Level", ordering="level")
    def level_(self, row: Alert) -> Any:
        return badge(LEVELS[row.level], row.get_level_display())

    @display(description="Raised", ordering="raised_at")
    def raised(self, row: Alert) -> Any:
        return when(row.raised_at)

    @display(description="Deal with it")
    def deal(self, row: Alert) -> Any:
        return format_html('<a class="g-link" href="{}">Open</a>', row.path) if row.path else "–"

    @display(description="Sent", ordering="sent_at")
    def sent(self, row: Alert) -> Any:
        if row.failures:
            return badge("bad", f"Failed: {', '.join(row.failures)}", json.dumps(row.failures))
        return when(row.sent_at)


@admin.register(EventHandling)
class EventAdmin(ReadOnlyAdmin):
    """The journal of named events: a run cut short is seen here."""

    list_display = ("event", "handler", "started", "result")
    list_filter = ("event",)

    @display(description="Started", ordering="started_at")
    def started(self, row: EventHandling) -> Any:
        return when(row.started_at)

    @display(description="Result")
    def result(self, row: EventHandling) -> Any:
        if row.error:
            return badge("bad", "Failed", row.error)
        return badge("good", "Done") if row.finished_at else badge("warn", "Not finished")


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    """Names held by processes: who beats, which workers are alive."""

    list_display = ("name", "holder", "expires", "alive")

    @display(description="Expires", ordering="expires_at")
    def expires(self, row: Lease) -> Any:
        return when(row.expires_at)

    @display(description="Held")
    def alive(self, row: Lease) -> Any:
        if row.expires_at > timezone.now():
            return badge("good", "Held")
        return badge("quiet", "Expired")
