"""Series in the admin: how a post repeats, its coming times, and what to do with each."""

from collections.abc import Callable
from datetime import date, datetime
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
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import RelatedDropdownFilter

from apps.core.admin.base import StudioAdmin, acting
from apps.core.shown import badge, when
from apps.personas.models import Persona
from apps.scheduling import planning, recurrence, repeating, services
from apps.scheduling.admin import series_form
from apps.scheduling.admin.series_form import SeriesForm
from apps.scheduling.models import Post, Series

SHOWN_AHEAD = 20
VERBS: dict[str, tuple[str, Callable[..., Any]]] = {
    "pause": ("Paused.", planning.pause),
    "resume": ("It goes on.", planning.resume),
}
OCCURRENCE_TONES = {"planned": "quiet", "prepared": "info", "skipped": "warn", "missed": "bad"}


@admin.register(Series)
class SeriesAdmin(StudioAdmin):
    """Posts that repeat by wall clock."""

    list_display = ("name_", "rule", "next_", "state")
    list_filter = (("persona", RelatedDropdownFilter), "is_paused")
    search_fields = ("name", "text", "persona__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Series]:
        rows: QuerySet[Series] = super().get_queryset(request)
        return rows.select_related("persona", "crontab")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Its page has the button: the coming posts have to go with it.
        return False

    # -- The list -----------------------------------------------------------------------------

    @display(description="Series", ordering="name")
    def name_(self, series: Series) -> Any:
        return format_html(
            '<span class="g-said">{}</span><span class="g-quiet">{}</span>',
            series.name,
            series.persona.name,
        )

    @display(description="When")
    def rule(self, series: Series) -> str:
        return recurrence.describe(repeating.rule_of(series))

    @display(description="Next")
    def next_(self, series: Series) -> Any:
        coming = recurrence.upcoming(repeating.rule_of(series), timezone.now(), 1)
        return when(coming[0].at) if coming and not series.is_paused else "–"

    @display(description="State")
    def state(self, series: Series) -> Any:
        if series.is_paused:
            return badge("warn", "Paused")
        if series.problem:
            return badge("bad", "Stuck", series.problem)
        if not recurrence.upcoming(repeating.rule_of(series), timezone.now(), 1):
            return badge("quiet", "Over")
        return badge("good", "Running")

    # -- One series ---------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        def posted(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own = [
            path("<uuid:series_id>/do/<slug:verb>/", posted(self.act), name="scheduling_series_do"),
            path("<uuid:series_id>/skip/", posted(self.skip), name="scheduling_series_skip"),
            path("<uuid:series_id>/remove/", posted(self.remove), name="scheduling_series_remove"),
        ]
        urls: list[Any] = super().get_urls()
        return own + urls

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The page on which a series is written, changed and looked at."""
        if object_id is None:
            if not self.has_add_permission(request):
                raise PermissionDenied
            copied = self._copied(request)
            persona = copied.persona if copied else self._chosen_persona(request)
            if persona is None:
                return self._choose_persona(request)
            return self._page_of(request, persona, None, copied)
        series = self.get_object(request, object_id)
        if not self.has_view_or_change_permission(request, series):
            raise PermissionDenied
        if series is None:
            return self._get_obj_does_not_exist_redirect(  # type: ignore[no-any-return]
                request, self.opts, object_id
            )
        return self._page_of(request, series.persona, series, None)

    def _copied(self, request: HttpRequest) -> Post | None:
        found = _uuid(request.GET.get("copy", ""))
        if found is None or not request.user.has_perm("scheduling.view_post"):
            return None
        return Post.objects.select_related("persona").filter(pk=found).first()

    def _chosen_persona(self, request: HttpRequest) -> Persona | None:
        active = list(Persona.objects.active()[:2])
        if len(active) == 1:
            return active[0]
        found = _uuid(request.GET.get("persona", ""))
        return Persona.objects.filter(pk=found).first() if found else None

    def _choose_persona(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Make a series",
            "personas": Persona.objects.active().annotate(number=Count("accounts")),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/scheduling/choose_persona.html", context)

    def _page_of(
        self, request: HttpRequest, persona: Persona, series: Series | None, copied: Post | None
    ) -> HttpResponse:
        may_change = series is None or self.has_change_permission(request, series)
        form = SeriesForm(
            request.POST if request.method == "POST" else None,
            initial=series_form.initial_of(series)
            if series
            else series_form.initial_of_new(persona, copied=copied),
            persona=persona,
            series=series,
            viewer_zone=timezone.get_current_timezone_name(),
        )
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            stored = self._store(request, form, series)
            if stored is not None:
                return HttpResponseRedirect(self._page(stored.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": series.name if series else f"A series by {persona.name}",
            "opts": self.opts,
            "original": series,
            "persona": persona,
            "form": form,
            "may_change": may_change,
            "may_remove": series is not None and request.user.has_perm("scheduling.delete_series"),
            "rule": recurrence.describe(repeating.rule_of(series)) if series else "",
            "state": self.state(series) if series else "",
            "coming": self._coming(series) if series else [],
            "from_date": request.POST.get("from_date", request.GET.get("from_date", "")),
        }
        return TemplateResponse(request, "admin/scheduling/series.html", context)

    def _store(
        self, request: HttpRequest, form: SeriesForm, series: Series | None
    ) -> Series | None:
        """Save through services; None when the form now shows what is wrong."""
        if not form.is_valid():
            return None
        by = acting(request)
        given = request.POST.get("from_date", "")
        from_date = _date(given)
        try:
            if given and from_date is None:
                raise services.Refused(("from_date", "invalid", f"{given[:20]} is no day."))
            if series is None:
                stored = planning.create_series(form.plan(), by=by)
                messages.success(request, "Made. Its coming posts are prepared.")
            elif from_date is not None:
                stored = planning.change_following(series, form.plan(), from_date=from_date, by=by)
                messages.success(request, f"Changed from {from_date} on.")
            else:
                stored = planning.change_series(series, form.plan(), by=by)
                messages.success(request, "Changed, and with it all that is to come.")
        except services.Refused as refused:
            form.show(refused)
            return None
        return stored

    def _coming(self, series: Series) -> list[dict[str, Any]]:
        return [
            {
                "moment": each.moment,
                "when": when(each.moment.at),
                "state": each.state,
                "badge": badge(OCCURRENCE_TONES[each.state], each.state.capitalize()),
                "is_edited": each.is_edited,
                "post": each.post,
            }
            for each in planning.coming(series, most=SHOWN_AHEAD)
        ]

    # -- Verbs --------------------------------------------------------------------------------

    def act(self, request: HttpRequest, series_id: UUID, verb: str) -> HttpResponse:
        """Pause or resume."""
        series = self._mine_to_change(request, series_id)
        if verb not in VERBS:
            raise PermissionDenied
        said, service = VERBS[verb]
        return self._done(request, series, said, lambda: service(series, by=acting(request)))

    def skip(self, request: HttpRequest, series_id: UUID) -> HttpResponse:
        """Leave out one time, or bring it back."""
        series = self._mine_to_change(request, series_id)
        try:
            local = datetime.fromisoformat(request.POST.get("local", "")).replace(tzinfo=None)
        except ValueError:
            raise PermissionDenied from None
        back = "back" in request.POST
        verb = planning.unskip if back else planning.skip
        said = "It comes again." if back else "Skipped."
        return self._done(
            request, series, said, lambda: verb(series, local=local, by=acting(request))
        )

    def remove(self, request: HttpRequest, series_id: UUID) -> HttpResponse:
        """Delete a series with its coming posts."""
        if not request.user.has_perm("scheduling.delete_series"):
            raise PermissionDenied
        series = get_object_or_404(Series, pk=series_id)
        planning.remove(series, by=acting(request))
        messages.success(request, "Deleted, with the posts it had prepared.")
        return HttpResponseRedirect(reverse("admin:scheduling_series_changelist"))

    def _mine_to_change(self, request: HttpRequest, series_id: UUID) -> Series:
        series = get_object_or_404(Series, pk=series_id)
        if not self.has_change_permission(request, series):
            raise PermissionDenied
        return series

    def _done(
        self, request: HttpRequest, series: Series, said: str, work: Callable[[], Any]
    ) -> HttpResponse:
        try:
            work()
            messages.success(request, said)
        except services.Refused as refused:
            messages.error(request, str(refused))
        return HttpResponseRedirect(self._page(series.pk))

    def _page(self, pk: UUID) -> str:
        return reverse("admin:scheduling_series_change", args=[pk])


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
