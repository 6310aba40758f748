"""Media in the admin: upload, look, describe."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget

from apps.core.admin.base import StudioAdmin, acting
from apps.core.shown import badge, when
from apps.scheduling import services
from apps.scheduling.models import Media


class UploadForm(forms.ModelForm):  # type: ignore[type-arg]
    """One picture or video; what it is, its content says."""

    upload = forms.FileField(
        label="Picture or video",
        help_text="JPEG, PNG, GIF, WebP; MP4, MOV.",
        widget=UnfoldAdminFileFieldWidget,
    )

    class Meta:
        model = Media
        fields: ClassVar[list[str]] = ["alt"]
        widgets: ClassVar[dict[str, Any]] = {"alt": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    by: Any = None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and data.get("upload"):
            file = data["upload"]
            try:
                self.instance = services.add_media(
                    file, size=file.size, alt=data.get("alt", ""), by=self.by
                )
            except services.Refused as refused:
                for _, code, message in refused.problems:
                    self.add_error("upload", forms.ValidationError(message, code=code))
        return data


@admin.register(Media)
class MediaAdmin(StudioAdmin):
    """The pictures and videos that posts use."""

    list_display = ("preview", "alt_", "kind", "measures", "used", "created")
    list_display_links = ("preview", "alt_")
    search_fields = ("alt", "file")
    readonly_fields = ("big_preview", "kind", "measures", "created", "uploaded_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Media]:
        rows: QuerySet[Media] = super().get_queryset(request)
        return rows.annotate(posts_count=Count("posts"))

    def get_form(
        self, request: HttpRequest, obj: Media | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        return type("UploadForm", (UploadForm,), {"by": acting(request)})

    def get_fieldsets(self, request: HttpRequest, obj: Media | None = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("upload", "alt")}),)
        shown = ("big_preview", "alt", ("kind", "measures"), ("created", "uploaded_by"))
        return ((None, {"fields": shown}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Media | None = None) -> Any:
        return self.readonly_fields if obj else ()

    def save_model(self, request: HttpRequest, obj: Media, form: Any, change: Any) -> None:
        if change:
            super().save_model(request, obj, form, change)
        # A new one was stored by services.add_media while its content was checked.

    def has_delete_permission(self, request: HttpRequest, obj: Media | None = None) -> bool:
        # A picture of a post is part of what the studio said; it stays.
        if obj is not None and obj.posts.exists():
            return False
        return bool(super().has_delete_permission(request, obj))

    @display(description="Picture")
    def preview(self, row: Media) -> Any:
        if row.is_video:
            return _video(row, "g-thumb", 72, 72)
        return format_html(
            '<img class="g-thumb" src="{}" alt="{}" width="72" height="72" loading="lazy">',
            row.file.url,
            row.alt or f"Picture {row}",
        )

    @display(description="Picture")
    def big_preview(self, row: Media) -> Any:
        if row.is_video:
            return _video(row, "g-preview", row.width, row.height, controls=True)
        return format_html(
            '<img class="g-preview" src="{}" alt="{}" width="{}" height="{}">',
            row.file.url,
            row.alt,
            row.width,
            row.height,
        )

    @display(description="What it shows", ordering="alt")
    def alt_(self, row: Media) -> Any:
        return row.alt or badge("warn", "No description yet")

    @display(description="Kind", ordering="mime")
    def kind(self, row: Media) -> str:
        return {"video/quicktime": "MOV"}.get(row.mime, row.mime.partition("/")[2].upper())

    @display(description="Size", ordering="size")
    def measures(self, row: Media) -> str:
        length = f", {row.duration_ms / 1_000:.1f} s" if row.is_video else ""
        return f"{row.width} × {row.height}{length}, {filesizeformat(row.size)}"

    @display(description="In posts", ordering="posts_count")
    def used(self, row: Any) -> int:
        return int(row.posts_count)

    @display(description="Added", ordering="created_at")
    def created(self, row: Media) -> Any:
        return when(row.created_at)


def _video(row: Media, name: str, width: int, height: int, *, controls: bool = False) -> Any:
    return format_html(
        '<video class="{}" src="{}" aria-label="{}" width="{}" height="{}" '
        'muted playsinline preload="metadata"{}></video>',
        name,
        row.file.url,
        row.alt or f"Video {row}",
        width,
        height,
        mark_safe(" controls") if controls else "",
    )
