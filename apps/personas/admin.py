"""Personas in the admin: who they are, what they know, and the buttons that silence them."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from unfold.admin import StackedInline

from apps.core.admin.base import ReadOnlyInline, StudioAdmin, acting
from apps.core.shown import badge, when
from apps.personas import (
    services,
    voice_admin,  # noqa: F401 - registers its own page
)
from apps.personas.models import Fact, Hold, Persona, Publication

MAY_HOLD = "personas.change_hold"


def what_is_stopped(request: HttpRequest) -> dict[str, Any]:
    """For every admin page: the global stop, if there is one."""
    if not request.user.is_authenticated:
        return {}
    stop = Hold.objects.everything().select_related("placed_by").first()
    return {"global_stop": stop, "may_hold": request.user.has_perm(MAY_HOLD)}


class FactInline(StackedInline):  # type: ignore[misc]
    """What the persona knows."""

    model = Fact
    extra = 0
    tab = True
    fields = ("kind", "question", "text")


class PublicationInline(ReadOnlyInline):
    """What the persona published lately."""

    model = Publication
    tab = True
    fields = ("published", "network", "text", "url")
    readonly_fields = fields
    per_page = 20
    verbose_name_plural = "Published"

    @display(description="When")
    def published(self, row: Publication) -> Any:
        return when(row.published_at)


@admin.register(Persona)
class PersonaAdmin(StudioAdmin):
    """Personas: name, voice, knowledge, past, and whether they may speak."""

    list_display = ("name", "handle_", "speaks", "number_of_accounts", "time_zone")
    list_filter = ("is_active",)
    search_fields = ("name", "handle", "bio")
    inlines = (FactInline, PublicationInline)
    actions = ("hold_selected", "release_selected")
    change_form_outer_before_template = "admin/personas/persona/hold.html"
    fieldsets = (
        (None, {"fields": (("name", "handle"), "bio", "avatar", "is_active")}),
        ("Posts", {"fields": ("made_with_ai", "needs_approval", "schedules_own_drafts")}),
        ("Voice", {"fields": ("voice", ("language", "time_zone"))}),
        ("Chat", {"fields": ("call_human_below",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Persona]:
        rows: QuerySet[Persona] = super().get_queryset(request)
        return rows.select_related("hold").annotate(accounts_count=Count("accounts"))

    @display(description="Handle", ordering="handle")
    def handle_(self, persona: Persona) -> str:
        return f"@{persona.handle}"

    @display(description="Speaks")
    def speaks(self, persona: Persona) -> Any:
        hold = getattr(persona, "hold", None)
        if hold is not None:
            return badge("warn", "Held", hold.reason)
        return badge("good", "Active") if persona.is_active else badge("quiet", "Inactive")

    @display(description="Accounts", ordering="accounts_count")
    def number_of_accounts(self, persona: Any) -> int:
        return int(persona.accounts_count)

    # -- Hold and release ---------------------------------------------------------------------

    def has_hold_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(MAY_HOLD))

    @admin.action(description="Hold: publish and reply nothing", permissions=["hold"])
    def hold_selected(
        self, request: HttpRequest, queryset: QuerySet[Persona]
    ) -> HttpResponse | None:
        if "reason" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Hold these personas?",
                "personas": queryset,
                "opts": self.model._meta,
            }
            return TemplateResponse(request, "admin/personas/persona/hold_several.html", context)
        reason = _reason(request)
        done = 0
        skipped = []
        for persona in queryset:
            if getattr(persona, "hold", None) is not None:
                skipped.append(f"{persona} was held already.")
            else:
                services.hold(persona=persona, reason=reason, by=acting(request))
                done += 1
        self.say_skipped(request, f"Held: {done}." if done else "", skipped)
        return None

    @admin.action(description="Release: let them speak again", permissions=["hold"])
    def release_selected(self, request: HttpRequest, queryset: QuerySet[Persona]) -> None:
        done = 0
        skipped = []
        for persona in queryset:
            if services.release(persona=persona, by=acting(request)):
                done += 1
            else:
                skipped.append(f"{persona} was not held.")
        self.say_skipped(request, f"Released: {done}." if done else "", skipped)

    def get_urls(self) -> list[Any]:
        def button(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own = [
            path("stop/", button(self.stop), name="personas_stop"),
            path("go-on/", button(self.go_on), name="personas_go_on"),
            path("<uuid:persona_id>/hold/", button(self.hold), name="personas_persona_hold"),
            path(
                "<uuid:persona_id>/release/", button(self.release), name="personas_persona_release"
            ),
        ]
        urls: list[Any] = super().get_urls()
        return own + urls

    def stop(self, request: HttpRequest) -> HttpResponse:
        """The global stop."""
        _demand(request)
        services.hold(persona=None, reason=_reason(request), by=acting(request))
        messages.warning(request, "Everything is stopped: nothing is published, nobody replies.")
        return _back(request)

    def go_on(self, request: HttpRequest) -> HttpResponse:
        """The end of the global stop."""
        _demand(request)
        if services.release(persona=None, by=acting(request)):
            messages.success(request, "Everything goes on.")
        else:
            messages.info(request, "Nothing was stopped.")
        return _back(request)

    def hold(self, request: HttpRequest, persona_id: UUID) -> HttpResponse:
        _demand(request)
        persona = get_object_or_404(Persona, pk=persona_id)
        services.hold(persona=persona, reason=_reason(request), by=acting(request))
        messages.warning(request, f"{persona} is held: it publishes nothing and does not reply.")
        return _back(request)

    def release(self, request: HttpRequest, persona_id: UUID) -> HttpResponse:
        _demand(request)
        persona = get_object_or_404(Persona, pk=persona_id)
        if services.release(persona=persona, by=acting(request)):
            messages.success(request, f"{persona} may speak again.")
        else:
            messages.info(request, f"{persona} was not held.")
        return _back(request)


def _demand(request: HttpRequest) -> None:
    if not request.user.has_perm(MAY_HOLD):
        raise PermissionDenied


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()[:300] or "No reason given"


def _back(request: HttpRequest) -> HttpResponse:
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = reverse("admin:index")
    return HttpResponseRedirect(target)
