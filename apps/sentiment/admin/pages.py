"""Two pages of their own: try a text and see why, and a persona's mood in charts and figures."""

from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from apps.personas.models import Persona
from apps.sentiment import reporting, services
from apps.sentiment.admin.shown import mood
from apps.sentiment.engines.base import EMOTIONS, LABELS, Analysis
from apps.sentiment.models import LONGEST_TEXT, Comment, Competitor
from apps.sentiment.recording import Subject

SPANS = (7, 30, 90, 365)


class TryForm(forms.Form):
    """A text to read."""

    text = forms.CharField(
        max_length=LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "g-input", "autofocus": True}),
    )


def segments(text: str, analysis: Analysis) -> list[dict[str, Any]]:
    """The text cut into plain pieces and evidence, in order; the template escapes both."""
    found: list[dict[str, Any]] = []
    at = 0
    for each in sorted(analysis.evidence, key=lambda one: one.start):
        if each.start < at:
            # A hashtag of two words stands in one place: its second word adds to the first.
            if found:
                found[-1]["weight"] = round(found[-1]["weight"] + each.weight, 2)
            continue
        if each.start > at:
            found.append({"text": text[at : each.start]})
        tone = "good" if each.weight > 0 else "bad"
        piece = text[each.start : each.end]
        found.append({"text": piece, "tone": tone, "weight": each.weight, "reason": each.reason})
        at = each.end
    return [*found, {"text": text[at:]}]


def try_text(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Read a text and show which words moved the score. Nothing is stored."""
    form = TryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["text"]
        said = services.judge([text])[0]
        analysis = said.analysis
        context |= {
            "analysis": analysis,
            "corrected": said.corrected,
            "mood": mood(analysis.label, analysis.score, abstained=analysis.abstained),
            "segments": segments(text, analysis),
            "percent": round(100 * analysis.confidence),
            "score": f"{analysis.score:+.2f}",
        }
    return TemplateResponse(
        request,
        "admin/sentiment/try.html",
        {**context, "form": form, "title": "Try a text", "content_title": "Try a text"},
    )


def show_mood(
    request: HttpRequest, context: dict[str, Any], persona_id: UUID | None
) -> HttpResponse:
    """A persona's trend, emotions, topics, advice and rivals."""
    personas = list(Persona.objects.all())
    persona = next((each for each in personas if each.pk == persona_id), None)
    if persona_id is not None and persona is None:
        raise Http404
    persona = persona or (personas[0] if personas else None)
    given = request.GET.get("days", "30")
    days = int(given) if given in {str(each) for each in SPANS} else 30
    if persona is not None:
        start, end = reporting.span(days)
        report = reporting.trend_report(Subject(persona.pk), start, end)
        rivals = list(Competitor.objects.filter(is_active=True)[:10])
        context |= {
            "persona": persona,
            "report": report,
            "trend": report["sentiment_trend"],
            "chart": _chart(report),
            "advice": _with_comments(report["recommendations"]),
            "emotions": sorted(
                report["emotion_trends"].items(), key=lambda item: -item[1]["average"]
            ),
            "comparison": reporting.comparison_report(persona.pk, rivals, start, end)
            if rivals
            else None,
        }
    choices = [
        (each, reverse("admin:sentiment_reading_mood_of", args=[each.pk]), each == persona)
        for each in personas
    ]
    return TemplateResponse(
        request,
        "admin/sentiment/mood.html",
        {
            **context,
            "title": "Moods",
            "content_title": "Moods",
            "choices": choices,
            "spans": SPANS,
            "days": days,
        },
    )


def _chart(report: dict[str, Any]) -> dict[str, Any]:
    daily = report["daily"]
    felt = [name for name in EMOTIONS if any(each["emotions"].get(name) for each in daily)]
    return {
        "dates": [each["date"] for each in daily],
        "average": [each["average"] for each in daily],
        "readings": [each["readings"] for each in daily],
        "labels": {
            name: round(sum(each["labels"].get(name, 0) for each in daily), 1) for name in LABELS
        },
        "emotions": {name: [each["emotions"].get(name, 0) for each in daily] for name in felt},
        "changes": [each["date"] for each in report["sentiment_trend"]["change_points"]],
    }


def _with_comments(advice: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = [pk for each in advice for pk in each["comments"]]
    there = Comment.objects.in_bulk([UUID(pk) for pk in wanted])
    return [
        {**each, "behind": [there[UUID(pk)] for pk in each["comments"] if UUID(pk) in there]}
        for each in advice
    ]
