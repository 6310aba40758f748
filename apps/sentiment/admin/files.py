"""Comments from files in the admin."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from apps.core.admin.base import acting
from apps.core.shown import when
from apps.core.tables import UnreadableFile, uploaded
from apps.personas.models import Persona
from apps.sentiment import importing, services
from apps.sentiment.admin.shown import mood
from apps.sentiment.models import Comment, Competitor

# Of what a file holds, so many are shown with what would be read in them.
SHOWN = 10
MAY_ADD = "sentiment.add_comment"


def _about() -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        ("Personas", [(f"persona_id:{row.pk}", str(row)) for row in Persona.objects.active()]),
        (
            "Competitors",
            [
                (f"competitor_id:{row.pk}", str(row))
                for row in Competitor.objects.filter(is_active=True)
            ],
        ),
    ]


class ImportForm(forms.Form):
    """A file of comments, and whom they are about."""

    file = forms.FileField(
        label="File",
        help_text=f"CSV, JSON or JSON lines, at most {importing.MOST_ROWS:,} rows.",
    )
    about = forms.ChoiceField(label="Whose posts they answer", choices=_about)
    network = forms.CharField(
        label="Network",
        max_length=30,
        initial="import",
        help_text="Where those rows come from that name none.",
    )

    @property
    def subject(self) -> dict[str, UUID]:
        """Whom the comments are about, as the services ask for it."""
        name, _, key = self.cleaned_data["about"].partition(":")
        return {name: UUID(key)}

    def parsed(self) -> importing.Parsed | None:
        """What the file holds; None when it is none, which the form then shows."""
        try:
            content, kind = uploaded(self.cleaned_data["file"])
            network = self.cleaned_data["network"].strip().lower()
            return importing.parse(content, kind=kind, network=network)
        except UnreadableFile as error:
            self.add_error("file", str(error))
            return None


def urls(admin_site: Any) -> list[Any]:
    """The address of the import."""

    def view(request: HttpRequest) -> HttpResponse:
        return import_comments(request, admin_site)

    return [path("import/", admin_site.admin_view(view), name="sentiment_comment_import")]


def import_comments(request: HttpRequest, admin_site: Any) -> HttpResponse:
    """Choose a file, look at what is in it, then take it."""
    if not request.user.has_perm(MAY_ADD):
        raise PermissionDenied
    form = ImportForm(request.POST or None, request.FILES or None)
    parsed = form.parsed() if request.method == "POST" and form.is_valid() else None
    taken = parsed is not None and bool(parsed.comments) and "take" in request.POST
    if parsed is not None and taken:
        batch = services.start_batch(
            comments=parsed.comments,
            name=form.cleaned_data["file"].name,
            by=acting(request),
            **form.subject,
        )
        left_out = f"{parsed.refused:,} row{' was' if parsed.refused == 1 else 's were'} left out"
        waiting = f"{batch.total:,} {'is' if batch.total == 1 else 'are'} new or changed"
        messages.success(request, f"{waiting} and will be read; {left_out}.")
        if not parsed.refused:
            return HttpResponseRedirect(reverse("admin:sentiment_batch_change", args=[batch.pk]))
    context = {
        **admin_site.each_context(request),
        "title": "Import comments",
        "content_title": "Import comments",
        "opts": Comment._meta,
        "form": form,
        "parsed": parsed,
        "first": _read(parsed) if parsed is not None and not taken else [],
        "taken": taken,
        "columns": ", ".join(importing.NAMES),
    }
    return TemplateResponse(request, "admin/sentiment/import.html", context)


def _read(parsed: importing.Parsed) -> list[dict[str, Any]]:
    """The first comments, and how they would be read."""
    some = parsed.comments[:SHOWN]
    analyses = [each.analysis for each in services.judge([each.text for each in some])]
    return [
        {
            "written": when(each.written_at) if each.written_at else "",
            "author": each.author,
            "text": each.text,
            "mood": mood(said.label, said.score, abstained=said.abstained),
        }
        for each, said in zip(some, analyses, strict=True)
    ]
