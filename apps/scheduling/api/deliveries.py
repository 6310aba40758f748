"""Deliveries over HTTP: one post on one account, with every attempt."""

from typing import Any, ClassVar

from django.db.models import Prefetch
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Link, Strict
from apps.scheduling import services, unpublishing
from apps.scheduling.models import Attempt, Delivery, Measurement
from apps.scheduling.networks import publishers


class AttemptOutput(serializers.ModelSerializer[Attempt]):
    """One try and what came of it."""

    class Meta:
        model = Attempt
        fields = ("id", "started_at", "finished_at", "outcome", "detail")
        read_only_fields = fields


class DisclosedOutput(serializers.Serializer[Any]):
    """What readers were told was made with AI, and how."""

    text = serializers.BooleanField(required=False)
    media = serializers.BooleanField(required=False)
    means = serializers.ListField(
        child=serializers.ChoiceField(
            choices=["network_flag", "network_page", "image_metadata", "label", "profile"]
        ),
        required=False,
    )


class MeasurementOutput(serializers.ModelSerializer[Measurement]):
    """How a post stood on its network at one look."""

    class Meta:
        model = Measurement
        fields = ("at", "likes", "comments", "shares")
        read_only_fields = fields


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """One post on one account."""

    network = serializers.CharField(source="account.network", read_only=True)
    handle = serializers.CharField(source="account.handle", read_only=True)
    scheduled_at = serializers.DateTimeField(source="post.scheduled_at", read_only=True)
    disclosed = serializers.SerializerMethodField()
    attempts = AttemptOutput(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = (
            "id",
            "post",
            "account",
            "network",
            "handle",
            "part",
            "after",
            "state",
            "scheduled_at",
            "due_at",
            "too_late_at",
            "published_at",
            "removed_at",
            "replaces",
            "remote_id",
            "remote_url",
            "override",
            "disclosed",
            "error_code",
            "error",
            "changed_at",
            "attempts",
        )
        read_only_fields = fields

    @extend_schema_field(DisclosedOutput)
    def get_disclosed(self, delivery: Delivery) -> dict[str, Any]:
        return delivery.disclosed


# Everything an answer shows, in a fixed number of queries.
SHOWN = Delivery.objects.prefetch_related(
    # Not joined: a planner without statistics would begin with the few accounts, and sort the lot.
    "account",
    Prefetch("attempts", Attempt.objects.order_by("started_at", "id")),
)


class Resolve(Strict):
    """What a person found out."""

    answer = serializers.ChoiceField(
        choices=["posted", "post_again", "leave"],
        help_text="posted: it is there, at `url` if known. post_again: it is not. leave: stop.",
    )
    url = Link(max_length=1_000, allow_blank=True, default="")


def network_choices() -> list[tuple[str, str]]:
    """The networks by name, for filters."""
    return [(name, name) for name in publishers]


class DeliveryFilter(filters.FilterSet):  # type: ignore[misc]
    state = filters.MultipleChoiceFilter(choices=Delivery.State)
    network = filters.MultipleChoiceFilter(field_name="account__network", choices=network_choices)
    persona = filters.UUIDFilter(field_name="account__persona")
    account = filters.UUIDFilter(field_name="account")
    post = filters.UUIDFilter(field_name="post")

    class Meta:
        model = Delivery
        fields: tuple[str, ...] = ()


@extend_schema_view(
    retry=extend_schema(request=None, responses=DeliveryOutput),
    hold=extend_schema(request=None, responses=DeliveryOutput),
    unpublish=extend_schema(request=None, responses=DeliveryOutput),
    mark_removed=extend_schema(request=None, responses=DeliveryOutput),
    release=extend_schema(request=None, responses=DeliveryOutput),
    resolve=extend_schema(request=Resolve, responses=DeliveryOutput),
)
class DeliveryViewSet(Resource):
    """Deliveries, and what a person may decide about each."""

    queryset = SHOWN.select_related("post")
    serializer_class = output = DeliveryOutput
    filterset_class = DeliveryFilter
    needs: ClassVar[dict[str, str]] = {"measurements": "view"}

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Send a failed or missed delivery again, now."""
        return self._after(services.retry_delivery, request)

    @action(detail=True, methods=["post"])
    def hold(self, request: Request, pk: str) -> Response:
        """Keep a scheduled delivery back until it is released."""
        return self._after(services.hold_delivery, request)

    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Let a held delivery go on."""
        return self._after(services.release_delivery, request)

    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str) -> Response:
        """Settle a delivery that needs a decision."""
        return self._after(services.resolve_delivery, request, **self.read(request, Resolve))

    @action(detail=True, methods=["post"])
    def unpublish(self, request: Request, pk: str) -> Response:
        """Have a published post removed from its network."""
        return self._after(unpublishing.unpublish_delivery, request)

    @action(detail=True, methods=["post"], url_path="mark-removed")
    def mark_removed(self, request: Request, pk: str) -> Response:
        """Note that somebody removed it by hand."""
        return self._after(unpublishing.mark_removed, request)

    @extend_schema(responses=MeasurementOutput(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def measurements(self, request: Request, pk: str) -> Response:
        """Its likes, answers and shares over time, the first look first."""
        rows = self.get_object().measurements.all()
        return Response(MeasurementOutput(rows, many=True).data)

    def _after(self, verb: Any, request: Request, **given: Any) -> Response:
        delivery = self.get_object()
        verb(delivery, by=self.actor, **given)
        return self.shown(delivery.pk)
