"""Posts from and into files in the admin."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from apps.core.admin.base import acting
from apps.core.shown import when
from apps.core.tables import UnreadableFile, uploaded
from apps.personas.models import Persona
from apps.scheduling import bulk, sheets
from apps.scheduling.models import Post

# Of what a file would make, so many are shown.
SHOWN = 10
MAY_ADD = "scheduling.add_post"


class ImportForm(forms.Form):
    """A file of posts, and whose they are."""

    file = forms.FileField(label="File", help_text="CSV, JSON or JSON lines, at most 10,000 rows.")
    persona = forms.ModelChoiceField(
        Persona.objects.active(),
        required=False,
        empty_label="Each row names its own",
        help_text="Whose posts are those that name no persona.",
    )
    allow_duplicate = forms.BooleanField(
        label="Take rows that repeat what is there", required=False
    )

    def parsed(self) -> bulk.Parsed | None:
        """What the file holds; None when it is none, which the form then shows."""
        try:
            content, kind = uploaded(self.cleaned_data["file"])
            return bulk.parse(
                content,
                kind=kind,
                persona=self.cleaned_data["persona"],
                allow_duplicate=self.cleaned_data["allow_duplicate"],
            )
        except UnreadableFile as error:
            self.add_error("file", str(error))
            return None


def urls(admin_site: Any) -> list[Any]:
    """The address of the import."""

    def view(request: HttpRequest) -> HttpResponse:
        return import_posts(request, admin_site)

    return [path("import/", admin_site.admin_view(view), name="scheduling_post_import")]


def import_posts(request: HttpRequest, admin_site: Any) -> HttpResponse:
    """Choose a file, look at what it would make, then take it."""
    if not request.user.has_perm(MAY_ADD):
        raise PermissionDenied
    form = ImportForm(request.POST or None, request.FILES or None)
    parsed = form.parsed() if request.method == "POST" and form.is_valid() else None
    if parsed is not None and "take" in request.POST:
        made = bulk.store(parsed.drafts, by=acting(request))
        left_out = f"{parsed.refused:,} row{' was' if parsed.refused == 1 else 's were'} left out"
        said = f"{made:,} post{' is' if made == 1 else 's are'} scheduled; {left_out}."
        messages.success(request, said)
        if not parsed.refused:
            return HttpResponseRedirect(reverse("admin:scheduling_post_changelist"))
    context = {
        **admin_site.each_context(request),
        "title": "Import posts",
        "opts": Post._meta,
        "form": form,
        "parsed": parsed,
        "first": [(when(each.scheduled_at), each) for each in parsed.drafts[:SHOWN]]
        if parsed
        else [],
        "taken": parsed is not None and "take" in request.POST,
        "columns": ", ".join(sheets.NAMES),
    }
    return TemplateResponse(request, "admin/scheduling/import.html", context)


def export(posts: QuerySet[Post], kind: str) -> HttpResponse:
    """The chosen posts as a file; raises Refused for too many."""
    content = bulk.export(Post.objects.filter(pk__in=posts.values("pk")), kind=kind)
    types = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
    response = HttpResponse(content, content_type=types[kind])
    response["Content-Disposition"] = f'attachment; filename="posts.{kind}"'
    return response
