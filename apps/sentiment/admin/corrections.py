"""Corrections in the admin: what a text really is, and how often the engine was wrong."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from apps.core.admin.base import StudioAdmin, acting
from apps.core.shown import when
from apps.sentiment import correcting, services
from apps.sentiment.admin.shown import mood
from apps.sentiment.models import Comment, Correction


class CorrectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A text and what it is."""

    class Meta:
        model = Correction
        fields = ("text", "label", "intent", "note")

    def clean_text(self) -> str:
        text = str(self.cleaned_data["text"])
        if not text.strip():
            raise forms.ValidationError("Write the text that you correct.")
        return text


@admin.register(Correction)
class CorrectionAdmin(StudioAdmin):
    """What people say texts are; it outranks the engine."""

    form = CorrectionForm
    list_display = ("said", "says", "engine_said", "made_by", "made")
    list_filter = (("label", ChoicesDropdownFilter), "engine", "version")
    search_fields = ("text", "note")
    list_select_related = ("made_by",)
    list_before_template = "admin/sentiment/drift.html"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        extra_context = {**(extra_context or {}), "drift": correcting.drift()}
        return super().changelist_view(request, extra_context)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Other words would be another correction.
        return ("text",) if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        comment = Comment.objects.filter(pk=_uuid(request.GET.get("comment", ""))).first()
        return {"text": comment.text if comment else ""}

    def save_model(
        self, request: HttpRequest, obj: Correction, form: CorrectionForm, change: Any
    ) -> None:
        row = services.correct(
            text=obj.text,
            label=obj.label,
            intent=obj.intent,
            note=obj.note,
            by=acting(request),
            comment=Comment.objects.filter(text=obj.text).first(),
        )
        obj.pk = row.pk
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: Correction) -> None:
        services.withdraw(obj, by=acting(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            services.withdraw(obj, by=acting(request))

    @display(description="Text")
    def said(self, row: Correction) -> str:
        return row.text[:120]

    @display(description="It is", ordering="score")
    def says(self, row: Correction) -> Any:
        return mood(row.label, row.score)

    @display(description="The engine said", ordering="engine_score")
    def engine_said(self, row: Correction) -> Any:
        return mood(row.engine_label, row.engine_score)

    @display(description="When", ordering="made_at")
    def made(self, row: Correction) -> Any:
        return when(row.made_at)


def _uuid(value: str) -> Any:
    try:
        return UUID(value)
    except ValueError:
        return None
