"""Deliveries in the admin: each post on each account, its ledger, and what a person may decide."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.core.validators import URLValidator
from django.db.models import QuerySet
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)

from apps.core.admin.base import StudioAdmin, acting
from apps.core.models import User
from apps.core.rows import number_of
from apps.core.shown import badge, when
from apps.personas import services as personas
from apps.scheduling import composing, services, unpublishing
from apps.scheduling.admin import response
from apps.scheduling.admin.shown import (
    OUTCOME_TONES,
    NetworkFilter,
    disclosure_of,
    network_label,
    state_badge,
)
from apps.scheduling.models import Attempt, Delivery

State = Delivery.State
Verb = Callable[..., Any]

# What may be asked of one delivery: the words on the button, the verb, and in which states.
VERBS: dict[str, tuple[str, Verb, tuple[str, ...]]] = {
    "publish-now": ("Publish now", services.publish_delivery_now, (State.SCHEDULED,)),
    "retry": ("Try again", services.retry_delivery, (State.FAILED, State.MISSED)),
    "hold": ("Hold", services.hold_delivery, (State.SCHEDULED,)),
    "release": ("Release", services.release_delivery, (State.HELD,)),
    "unpublish": ("Remove from the network", unpublishing.unpublish_delivery, (State.PUBLISHED,)),
    "mark-removed": ("I removed it by hand", unpublishing.mark_removed, (State.PUBLISHED,)),
    "cancel": ("Cancel", services.cancel_delivery, (State.AWAITING, State.SCHEDULED, State.HELD)),
}


def fits(verb: str, delivery: Delivery) -> bool:
    """Whether the delivery's network knows this verb."""
    return verb != "unpublish" or unpublishing.can_unpublish(delivery)


@admin.register(Delivery)
class DeliveryAdmin(StudioAdmin):
    """One post on one account: where it stands, and what to do about it."""

    list_display = ("said", "account_", "state_", "due", "tries", "seen_at")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        NetworkFilter,
        ("account__persona", RelatedDropdownFilter),
        ("account", RelatedDropdownFilter),
        ("due_at", RangeDateFilter),
    )
    search_fields = ("post__text", "account__handle", "error", "remote_url")
    ordering = ("-due_at", "-id")
    actions = ("publish_now", "retry", "hold", "release", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        # Not joined but fetched for the page: a planner without statistics would begin with them.
        rows = rows.select_related("post", "after").prefetch_related(
            "post__persona", "account__persona"
        )
        return rows.annotate(tries_count=number_of(Attempt.objects.all(), "delivery"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The ledger stays: what was sent cannot be unsent by forgetting it.
        return False

    # -- The list -----------------------------------------------------------------------------

    @display(description="Post", ordering="post__text")
    def said(self, delivery: Delivery) -> Any:
        return format_html(
            '<span class="g-said">{}</span><span class="g-quiet">{}</span>',
            f"{delivery.post} (part {delivery.part + 1})" if delivery.part else str(delivery.post),
            delivery.post.persona.name,
        )

    @display(description="Account", ordering="account__handle")
    def account_(self, delivery: Delivery) -> Any:
        return format_html(
            '{}<br><span class="g-quiet">{}</span>',
            network_label(delivery.account.network),
            delivery.account.handle,
        )

    @display(description="State", ordering="state")
    def state_(self, delivery: Delivery) -> Any:
        return state_badge(delivery)

    @display(description="Due", ordering="due_at")
    def due(self, delivery: Delivery) -> Any:
        return when(delivery.published_at or delivery.due_at)

    @display(description="Tries", ordering="tries_count")
    def tries(self, delivery: Any) -> int:
        return int(delivery.tries_count)

    @display(description="On the network")
    def seen_at(self, delivery: Delivery) -> Any:
        if not delivery.remote_url:
            return "–"
        return format_html(
            '<a class="g-link" href="{}" rel="noopener noreferrer">Open</a>', delivery.remote_url
        )

    def _all(self, request: HttpRequest, queryset: QuerySet[Delivery], verb: str) -> None:
        label, service, _ = VERBS[verb]
        done, skipped = 0, []
        for delivery in queryset:
            try:
                service(delivery, by=acting(request))
                done += 1
            except services.Refused as refused:
                skipped.append(f"Skipped “{delivery}” ({delivery.get_state_display()}): {refused}")
        self.say_skipped(request, f"{label}: {done} done." if done else "", skipped)

    @admin.action(description="Publish now", permissions=["change"])
    def publish_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._all(request, queryset, "publish-now")

    @admin.action(description="Try again", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._all(request, queryset, "retry")

    @admin.action(description="Hold", permissions=["change"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._all(request, queryset, "hold")

    @admin.action(description="Release", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._all(request, queryset, "release")

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._all(request, queryset, "cancel")

    # -- One delivery -------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        act = self.admin_site.admin_view(require_POST(self.act))
        decide = self.admin_site.admin_view(require_POST(self.decide))
        own = [
            path("<uuid:delivery_id>/do/<slug:verb>/", act, name="scheduling_delivery_do"),
            path("<uuid:delivery_id>/decide/", decide, name="scheduling_delivery_decide"),
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
        """The page of one delivery. Nothing on it is typed over: every change is a verb."""
        delivery = self.get_object(request, str(object_id))
        if not self.has_view_permission(request, delivery):
            raise PermissionDenied
        if delivery is None:
            return self._get_obj_does_not_exist_redirect(  # type: ignore[no-any-return]
                request, self.opts, str(object_id)
            )
        may_act = self.has_change_permission(request, delivery)
        frozen = delivery.frozen or composing.freeze(delivery, now=delivery.due_at)
        context = {
            **self.admin_site.each_context(request),
            "title": str(delivery.post),
            "opts": self.opts,
            "original": delivery,
            "delivery": delivery,
            "state_badge": state_badge(delivery),
            "network": network_label(delivery.account.network),
            "due": when(delivery.due_at),
            "too_late": when(delivery.too_late_at) if delivery.too_late_at else "",
            "published": when(delivery.published_at) if delivery.published_at else "",
            "content": frozen,
            **disclosure_of(frozen),
            "pictures": composing.media_of(delivery.post, delivery.part),
            "before": delivery.after,
            "waits_for": delivery.waits_for,
            "response": response.of([delivery]),
            "following": list(delivery.followed_by.all()),
            "ledger": [
                (
                    when(attempt.started_at),
                    badge(OUTCOME_TONES[attempt.outcome], attempt.get_outcome_display()),
                    f"{attempt.took.total_seconds():.1f} s" if attempt.took else "–",
                    attempt.detail,
                )
                for attempt in delivery.attempts.all()
            ],
            "verbs": [
                (verb, label)
                for verb, (label, _, states) in VERBS.items()
                if may_act and delivery.state in states and fits(verb, delivery)
            ],
            "may_decide": may_act and delivery.state == State.NEEDS_REVIEW,
            "removed": when(delivery.removed_at) if delivery.removed_at else "",
            "what_holds": personas.what_holds(delivery.account.persona)
            if delivery.state == State.SCHEDULED
            else None,
        }
        return TemplateResponse(request, "admin/scheduling/delivery.html", context)

    def act(self, request: HttpRequest, delivery_id: UUID, verb: str) -> HttpResponse:
        """One of VERBS on one delivery."""
        delivery = self._mine_to_change(request, delivery_id)
        if verb not in VERBS:
            raise PermissionDenied
        label, service, _ = VERBS[verb]
        return self._done(request, delivery, label, lambda by: service(delivery, by=by))

    def decide(self, request: HttpRequest, delivery_id: UUID) -> HttpResponse:
        """The answer to what no machine can tell: is it there?"""
        delivery = self._mine_to_change(request, delivery_id)
        answer, url = request.POST.get("answer", ""), request.POST.get("url", "").strip()
        if answer == "posted" and url:
            try:
                URLValidator(schemes=["http", "https"])(url)
            except ValidationError:
                messages.error(request, "That is no address: give one that begins with https://.")
                return HttpResponseRedirect(self._page(delivery))
        return self._done(
            request,
            delivery,
            "Decided",
            lambda by: services.resolve_delivery(
                delivery, answer=answer, url=url if answer == "posted" else "", by=by
            ),
        )

    def _mine_to_change(self, request: HttpRequest, delivery_id: UUID) -> Delivery:
        delivery = get_object_or_404(Delivery.objects.select_related("account"), pk=delivery_id)
        if not self.has_change_permission(request, delivery):
            raise PermissionDenied
        return delivery

    def _done(
        self,
        request: HttpRequest,
        delivery: Delivery,
        label: str,
        work: Callable[[User], Delivery],
    ) -> HttpResponse:
        try:
            state = work(acting(request)).get_state_display()
            messages.success(request, f"{label}. Its state is now: {state}.")
        except services.Refused as refused:
            messages.error(request, str(refused))
        return HttpResponseRedirect(self._page(delivery))

    def _page(self, delivery: Delivery) -> str:
        return reverse("admin:scheduling_delivery_change", args=[delivery.pk])
