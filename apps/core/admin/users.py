"""People who sign in, and their groups."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from rest_framework_simplejwt.token_blacklist import admin as token_admin  # noqa: F401 - first
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.core.admin.base import StudioAdmin
from apps.core.models import User
from apps.core.shown import badge

admin.site.unregister(Group)
# Tokens are the machinery of the API: revoking them is a matter of the user, not of their rows.
admin.site.unregister(BlacklistedToken)
admin.site.unregister(OutstandingToken)


@admin.register(User)
class UserAdmin(StudioAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Users: staff live in the studio, fans only talk to personas."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "role", "full_name", "email", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")

    @display(description="Role", ordering="is_staff")
    def role(self, user: User) -> Any:
        if not user.is_active:
            return badge("quiet", "Inactive")
        if user.is_superuser:
            return badge("accent", "Superuser")
        return badge("info", "Staff") if user.is_staff else badge("quiet", "Fan")

    @display(description="Name", ordering="first_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "–"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        # Whoever may edit users could otherwise make themselves superuser.
        if not getattr(request.user, "is_superuser", False):
            fields += ("is_superuser", "user_permissions", "groups")
        return fields

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        if obj is not None and obj.is_superuser:
            return bool(allowed and getattr(request.user, "is_superuser", False))
        return bool(allowed)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        if obj is not None and obj.is_superuser:
            return bool(allowed and getattr(request.user, "is_superuser", False))
        return bool(allowed)


@admin.register(Group)
class GroupAdmin(StudioAdmin, DjangoGroupAdmin):
    """Groups: permissions given together."""
