"""The page on which a post is written, changed and cancelled."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from apps.core.admin.base import StudioAdmin, acting
from apps.core.shown import when
from apps.personas import services as personas
from apps.personas.models import Persona
from apps.scheduling import services, slots
from apps.scheduling.admin import approval, composer, correcting, response
from apps.scheduling.admin.composer import ComposeForm
from apps.scheduling.admin.shown import network_label, state_badge
from apps.scheduling.models import Delivery, Occurrence, Post

SAID: dict[str, str] = {
    Post.Approval.DRAFT: "It is a draft: nothing goes out yet.",
    Post.Approval.IN_REVIEW: "It waits for approval.",
    Post.Approval.APPROVED: "Scheduled. It goes out on its own.",
}


class ComposerPage(StudioAdmin):
    """The part of the posts' admin that is the composer, for new posts and unseen ones."""

    def get_urls(self) -> list[Any]:
        check = self.admin_site.admin_view(require_POST(self.check_draft))
        cancel = self.admin_site.admin_view(require_POST(self.cancel_one))
        own = [
            path("check/<uuid:persona_id>/", check, name="scheduling_post_check"),
            path("<uuid:post_id>/cancel/", cancel, name="scheduling_post_cancel"),
        ]
        return [*own, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The composer, for a new post and for one that no network has seen yet."""
        if object_id is None:
            if not self.has_add_permission(request):
                raise PermissionDenied
            persona = self._chosen_persona(request)
            if persona is None:
                return self._choose_persona(request)
            return self._compose(request, persona, None)
        post = self.get_object(request, object_id)
        if not self.has_view_or_change_permission(request, post):
            raise PermissionDenied
        if post is None:
            return self._get_obj_does_not_exist_redirect(  # type: ignore[no-any-return]
                request, self.opts, object_id
            )
        return self._compose(request, post.persona, post)

    def _chosen_persona(self, request: HttpRequest) -> Persona | None:
        active = list(Persona.objects.active()[:2])
        if len(active) == 1:
            return active[0]
        try:
            return Persona.objects.filter(pk=UUID(request.GET.get("persona", ""))).first()
        except ValueError:
            return None

    def _choose_persona(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Write a post",
            "personas": Persona.objects.active().annotate(number=Count("accounts")),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/scheduling/choose_persona.html", context)

    def _compose(self, request: HttpRequest, persona: Persona, post: Post | None) -> HttpResponse:
        open_to_change = post is None or (
            self.has_change_permission(request, post) and services.may_change(post)
        )
        form = self._form(request, persona, post)
        corrected = correcting.named(request, persona) if post is None else None
        if request.method == "POST":
            if not open_to_change:
                raise PermissionDenied
            stored = self._store(request, form, post)
            if stored is not None:
                return HttpResponseRedirect(self._page(stored))
        rows = (
            post.deliveries.select_related("account", "after") if post else Delivery.objects.none()
        )
        deliveries = list(rows.order_by("account", "part"))
        context = {
            **self.admin_site.each_context(request),
            "title": str(post) if post else f"Write as {persona.name}",
            "opts": self.opts,
            "original": post,
            "persona": persona,
            "form": form,
            "templates": [] if post else composer.templates_for(persona),
            "open": open_to_change,
            "deliveries": [
                (each, network_label(each.account.network), state_badge(each), when(each.due_at))
                for each in deliveries
            ],
            "when": when(post.scheduled_at) if post else "",
            "response": response.of(deliveries),
            "hold": personas.what_holds(persona),
            "may_cancel": post is not None
            and self.has_change_permission(request, post)
            and any(each.state in ("awaiting", "scheduled", "held") for each in deliveries),
            **approval.shown(request, post),
            "may_add": self.has_add_permission(request),
            "may_write": post is None and request.user.has_perm("scheduling.add_draftrun"),
            "corrected": corrected,
            "may_correct": correcting.fits(request, post),
            "free": _free_slots(persona) if post is None and corrected is None else [],
            "may_repeat": request.user.has_perm("scheduling.add_series"),
            "occurrence": Occurrence.objects.filter(post=post).select_related("series").first()
            if post
            else None,
        }
        return TemplateResponse(request, "admin/scheduling/compose.html", context)

    def _form(
        self,
        request: HttpRequest,
        persona: Persona,
        post: Post | None,
        data: QueryDict | None = None,
    ) -> ComposeForm:
        corrected = correcting.named(request, persona) if post is None else None
        copied = corrected
        if post is None and request.GET.get("copy"):
            copied = self.get_object(request, request.GET["copy"])
        initial = (
            composer.initial_of(post, zone=persona.time_zone)
            if post
            else composer.initial_of_new(
                persona,
                copied=copied,
                template=request.GET.get("template", ""),
                day=request.GET.get("day", ""),
                candidate=request.GET.get("candidate", ""),
            )
        )
        if corrected is not None:
            initial["accounts"] = correcting.accounts_of(corrected)
        return ComposeForm(
            data if data is not None else (request.POST if request.method == "POST" else None),
            initial=initial,
            persona=persona,
            post=post,
            viewer_zone=timezone.get_current_timezone_name(),
        )

    def _store(self, request: HttpRequest, form: ComposeForm, post: Post | None) -> Post | None:
        """Save through services; None when the form now shows what is wrong."""
        data = request.POST.copy()
        form.as_draft = _as_draft(data, post)
        if "now" in data or "queue" in data:
            # The buttons say when, whatever the clock in the form shows.
            data["at"] = timezone.localtime(timezone.now(), _zone(form, data)).strftime(
                "%Y-%m-%dT%H:%M:%S"
            )
        form.data = data
        with timezone.override(_zone(form, data)):
            valid = form.is_valid()
        uploaded = composer.store_uploads(request, form, by=acting(request))
        if uploaded:
            # Stored once: a form that comes back has them among its pictures already.
            for place, added in uploaded.items():
                data.setlist(place, [*data.getlist(place), *added])
            problems = {name: list(errors) for name, errors in form.errors.items()}
            form = self._replace(form, self._form(request, form.persona, post, data))
            form.as_draft = _as_draft(data, post)
            with timezone.override(_zone(form, data)):
                form.is_valid()
            for each in problems.get("images", []):
                form.add_error("images", each)
            valid = not form.errors
        if not valid or form.errors:
            return None
        try:
            corrected = correcting.named(request, form.persona) if post is None else None
            if corrected is not None:
                post = correcting.store(request, corrected, form.draft())
                messages.success(request, "It goes out once the post before it is gone.")
            elif post is None and "queue" in data:
                posts = slots.queue_post(form.draft(), by=acting(request))
                for queued in posts:
                    account = (
                        queued.deliveries.select_related("account").filter(part=0).get().account
                    )
                    said = format_html("Queued for {}: {}.", account, when(queued.scheduled_at))
                    messages.success(request, said)
                return posts[0]
            elif post is None:
                post = services.schedule_post(form.draft(), by=acting(request))
                messages.success(request, SAID[post.approval])
            else:
                post = services.change_post(post, form.draft(), by=acting(request))
                messages.success(request, f"Saved. {SAID[post.approval]}")
        except services.Refused as refused:
            form.show(refused)
            return None
        return post

    @staticmethod
    def _replace(form: ComposeForm, fresh: ComposeForm) -> ComposeForm:
        form.__dict__.update(fresh.__dict__)
        return form

    def check_draft(self, request: HttpRequest, persona_id: UUID) -> JsonResponse:
        """How each account's network counts what is being typed; nothing is stored."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        persona = get_object_or_404(Persona, pk=persona_id)
        data = request.POST.copy()
        # Counted for every account, chosen or not: the page shows what would be.
        data.setlist("accounts", [str(pk) for pk in persona.accounts.values_list("pk", flat=True)])
        form = ComposeForm(
            data, persona=persona, post=None, viewer_zone=timezone.get_current_timezone_name()
        )
        form.is_valid()
        counts = services.measure(form.draft())
        return JsonResponse(
            {
                "accounts": {
                    str(pk): {
                        "count": each.count,
                        "counts": each.counts,
                        "limit": each.limit,
                        "texts": each.texts,
                        "problems": [problem.message for problem in each.problems],
                    }
                    for pk, each in counts.items()
                }
            }
        )

    def cancel_one(self, request: HttpRequest, post_id: UUID) -> HttpResponse:
        """Cancel what of this post has not gone out."""
        post = get_object_or_404(Post, pk=post_id)
        if not self.has_change_permission(request, post):
            raise PermissionDenied
        try:
            count = services.cancel_post(post, by=acting(request))
            messages.success(request, f"Cancelled: {count}.")
        except services.Refused as refused:
            messages.error(request, str(refused))
        return HttpResponseRedirect(self._page(post))

    def _page(self, post: Post) -> str:
        return reverse("admin:scheduling_post_change", args=[post.pk])


def _free_slots(persona: Persona) -> list[tuple[Any, Any]]:
    """The next free slot of each account that has slots."""
    found = [(each, slots.next_free(each)) for each in persona.accounts.order_by("network")]
    return [(account, when(moment.at)) for account, moment in found if moment]


def _as_draft(data: QueryDict, post: Post | None) -> bool | None:
    """What the pressed button says: keep it a draft, hand it in, or leave it as it is."""
    if "draft" in data:
        return True
    return False if post is None or "now" in data else None


def _zone(form: ComposeForm, data: QueryDict) -> ZoneInfo:
    """The zone that the form names, if it is one of those it offers; else the persona's."""
    known = dict(form.fields["zone"].choices)  # type: ignore[attr-defined]
    name = data.get("zone", "")
    return ZoneInfo(name if name in known else form.persona.time_zone)
