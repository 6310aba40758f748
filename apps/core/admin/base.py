"""What every admin page of the studio shares."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Model, URLField
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from apps.core import audit
from apps.core.models import User


class StudioAdmin(ModelAdmin):  # type: ignore[misc]
    """Our base of every admin page: one look, and every change in the audit trail."""

    formfield_overrides: Any = {URLField: {"assume_scheme": "https"}}
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    warn_unsaved_form = True
    show_full_result_count = False

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        _tell_audit(request, "add", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        if message:
            _tell_audit(request, "change", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Model]) -> Any:
        for obj in queryset:
            _tell_audit(request, "delete", obj)
        return super().log_deletions(request, queryset)

    def say_skipped(self, request: HttpRequest, done: str, skipped: Sequence[str]) -> None:
        """Tell what an action did and, by name, what it could not do and why."""
        if done:
            self.message_user(request, done, messages.SUCCESS)
        for each in skipped[:20]:
            self.message_user(request, each, messages.WARNING)
        if len(skipped) > 20:
            self.message_user(request, f"And {len(skipped) - 20} more.", messages.WARNING)


class ReadOnlyAdmin(StudioAdmin):
    """Pages to look at: what they show is written by the studio alone."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(TabularInline):  # type: ignore[misc]
    """Rows to look at inside another page."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def acting(request: HttpRequest) -> User:
    """Who presses the buttons: the admin lets nobody in who is not signed in."""
    assert isinstance(request.user, User)
    return request.user


def _tell_audit(request: HttpRequest, verb: str, obj: Model, message: Any = None) -> None:
    fields = [
        name
        for part in (message if isinstance(message, list) else [])
        for name in part.get("changed", {}).get("fields", [])
    ]
    audit.record(
        actor=acting(request),
        action=f"{verb} {obj._meta.verbose_name}"[:60],
        about=obj,
        **({"fields": fields} if fields else {}),
    )
