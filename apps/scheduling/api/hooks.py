"""Webhooks over HTTP: endpoints, the log of their messages, replay."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import audit
from apps.core.rest.resources import ReadOnly, Resource
from apps.core.rest.serializers import Id, Link, Strict, Text
from apps.personas.models import Persona
from apps.scheduling import hooking
from apps.scheduling.api.accounts import persona_of
from apps.scheduling.models import WebhookEndpoint, WebhookMessage


class EndpointInput(Strict):
    """Who is told what."""

    name = Text(max_length=80)
    url = Link(max_length=500)
    persona = Id(required=False, allow_null=True, help_text="null: of every persona.")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=WebhookEndpoint.Event.choices),
        required=False,
        max_length=20,
        help_text="Empty: all.",
    )
    is_active = serializers.BooleanField(required=False)

    def validate_persona(self, value: Any) -> Persona | None:
        return persona_of(value) if value else None


class EndpointOutput(serializers.ModelSerializer[WebhookEndpoint]):
    """A webhook, without its secret."""

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id",
            "name",
            "url",
            "persona",
            "events",
            "is_active",
            "failing_since",
            "disabled_at",
            "disabled_why",
            "created_at",
        )
        read_only_fields = fields


class SecretOutput(serializers.Serializer[Any]):
    """The signing secret, shown this once."""

    secret = serializers.CharField()


class NewEndpointOutput(EndpointOutput):
    """A new webhook with its signing secret, shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields = (*EndpointOutput.Meta.fields, "secret")
        read_only_fields = fields


class MessageOutput(serializers.ModelSerializer[WebhookMessage]):
    """One event told to one webhook, and what came of it."""

    class Meta:
        model = WebhookMessage
        fields = (
            "id",
            "endpoint",
            "event",
            "delivery",
            "body",
            "state",
            "due_at",
            "tries",
            "last_status",
            "last_error",
            "created_at",
            "delivered_at",
        )
        read_only_fields = fields


@extend_schema_view(
    create=extend_schema(request=EndpointInput, responses={201: NewEndpointOutput}),
    update=extend_schema(request=EndpointInput, responses=EndpointOutput),
    partial_update=extend_schema(request=EndpointInput, responses=EndpointOutput),
    destroy=extend_schema(responses={204: None}),
    test=extend_schema(request=None, responses=MessageOutput),
    renew_secret=extend_schema(request=None, responses=SecretOutput),
)
class EndpointViewSet(Resource):
    """Webhooks: addresses that are told what becomes of deliveries."""

    queryset = WebhookEndpoint.objects.all()
    serializer_class = output = EndpointOutput
    filterset_fields = ("persona", "is_active")
    needs: ClassVar[dict[str, str]] = {"renew_secret": "change", "test": "change"}

    def create(self, request: Request) -> Response:
        """Add a webhook; the answer has its signing secret, which is never shown again."""
        row, secret = hooking.add_endpoint(by=self.actor, **self.read(request, EndpointInput))
        return Response({**EndpointOutput(row).data, "secret": secret}, status=201)

    def update(self, request: Request, pk: str) -> Response:
        """Change a webhook."""
        return self._change(request, pk, partial=False)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change some of a webhook, for instance `{"is_active": true}`."""
        return self._change(request, pk, partial=True)

    def _change(self, request: Request, pk: str, *, partial: bool) -> Response:
        row = self.get_object()
        given = EndpointInput(data=request.data, partial=partial)
        given.is_valid(raise_exception=True)
        hooking.change_endpoint(row, changes=given.validated_data, by=self.actor)
        return self.shown(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a webhook with its log."""
        row = self.get_object()
        audit.record(actor=self.actor, action="delete webhook", about=row)
        row.delete()
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a message of type `test`; its row says what came of it."""
        return Response(MessageOutput(hooking.send_test(self.get_object(), by=self.actor)).data)

    @action(detail=True, methods=["post"], url_path="renew-secret")
    def renew_secret(self, request: Request, pk: str) -> Response:
        """Give a new signing secret; the old one stops working at once."""
        return Response({"secret": hooking.renew_secret(self.get_object(), by=self.actor)})


@extend_schema_view(replay=extend_schema(request=None, responses=MessageOutput))
class MessageViewSet(ReadOnly):
    """The log of webhooks: every message with its tries, newest first."""

    queryset = WebhookMessage.objects.all()
    serializer_class = MessageOutput
    filterset_fields = ("endpoint", "event", "state", "delivery")

    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:
        """Send a message again, under the same webhook-id."""
        return Response(MessageOutput(hooking.replay(self.get_object(), by=self.actor)).data)
