"""The endpoints that report: trends and compare-competitors."""

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.resources import Shared
from apps.core.rest.serializers import Id, Strict
from apps.personas.models import Persona
from apps.sentiment import reporting
from apps.sentiment.api.analysing import persona_of
from apps.sentiment.models import Competitor, Reading
from apps.sentiment.recording import Subject

MOST_DAYS = 365
USUAL_DAYS = 30
MOST_RIVALS = 20


class CompareInput(Strict):
    """A persona and its rivals."""

    persona_id = Id()
    competitor_ids = serializers.ListField(child=Id(), allow_empty=False, max_length=MOST_RIVALS)
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=USUAL_DAYS)

    def validate_persona_id(self, value: Any) -> Persona:
        return persona_of(value)

    def validate_competitor_ids(self, value: list[Any]) -> list[Competitor]:
        wanted = list(dict.fromkeys(value))
        there = Competitor.objects.in_bulk(wanted)
        if missing := [str(pk) for pk in wanted if pk not in there]:
            words = f"There is no such competitor: {', '.join(missing)}."
            raise serializers.ValidationError(words, "unknown")
        return [there[pk] for pk in wanted]


def days_of(request: Request) -> int:
    """The query's `days`, 1 to 365."""
    given = request.query_params.get("days", str(USUAL_DAYS))
    if not (given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= MOST_DAYS):
        raise serializers.ValidationError(
            {"days": [ErrorDetail(f"Give a number from 1 to {MOST_DAYS}.", "out_of_range")]}
        )
    return int(given)


class _View(Shared):
    queryset = Reading.objects.all()
    needs: ClassVar[dict[str, str]] = {"GET": "view", "POST": "view"}


class TrendsView(_View):
    """A persona's trend."""

    @extend_schema(
        parameters=[
            OpenApiParameter("days", int, description="1 to 365; 30 unless told.", default=30)
        ],
        responses=OpenApiTypes.OBJECT,
        operation_id="sentiment_trends",
        tags=["sentiment"],
    )
    def get(self, request: Request, persona_id: str) -> Response:
        """Where the mood of a persona's comments is going, what it rests on, and what to do."""
        days = days_of(request)
        persona = Persona.objects.filter(pk=persona_id).first()
        if persona is None:
            raise Http404
        report = reporting.trend_report(Subject(persona.pk), *reporting.span(days))
        return Response({"persona_id": str(persona.pk), **report})


class CompareView(_View):
    """A persona beside its rivals."""

    @extend_schema(
        request=CompareInput,
        responses=OpenApiTypes.OBJECT,
        operation_id="compare_competitors",
        tags=["sentiment"],
    )
    def post(self, request: Request) -> Response:
        """Compare stored readings, with sample sizes and significance; Holm-adjusted."""
        given = CompareInput(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        report = reporting.comparison_report(
            data["persona_id"].pk, data["competitor_ids"], *reporting.span(data["days"])
        )
        return Response(report)
