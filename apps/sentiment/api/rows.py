"""The rows behind the figures: readings, corrections, competitors, watches and their alerts."""

from dataclasses import asdict
from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.filters import MomentFilter
from apps.core.rest.resources import ReadOnly, Resource
from apps.core.rest.serializers import Id, Strict, StrictModel, Text
from apps.personas.api import Kept
from apps.sentiment import correcting, services
from apps.sentiment.api.analysing import CommentText
from apps.sentiment.models import (
    INTENT_CHOICES,
    LABEL_CHOICES,
    Comment,
    Competitor,
    Correction,
    Reading,
    Spike,
    Watch,
)


class ReadingOutput(StrictModel):
    """What was read in one comment or post."""

    text = serializers.CharField(source="comment.text", default="", read_only=True)

    class Meta:
        model = Reading
        exclude = ("fingerprint",)
        read_only_fields = tuple(
            field.name for field in Reading._meta.fields if field.name != "fingerprint"
        )


class ReadingFilter(filters.FilterSet):  # type: ignore[misc]
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")
    label = filters.MultipleChoiceFilter(choices=LABEL_CHOICES)
    intent = filters.MultipleChoiceFilter(choices=INTENT_CHOICES)
    comment = filters.UUIDFilter(field_name="comment")

    class Meta:
        model = Reading
        fields = ("persona", "competitor", "post", "source", "corrected", "abstained", "language")


class ReadingViewSet(ReadOnly):
    """Readings, newest first."""

    queryset = Reading.objects.select_related("comment")
    serializer_class = ReadingOutput
    filterset_class = ReadingFilter


class CorrectionInput(Strict):
    """What a comment, or any text, really is."""

    comment = Id(required=False, allow_null=True, default=None)
    text = CommentText(required=False, allow_blank=True, default="")
    label = serializers.ChoiceField(choices=LABEL_CHOICES)  # type: ignore[assignment]
    intent = serializers.ChoiceField(choices=INTENT_CHOICES, allow_blank=True, default="")
    note = Text(max_length=300, allow_blank=True, default="")

    def validate_comment(self, value: Any) -> Comment | None:
        if not value:
            return None
        comment = Comment.objects.filter(pk=value).first()
        if comment is None:
            raise serializers.ValidationError("There is no such comment.", "unknown")
        return comment

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["comment"] is None) == (not attrs["text"].strip()):
            raise serializers.ValidationError(
                {"text": "Give a comment or a text, one of them."}, "required"
            )
        return attrs


class CorrectionOutput(StrictModel):
    """A person's word on a text."""

    class Meta:
        model = Correction
        fields = (
            "id",
            "comment",
            "text",
            "label",
            "intent",
            "note",
            "engine",
            "version",
            "engine_label",
            "engine_score",
            "made_by",
            "made_at",
        )
        read_only_fields = fields


@extend_schema_view(
    create=extend_schema(request=CorrectionInput, responses={201: CorrectionOutput}),
    destroy=extend_schema(responses={204: None}),
    drift=extend_schema(responses=OpenApiTypes.OBJECT),
)
class CorrectionViewSet(Resource):
    """Corrections: they outrank the engine and teach about texts like theirs."""

    queryset = Correction.objects.all()
    serializer_class = output = CorrectionOutput
    filterset_fields = ("label", "engine", "version", "made_by")
    needs: ClassVar[dict[str, str]] = {"drift": "view"}

    def create(self, request: Request) -> Response:
        """Say what a text is; an earlier correction of the same words is replaced."""
        row = services.correct(by=self.actor, **self.read(request, CorrectionInput))
        return self.shown(row.pk, 201)

    def destroy(self, request: Request, pk: str) -> Response:
        """Take it back; the engine's word counts again."""
        services.withdraw(self.get_object(), by=self.actor)
        return Response(status=204)

    @action(detail=False, methods=["get"], filter_backends=[], pagination_class=None)
    def drift(self, request: Request) -> Response:
        """How often people disagreed with each version of each engine."""
        return Response({"engines": [asdict(each) for each in correcting.drift()]})


class CompetitorSerializer(StrictModel):
    """A tracked public account."""

    class Meta:
        model = Competitor
        fields = (
            "id",
            "name",
            "network",
            "handle",
            "server",
            "followers",
            "is_active",
            "fetched_at",
            "fetch_at",
            "fault",
            "created_at",
        )
        read_only_fields = ("id", "fetched_at", "fetch_at", "fault", "created_at")


@extend_schema_view(fetch=extend_schema(request=None, responses=CompetitorSerializer))
class CompetitorViewSet(Kept):
    """Tracked public accounts."""

    queryset = Competitor.objects.all()
    serializer_class = CompetitorSerializer
    filterset_fields = ("network", "is_active")

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        super().perform_update(serializer)
        row: Any = serializer.instance
        services.fetch_soon(row)
        row.refresh_from_db()

    @action(detail=True, methods=["post"])
    def fetch(self, request: Request, pk: str) -> Response:
        """Fetch it at the next tick, anew and whatever failed before.

        What its network does not show to anybody comes in by import.
        """
        row = self.get_object()
        services.fetch_soon(row)
        row.refresh_from_db()
        return Response(self.get_serializer(row).data)


class WatchSerializer(StrictModel):
    """A rule that looks for spikes of negative comments."""

    class Meta:
        model = Watch
        fields = ("id", "persona", "hours", "at_least", "share", "holds", "is_active")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "persona": {"pk_field": serializers.UUIDField()},
            "hours": {"min_value": 1, "max_value": 720},
            "at_least": {"min_value": 2, "max_value": 10_000},
            "share": {"min_value": 0.01, "max_value": 1},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        persona = attrs.get("persona", getattr(self.instance, "persona", None))
        others = Watch.objects.all()
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if persona is None and others.filter(persona=None).exists():
            raise serializers.ValidationError(
                {"persona": "There is a watch over the rest already; name a persona."}, "unique"
            )
        return attrs


class WatchViewSet(Kept):
    """Rules that look for spikes."""

    queryset = Watch.objects.all()
    serializer_class = WatchSerializer
    filterset_fields = ("persona",)


class SpikeOutput(StrictModel):
    """More negative comments than usual."""

    class Meta:
        model = Spike
        fields = (
            "id",
            "persona",
            "found_at",
            "since",
            "count",
            "negative",
            "usual_share",
            "p",
            "comments",
            "held",
            "seen_by",
            "seen_at",
        )
        read_only_fields = fields


@extend_schema_view(seen=extend_schema(request=None, responses=SpikeOutput))
class SpikeViewSet(Resource):
    """Spikes that watches found."""

    queryset = Spike.objects.all()
    serializer_class = output = SpikeOutput
    filterset_fields = ("persona", "held")

    @action(detail=True, methods=["post"])
    def seen(self, request: Request, pk: str) -> Response:
        """Note that you have looked at it; what it held stays held."""
        services.mark_seen(self.get_object(), by=self.actor)
        return self.shown(pk)
