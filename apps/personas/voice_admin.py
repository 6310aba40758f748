"""Voices in the admin: paste an address and a key, test, try a reply, done."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.views.decorators.http import require_POST
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminURLInputWidget,
)

from apps.core.admin.base import StudioAdmin, acting
from apps.personas import services, speaking
from apps.personas.models import VoiceSettings
from apps.personas.voices.base import VoiceError

MAY_CHANGE = "personas.change_voicesettings"


class VoiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything but the key as it is; the key is written, never shown."""

    voice = forms.ChoiceField(choices=list, widget=UnfoldAdminSelectWidget)
    base_url = forms.URLField(
        required=False,
        assume_scheme="https",
        max_length=300,
        widget=UnfoldAdminURLInputWidget,
        label="Address",
        help_text="Of an OpenAI-compatible service, as in http://localhost:11434/v1.",
    )
    new_key = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        label="API key",
        help_text="Empty keeps the one there is. It is stored encrypted and never shown again.",
    )

    class Meta:
        model = VoiceSettings
        fields = (
            "persona",
            "voice",
            "base_url",
            "model",
            "timeout_seconds",
            "most_tokens",
            "temperature",
            "daily_budget",
            "moderate",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["voice"].choices = [  # type: ignore[attr-defined]
            (name, name.replace("_", " ").capitalize()) for name in speaking.VOICES
        ]


@admin.register(VoiceSettings)
class VoiceSettingsAdmin(StudioAdmin):
    """How each persona's answers are written."""

    form = VoiceForm
    list_display = ("persona", "voice", "model", "base_url", "spent", "test_result")
    list_filter = ("voice",)
    readonly_fields = ("key_state", "spent", "spent_on", "tested_at", "test_result")
    change_form_outer_after_template = "admin/personas/voicesettings/try.html"
    fieldsets = (
        (None, {"fields": ("persona", "voice")}),
        ("Model", {"fields": (("base_url", "model"), ("new_key", "key_state"))}),
        ("Limits", {"fields": (
            ("timeout_seconds", "most_tokens", "temperature"), ("daily_budget", "moderate"),
            ("spent", "spent_on"))}),
    )  # fmt: skip

    @admin.display(description="Key")
    def key_state(self, row: VoiceSettings) -> str:
        return "A key is stored." if row.pk and row.key else "No key is stored."

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, *(("persona",) if obj else ()))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if key := form.cleaned_data.get("new_key"):
            services.set_voice_key(persona=obj.persona, key=key, by=acting(request))

    def get_urls(self) -> list[Any]:
        def button(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own = [
            path("<uuid:pk>/test/", button(self.test), name="personas_voicesettings_test"),
            path("<uuid:pk>/try/", button(self.try_reply), name="personas_voicesettings_try"),
        ]
        return own + list(super().get_urls())

    def test(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Whether the connection works."""
        row = self._row(request, pk)
        works, said = services.test_voice(persona=row.persona)
        self.message_user(request, said, messages.SUCCESS if works else messages.ERROR)
        return self._back(pk)

    def try_reply(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What the persona would answer."""
        row = self._row(request, pk)
        text = request.POST.get("text", "").strip()[:500]
        try:
            said = services.try_reply(persona=row.persona, text=text)
        except VoiceError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, f"{row.persona} would answer: {said}", messages.INFO)
        return self._back(pk)

    def _row(self, request: HttpRequest, pk: UUID) -> VoiceSettings:
        if not request.user.has_perm(MAY_CHANGE):
            raise PermissionDenied
        return get_object_or_404(VoiceSettings, pk=pk)

    def _back(self, pk: UUID) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:personas_voicesettings_change", args=[pk]))
