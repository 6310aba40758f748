"""Queues over HTTP: posts that fill the next free slot, and those that come back."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Refused
from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Id, Strict
from apps.scheduling import services, slots
from apps.scheduling.api.drafts import LONGEST_WAIT, Content
from apps.scheduling.models import Evergreen, Post, SocialAccount


class QueueInput(Content):
    """A post without a time: each account's next free slot is its time."""

    def draft(self) -> services.Draft:
        return services.Draft(scheduled_at=timezone.now(), **self.validated_data)


class EvergreenInput(Strict):
    """A post that comes back on one of its accounts."""

    post = Id()
    account = Id()
    distance = serializers.DurationField(
        max_value=LONGEST_WAIT,
        format="iso-8601",
        help_text="From one time to the next, at least: ISO 8601 (P30D) or seconds.",
    )

    is_active = serializers.BooleanField(default=True)

    def validate_post(self, value: Any) -> Any:
        return _found(Post, value)

    def validate_account(self, value: Any) -> Any:
        return _found(SocialAccount, value)


class EvergreenOutput(serializers.ModelSerializer[Evergreen]):
    """A post that comes back, and the copy made last."""

    distance = serializers.DurationField(format="iso-8601")

    class Meta:
        model = Evergreen
        fields = (
            "id",
            "post",
            "account",
            "distance",
            "is_active",
            "latest",
            "problem",
            "created_by",
            "created_at",
        )
        read_only_fields = fields


@extend_schema_view(
    create=extend_schema(request=EvergreenInput, responses={201: EvergreenOutput}),
    partial_update=extend_schema(request=EvergreenInput, responses=EvergreenOutput),
    destroy=extend_schema(responses={204: None}),
)
class EvergreenViewSet(Resource):
    """Evergreens: posts that go back into an account's queue."""

    queryset = Evergreen.objects.all()
    serializer_class = output = EvergreenOutput
    filterset_fields = ("post", "account", "is_active")

    def create(self, request: Request) -> Response:
        """Let a post come back to an account's queue."""
        given = self.read(request, EvergreenInput)
        row = slots.make_evergreen(
            given["post"],
            given["account"],
            distance=given["distance"],
            is_active=given["is_active"],
            by=self.actor,
        )
        return self.shown(row.pk, 201)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the distance, or rest it with `{"is_active": false}`."""
        row = self.get_object()
        given = EvergreenInput(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if fixed := {"post", "account"} & set(given.validated_data):
            words = "It stays with its post and account; make a new one."
            raise Refused(*[(name, "fixed", words) for name in sorted(fixed)])
        values = {"distance": row.distance, "is_active": row.is_active, **given.validated_data}
        slots.change_evergreen(row, by=self.actor, **values)
        return self.shown(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Let it come back no more; what is queued stays queued."""
        slots.remove_evergreen(self.get_object(), by=self.actor)
        return Response(status=204)


def _found(model: Any, pk: Any) -> Any:
    row = model.objects.filter(pk=pk).first()
    if row is None:
        raise serializers.ValidationError(f"There is no {pk}.", "unknown")
    return row
