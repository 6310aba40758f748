"""Webhooks in the admin: who is told what, and the log."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from apps.core.admin.base import ReadOnlyAdmin, StudioAdmin, acting
from apps.core.errors import Refused
from apps.core.shown import badge, when
from apps.scheduling import hooking
from apps.scheduling.models import WebhookEndpoint, WebhookMessage

TONES: dict[str, str] = {
    WebhookMessage.State.WAITING: "info",
    WebhookMessage.State.DELIVERED: "good",
    WebhookMessage.State.FAILED: "bad",
}


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    """A webhook as typed."""

    events = forms.MultipleChoiceField(
        choices=WebhookEndpoint.Event.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all of them.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        try:
            hooking.check({"url": data.get("url", ""), "events": data.get("events", [])})
        except Refused as refused:
            for name, code, message in refused.problems:
                self.add_error(name, forms.ValidationError(message, code=code))
        return data


@admin.register(WebhookEndpoint)
class EndpointAdmin(StudioAdmin):
    """Addresses that are told what becomes of deliveries."""

    form = EndpointForm
    fields = ("name", "url", "persona", "events", "is_active")
    list_display = ("name", "url", "whose", "health")
    search_fields = ("name", "url")
    list_select_related = ("persona",)
    actions = ("test_selected", "renew_secret")

    @display(description="Of")
    def whose(self, row: WebhookEndpoint) -> str:
        return row.persona.name if row.persona else "Every persona"

    @display(description="Health")
    def health(self, row: WebhookEndpoint) -> Any:
        if not row.is_active:
            return badge("bad" if row.disabled_at else "quiet", "Switched off", row.disabled_why)
        if row.failing_since:
            return badge("warn", "Failing", f"Since {row.failing_since:%Y-%m-%d %H:%M %Z}")
        return badge("good", "Working")

    def save_model(
        self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: Any
    ) -> None:
        if change:
            names = {name: form.cleaned_data[name] for name in form.changed_data}
            hooking.change_endpoint(obj, changes=names, by=acting(request))
            return
        row, secret = hooking.add_endpoint(by=acting(request), **form.cleaned_data)
        obj.pk, obj.secret, obj._state.adding = row.pk, row.secret, False
        words = f"Its signing secret, shown this once: {secret}"
        self.message_user(request, words, messages.WARNING)

    @admin.action(description="Send a test", permissions=["change"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        skipped = []
        for row in queryset:
            try:
                hooking.send_test(row, by=acting(request))
            except Refused as refused:
                skipped.append(f"{row}: {refused}")
        self.say_skipped(request, "The log says what comes of it.", skipped)

    @admin.action(description="Give a new secret", permissions=["change"])
    def renew_secret(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for row in queryset:
            secret = hooking.renew_secret(row, by=acting(request))
            words = f"{row}: its new secret, shown this once: {secret}"
            self.message_user(request, words, messages.WARNING)


@admin.register(WebhookMessage)
class MessageAdmin(ReadOnlyAdmin):
    """The log: every message, its tries, and what the receiver said."""

    list_display = ("event", "endpoint", "state_", "tries", "last", "created", "next_try")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("event", ChoicesDropdownFilter),
        ("endpoint", RelatedDropdownFilter),
    )
    search_fields = ("delivery", "last_error")
    list_select_related = ("endpoint",)
    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scheduling.change_webhookmessage"))

    @display(description="State", ordering="state")
    def state_(self, row: WebhookMessage) -> Any:
        return badge(TONES[row.state], row.get_state_display(), row.last_error)

    @display(description="Last answer")
    def last(self, row: WebhookMessage) -> Any:
        return row.last_status or row.last_error or "–"

    @display(description="Told", ordering="created_at")
    def created(self, row: WebhookMessage) -> Any:
        return when(row.created_at)

    @display(description="Next try")
    def next_try(self, row: WebhookMessage) -> Any:
        return when(row.due_at) if row.state == WebhookMessage.State.WAITING else "–"

    @admin.action(description="Send again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookMessage]) -> None:
        done, skipped = 0, []
        for row in queryset:
            try:
                hooking.replay(row, by=acting(request))
                done += 1
            except Refused as refused:
                skipped.append(f"{row}: {refused}")
        self.say_skipped(request, f"Sent again: {done}." if done else "", skipped)
