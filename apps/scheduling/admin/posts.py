"""Posts in the admin: the list with its actions, and the calendar."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action as unfold_action

from apps.core.admin.base import acting
from apps.core.rows import number_of
from apps.core.shown import when
from apps.scheduling import approving, services
from apps.scheduling.admin import approval, calendar, files
from apps.scheduling.admin.composer_page import ComposerPage
from apps.scheduling.admin.shown import PostNetworkFilter, PostStateFilter, delivery_badges
from apps.scheduling.models import Post, PostMedia


@admin.register(Post)
class PostAdmin(ComposerPage):
    """What personas say, and when."""

    list_display = ("said", "when_", "where", "approval_", "pictures")
    list_filter = (
        PostStateFilter,
        PostNetworkFilter,
        ("persona", RelatedDropdownFilter),
        ("approval", ChoicesDropdownFilter),
        ("scheduled_at", RangeDateFilter),
    )
    search_fields = ("text", "link", "persona__name")
    actions = ("approve", "publish_now", "cancel", "export_csv", "export_json")
    actions_list = ("import_posts", "week_of_drafts")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Post]:
        rows: QuerySet[Post] = super().get_queryset(request)
        rows = rows.prefetch_related("persona", "deliveries__account")
        return rows.annotate(pictures_count=number_of(PostMedia.objects.all(), "post"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A post is cancelled, not forgotten: its ledger says what may be on a network.
        return False

    @display(description="Post", ordering="text")
    def said(self, post: Post) -> Any:
        return format_html(
            '<span class="g-said">{}</span><span class="g-quiet">{}</span>',
            str(post),
            post.persona.name,
        )

    @display(description="When", ordering="scheduled_at")
    def when_(self, post: Post) -> Any:
        return when(post.scheduled_at)

    @display(description="Where")
    def where(self, post: Post) -> Any:
        return delivery_badges(post.deliveries.all()) or "–"

    @display(description="Approval", ordering="approval")
    def approval_(self, post: Post) -> Any:
        return approval.badge_of(post)

    @display(description="Pictures", ordering="pictures_count")
    def pictures(self, post: Any) -> Any:
        return post.pictures_count or "–"

    def _all(
        self, request: HttpRequest, posts: QuerySet[Post], label: str, verb: Callable[..., int]
    ) -> None:
        done, skipped = 0, []
        for post in posts:
            try:
                done += verb(post, by=acting(request))
            except services.Refused as refused:
                skipped.append(f"Skipped “{post}”: {refused}")
        said = f"{label}: {done} {'delivery' if done == 1 else 'deliveries'}." if done else ""
        self.say_skipped(request, said, skipped)

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(approval.MAY_APPROVE))

    @admin.action(description="Approve", permissions=["approve"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Post]) -> None:
        done, skipped = 0, []
        for post in queryset:
            try:
                # As listed: what was changed since this page was drawn is another revision.
                approving.approve_post(post, revision=post.revision, by=acting(request))
                done += 1
            except services.Refused as refused:
                skipped.append(f"Skipped “{post}”: {refused}")
        self.say_skipped(request, f"Approved: {done}." if done else "", skipped)

    @unfold_action(description="Import", url_path="from-file", permissions=["add"])
    def import_posts(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:scheduling_post_import"))

    @unfold_action(description="A week of drafts", url_path="week-of-drafts", permissions=["add"])
    def week_of_drafts(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:scheduling_draftrun_add") + "?kind=days")

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Post]) -> HttpResponse | None:
        return self._export(request, queryset, "csv")

    @admin.action(description="Export as JSON", permissions=["view"])
    def export_json(self, request: HttpRequest, queryset: QuerySet[Post]) -> HttpResponse | None:
        return self._export(request, queryset, "json")

    def _export(
        self, request: HttpRequest, queryset: QuerySet[Post], kind: str
    ) -> HttpResponse | None:
        try:
            return files.export(queryset, kind)
        except services.Refused as refused:
            messages.error(request, str(refused))
            return None

    @admin.action(description="Publish now", permissions=["change"])
    def publish_now(self, request: HttpRequest, queryset: QuerySet[Post]) -> None:
        self._all(request, queryset, "Going out now", services.publish_now)

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Post]) -> None:
        self._all(request, queryset, "Cancelled", services.cancel_post)

    # -- The calendar -------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        shown = self.admin_site.admin_view(self.calendar)
        move = self.admin_site.admin_view(require_POST(self.move))
        own = [
            path("calendar/", shown, name="scheduling_post_calendar"),
            path("<uuid:post_id>/move/", move, name="scheduling_post_move"),
        ]
        urls: list[Any] = super().get_urls()
        return [
            *approval.urls(self.admin_site),
            *files.urls(self.admin_site),
            *own,
            *urls,
        ]

    def calendar(self, request: HttpRequest) -> HttpResponse:
        """A month, a week or a list of posts."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        found = {
            **self.admin_site.each_context(request),
            **calendar.context(request),
            "title": "Calendar",
            "content_title": "Calendar",
            "may_add": self.has_add_permission(request),
            "may_move": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/scheduling/calendar.html", found)

    def move(self, request: HttpRequest, post_id: UUID) -> JsonResponse:
        """Give a post another time."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return calendar.move(request, post_id)
