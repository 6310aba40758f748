"""Comments, readings, competitors, watches, spikes and batches in the admin."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action as unfold_action
from unfold.decorators import display

from apps.core.admin.base import ReadOnlyAdmin, StudioAdmin, acting
from apps.core.shown import badge, when
from apps.sentiment import services, tracking
from apps.sentiment.admin import files, pages
from apps.sentiment.admin.shown import mood
from apps.sentiment.models import Batch, Comment, Competitor, Engagement, Reading, Spike, Watch


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    """What people wrote; a correction says what it really is."""

    list_display = ("said", "persona", "competitor", "network", "author", "mood_", "written")
    list_filter = (("persona", RelatedDropdownFilter), ("competitor", RelatedDropdownFilter))
    search_fields = ("text", "author")
    list_select_related = ("persona", "competitor", "reading")
    change_form_outer_before_template = "admin/sentiment/correct_comment.html"
    actions_list = ("import_comments",)

    def get_urls(self) -> list[Any]:
        return [*files.urls(self.admin_site), *super().get_urls()]

    def has_import_permission(self, request: HttpRequest) -> bool:
        # Nobody writes a comment here by hand, so "add" itself is refused.
        return request.user.has_perm(files.MAY_ADD)

    @unfold_action(description="Import", url_path="from-file", permissions=["import"])
    def import_comments(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:sentiment_comment_import"))

    @display(description="Comment")
    def said(self, row: Comment) -> str:
        return row.text[:120]

    @display(description="Mood")
    def mood_(self, row: Comment) -> Any:
        reading = getattr(row, "reading", None)
        if reading is None:
            return badge("quiet", "not read yet")
        return mood(reading.label, reading.score, abstained=reading.abstained)

    @display(description="Written", ordering="written_at")
    def written(self, row: Comment) -> Any:
        return when(row.written_at)


@admin.register(Reading)
class ReadingAdmin(ReadOnlyAdmin):
    """What engines read, and the two pages about moods."""

    list_display = ("said", "persona", "competitor", "mood_", "intent", "language", "sure", "at_")
    list_filter = (
        ("persona", RelatedDropdownFilter),
        ("label", ChoicesDropdownFilter),
        ("intent", ChoicesDropdownFilter),
        "corrected",
    )
    list_select_related = ("persona", "competitor", "comment")
    list_before_template = "admin/sentiment/links.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [
            path("try/", view(self.try_text), name="sentiment_reading_try"),
            path("mood/", view(self.show_mood), name="sentiment_reading_mood"),
            path("mood/<uuid:persona_id>/", view(self.show_mood), name="sentiment_reading_mood_of"),
        ]
        return [*own, *super().get_urls()]

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context: dict[str, Any] = self.admin_site.each_context(request)
        return context

    def try_text(self, request: HttpRequest) -> HttpResponse:
        """Try a text."""
        return pages.try_text(request, self._context(request))

    def show_mood(self, request: HttpRequest, persona_id: UUID | None = None) -> HttpResponse:
        """A persona's mood."""
        return pages.show_mood(request, self._context(request), persona_id)

    @display(description="Text")
    def said(self, row: Reading) -> str:
        return row.comment.text[:120] if row.comment else "(a post)"

    @display(description="Mood", ordering="score")
    def mood_(self, row: Reading) -> Any:
        return mood(row.label, row.score, abstained=row.abstained)

    @display(description="Sure")
    def sure(self, row: Reading) -> Any:
        return badge("good", "by a person") if row.corrected else f"{row.confidence:.0%}"

    @display(description="Written", ordering="at")
    def at_(self, row: Reading) -> Any:
        return when(row.at)


@admin.register(Competitor)
class CompetitorAdmin(StudioAdmin):
    """Public accounts that are compared with ours."""

    list_display = ("name", "network", "handle", "followers", "comes", "fetched", "is_active")
    list_filter = ("network", "is_active")
    search_fields = ("name", "handle")
    actions = ("fetch_selected",)
    readonly_fields = ("comes", "fault", "fetched", "next_turn")

    def save_model(self, request: HttpRequest, obj: Competitor, form: Any, change: Any) -> None:
        super().save_model(request, obj, form, change)
        services.fetch_soon(obj)

    @admin.action(description="Fetch at the next tick", permissions=["change"])
    def fetch_selected(self, request: HttpRequest, queryset: QuerySet[Competitor]) -> None:
        """Have these fetched anew, whatever failed before."""
        rows = [row for row in queryset if row.network in tracking.FETCHED and row.is_active]
        for row in rows:
            services.fetch_soon(row)
        others = [row for row in queryset if row not in rows]
        skipped = [
            f"{row} is inactive." if not row.is_active else f"{row}: {row.network} is imported."
            for row in others
        ]
        done = f"{len(rows)} will be fetched within two minutes." if rows else ""
        self.say_skipped(request, done, skipped)

    @display(description="Comments come")
    def comes(self, row: Competitor) -> Any:
        if row.network not in tracking.FETCHED:
            return badge("quiet", "by import")
        if row.fault:
            return format_html("{} {}", badge("bad", "Failing"), row.fault)
        return badge("good", "by themselves") if row.fetched_at else badge("quiet", "soon")

    @display(description="Fetched", ordering="fetched_at")
    def fetched(self, row: Competitor) -> Any:
        return when(row.fetched_at)

    @display(description="Next turn")
    def next_turn(self, row: Competitor) -> Any:
        return when(row.fetch_at)


@admin.register(Engagement)
class EngagementAdmin(ReadOnlyAdmin):
    """How posts did."""

    list_display = ("text", "persona", "network", "likes", "comments", "shares", "saves", "posted")
    list_filter = (("persona", RelatedDropdownFilter),)
    list_select_related = ("persona",)

    @display(description="Posted", ordering="posted_at")
    def posted(self, row: Engagement) -> Any:
        return when(row.posted_at)


@admin.register(Watch)
class WatchAdmin(StudioAdmin):
    """Rules that look for spikes of negative comments."""

    list_display = ("whose", "hours", "at_least", "share_", "holds", "is_active")
    list_select_related = ("persona",)

    @display(description="Persona")
    def whose(self, row: Watch) -> str:
        return str(row.persona or "Everyone else")

    @display(description="Negative share")
    def share_(self, row: Watch) -> str:
        return f"{row.share:.0%}"


@admin.register(Spike)
class SpikeAdmin(ReadOnlyAdmin):
    """Spikes that were found; looking at one notes who did."""

    list_display = ("persona", "negatives", "usual", "found", "held", "seen")
    list_select_related = ("persona", "seen_by")
    change_form_outer_before_template = "admin/sentiment/spike.html"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        spike = self.get_object(request, object_id)
        if spike is not None and self.has_view_permission(request, spike):
            services.mark_seen(spike, by=acting(request))
            ids = [UUID(pk) for pk in spike.comments]
            extra_context = {
                **(extra_context or {}),
                "worst": Comment.objects.filter(pk__in=ids).select_related("reading"),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    @display(description="Negative")
    def negatives(self, row: Spike) -> str:
        return f"{row.negative} of {row.count}"

    @display(description="Usually")
    def usual(self, row: Spike) -> str:
        return f"{row.usual_share:.0%}"

    @display(description="Found", ordering="found_at")
    def found(self, row: Spike) -> Any:
        return when(row.found_at)

    @display(description="Seen by")
    def seen(self, row: Spike) -> Any:
        return row.seen_by.shown_name if row.seen_by else badge("warn", "nobody yet")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Comments that came in together."""

    list_display = ("name", "persona", "competitor", "progress", "created")
    list_select_related = ("persona", "competitor")
    fields = ("persona", "competitor", "name", "progress", "created", "created_by", "its_comments")

    @display(description="Read")
    def progress(self, row: Batch) -> Any:
        if row.finished_at:
            return badge("good", f"{row.total} of {row.total}")
        return badge("info", f"{row.done} of {row.total}")

    @display(description="Came in", ordering="created_at")
    def created(self, row: Batch) -> Any:
        return when(row.created_at)

    @display(description="Its comments")
    def its_comments(self, row: Batch) -> Any:
        address = reverse("admin:sentiment_comment_changelist", query={"batch__id__exact": row.pk})
        return format_html(
            '<a class="g-link" href="{}">{} that were new or changed</a>', address, row.total
        )
