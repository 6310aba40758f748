"""Personas that write, in the admin: ask, watch, take."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import RelatedDropdownFilter

from apps.core.admin.base import ReadOnlyAdmin, acting
from apps.core.errors import Refused
from apps.core.shown import badge, when
from apps.personas import speaking
from apps.personas.models import Persona
from apps.scheduling import authoring
from apps.scheduling.models import LONGEST_BRIEF, Candidate, DraftRun

MAY_POST = "scheduling.add_post"
State = Candidate.State
LOOKS: dict[str, str] = {
    State.WAITING: "quiet",
    State.WRITTEN: "info",
    State.TAKEN: "good",
    State.REFUSED: "warn",
    State.FAILED: "bad",
}
KINDS = {
    "choice": "Some to choose from",
    "days": "One a day",
    "slots": "One for each free slot",
}


class WishForm(forms.Form):
    """What one persona is to write, as typed."""

    brief = forms.CharField(
        label="What about?",
        required=False,
        max_length=LONGEST_BRIEF,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="In your own words. Empty leaves it to the persona.",
    )
    kind = forms.ChoiceField(label="How many", choices=list(KINDS.items()))
    number = forms.IntegerField(
        label="Number", min_value=1, max_value=authoring.MOST_POSTS, required=False
    )
    at = forms.DateTimeField(
        label="When",
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    accounts = forms.MultipleChoiceField(
        label="Accounts", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, persona: Persona, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.persona = persona
        self.own_accounts = list(persona.accounts.select_related("persona").order_by("network"))
        field = self.fields["accounts"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(str(each.pk), str(each)) for each in self.own_accounts]
        self.fields[
            "number"
        ].help_text = (
            f"Empty: {authoring.CHOICES} to choose from, or {authoring.WEEK} days or slots."
        )
        self.fields["at"].help_text = (
            f"By {persona.name}'s clock ({persona.time_zone}). Empty: tomorrow at nine, or the "
            "next free slot."
        )

    def wish(self) -> authoring.Wish:
        """The request as services take it; the form must be valid."""
        data = self.cleaned_data
        number, kind = data.get("number"), data["kind"]
        many = number or authoring.WEEK
        return authoring.Wish(
            persona=self.persona,
            brief=data["brief"],
            accounts=[each for each in self.own_accounts if str(each.pk) in data["accounts"]],
            count=(number or authoring.CHOICES) if kind == "choice" else None,
            at=data.get("at"),
            days=many if kind == "days" else None,
            slots=many if kind == "slots" else None,
        )

    def show(self, refused: Refused) -> None:
        """Put every problem at its field."""
        places = {"count": "number", "days": "number", "slots": "number"}
        for name, code, message in refused.problems:
            place = places.get(name, name)
            error = forms.ValidationError(message, code=code)
            self.add_error(place if place in self.fields else None, error)


@admin.register(DraftRun)
class DraftRunAdmin(ReadOnlyAdmin):
    """What personas were asked to write, and what came of it."""

    list_display = ("asked", "persona", "progress", "when_")
    list_filter = (("persona", RelatedDropdownFilter),)
    search_fields = ("brief",)
    list_select_related = ("persona",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("scheduling.add_draftrun"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[DraftRun]:
        rows: QuerySet[DraftRun] = super().get_queryset(request)
        done = Count("candidates", filter=~Q(candidates__text=""))
        return rows.annotate(total=Count("candidates"), done=done)

    @display(description="Asked for", ordering="brief")
    def asked(self, run: DraftRun) -> str:
        return str(run)

    @display(description="Written")
    def progress(self, run: Any) -> Any:
        if run.error:
            return badge("bad", f"{run.done} of {run.total}", run.error)
        return f"{run.done} of {run.total}"

    @display(description="When", ordering="created_at")
    def when_(self, run: DraftRun) -> Any:
        return when(run.created_at)

    def get_urls(self) -> list[Any]:
        def button(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own = [
            path("<uuid:pk>/retry/", button(self.retry), name="scheduling_draftrun_retry"),
            path("take/<uuid:pk>/", button(self.take), name="scheduling_draftrun_take"),
        ]
        return own + list(super().get_urls())

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Asking, where there is no request yet; else the request with its texts."""
        if object_id is None:
            return self._ask(request)
        run = self.get_object(request, object_id)
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        if run is None:
            return self._get_obj_does_not_exist_redirect(  # type: ignore[no-any-return]
                request, self.opts, object_id
            )
        return self._show(request, run)

    def _ask(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        kind = request.GET.get("kind", "")
        persona = _chosen_persona(request)
        context: dict[str, Any] = {**self.admin_site.each_context(request), "opts": self.opts}
        if persona is None:
            context |= {
                "title": "Write drafts",
                "kind": kind if kind in KINDS else "",
                "personas": Persona.objects.active().annotate(number=Count("accounts")),
            }
            return TemplateResponse(request, "admin/scheduling/choose_persona.html", context)
        form = WishForm(
            request.POST or None,
            persona=persona,
            initial={"kind": kind if kind in KINDS else "choice"},
        )
        with timezone.override(ZoneInfo(persona.time_zone)):
            valid = request.method == "POST" and form.is_valid()
        if valid:
            try:
                run = authoring.ask_for_drafts(form.wish(), by=acting(request))
                return HttpResponseRedirect(self._page(run.pk))
            except Refused as refused:
                form.show(refused)
        context |= {
            "title": f"Drafts by {persona.name}",
            "form": form,
            "persona": persona,
            "voice": speaking.settings_of(persona).voice.replace("_", " "),
        }
        return TemplateResponse(request, "admin/scheduling/ask_drafts.html", context)

    def _show(self, request: HttpRequest, run: DraftRun) -> HttpResponse:
        rows = list(run.candidates.select_related("post"))
        shown = [
            {
                "row": each,
                "state": badge(LOOKS[each.state], each.get_state_display()),
                "when": when(each.at),
                "may_take": each.state == State.WRITTEN,
            }
            for each in rows
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": f"Drafts by {run.persona.name}",
            "opts": self.opts,
            "original": run,
            "candidates": shown,
            "done": sum(bool(each.text) for each in rows),
            "may_post": request.user.has_perm(MAY_POST),
            "may_retry": self.has_add_permission(request)
            and run.finished_at is not None
            and any(each.state == State.FAILED for each in rows),
        }
        return TemplateResponse(request, "admin/scheduling/draft_run.html", context)

    def retry(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Have written what could not be."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            authoring.ask_again(get_object_or_404(DraftRun, pk=pk), by=acting(request))
        except Refused as refused:
            messages.error(request, str(refused))
        return HttpResponseRedirect(self._page(pk))

    def take(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Make a text a draft post and open it in the composer."""
        if not request.user.has_perm(MAY_POST):
            raise PermissionDenied
        candidate = get_object_or_404(Candidate, pk=pk)
        try:
            post = authoring.take_candidate(candidate, by=acting(request))
        except Refused as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(self._page(candidate.run_id))
        messages.success(request, "It is a draft: nothing goes out yet.")
        return HttpResponseRedirect(reverse("admin:scheduling_post_change", args=[post.pk]))

    def _page(self, pk: UUID) -> str:
        return reverse("admin:scheduling_draftrun_change", args=[pk])


def _chosen_persona(request: HttpRequest) -> Persona | None:
    active = list(Persona.objects.active()[:2])
    if len(active) == 1:
        return active[0]
    try:
        return Persona.objects.active().filter(pk=UUID(request.GET.get("persona", ""))).first()
    except ValueError:
        return None
