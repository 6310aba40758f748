"""Personas over HTTP: who they are, what they know, what holds them."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import audit
from apps.core.rest.resources import ReadOnly, Shared
from apps.core.rest.serializers import Strict, StrictModel, Text
from apps.personas import services
from apps.personas.models import Fact, Hold, Persona


class HoldInput(Strict):
    """Why nothing may go out."""

    reason = Text(max_length=300)


class HoldOutput(serializers.ModelSerializer[Hold]):
    """What keeps a persona, or the whole studio, silent."""

    placed_by = serializers.CharField(source="placed_by.username", default=None, read_only=True)

    class Meta:
        model = Hold
        fields = ("reason", "placed_by", "placed_at")
        read_only_fields = fields


class StudioHold(serializers.Serializer[Any]):
    """Whether everything is stopped, and why."""

    held = serializers.BooleanField()
    hold = HoldOutput(allow_null=True)


class PersonaSerializer(StrictModel):
    """One who speaks in public."""

    hold = HoldOutput(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Persona
        fields = (
            "id",
            "name",
            "handle",
            "bio",
            "voice",
            "language",
            "time_zone",
            "avatar",
            "call_human_below",
            "is_active",
            "made_with_ai",
            "needs_approval",
            "schedules_own_drafts",
            "hold",
            "created_at",
        )
        read_only_fields = ("id", "avatar", "created_at")


class FactSerializer(StrictModel):
    """Something a persona knows."""

    class Meta:
        model = Fact
        fields = ("id", "persona", "kind", "question", "text")
        extra_kwargs: ClassVar[dict[str, Any]] = {"persona": {"pk_field": serializers.UUIDField()}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = attrs.get("kind", getattr(self.instance, "kind", Fact.Kind.FACT))
        question = attrs.get("question", getattr(self.instance, "question", ""))
        if kind == Fact.Kind.FAQ and not question:
            raise serializers.ValidationError(
                {"question": "A question and answer needs its question."}, "required"
            )
        return attrs


class Kept(mixins.CreateModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin, ReadOnly):
    """A resource whose rows carry no rule but their own; every change is audited."""

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        self._note("create", serializer.save())

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        self._note("change", serializer.save())

    def perform_destroy(self, instance: Any) -> None:
        pk = instance.pk
        instance.delete()
        instance.pk = pk
        self._note("delete", instance)

    def _note(self, verb: str, row: Any) -> None:
        audit.record(actor=self.actor, action=f"{verb} {row._meta.model_name}", about=row)


@extend_schema_view(
    hold=extend_schema(request=HoldInput, responses=PersonaSerializer),
    release=extend_schema(request=None, responses=PersonaSerializer),
)
class PersonaViewSet(Kept):
    """Personas. One that has accounts or posts cannot be deleted; make it inactive instead."""

    queryset = Persona.objects.select_related("hold__placed_by")
    serializer_class = PersonaSerializer
    filterset_fields = ("is_active", "handle")

    @action(detail=True, methods=["post"])
    def hold(self, request: Request, pk: str) -> Response:
        """Silence this persona: it neither publishes nor replies until it is released."""
        persona = self.get_object()
        given = HoldInput(data=request.data)
        given.is_valid(raise_exception=True)
        services.hold(persona=persona, by=self.actor, **given.validated_data)
        return self._shown(pk)

    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Let this persona speak again; releasing one that is not held changes nothing."""
        services.release(persona=self.get_object(), by=self.actor)
        return self._shown(pk)

    def _shown(self, pk: str) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)


class FactViewSet(Kept):
    """What personas know: plain facts, and answers to questions people ask."""

    queryset = Fact.objects.all()
    serializer_class = FactSerializer
    filterset_fields = ("persona", "kind")


class StudioHoldView(Shared):
    """The global stop: while it is there, nothing goes out and nobody replies."""

    queryset = Hold.objects.all()
    needs: ClassVar[dict[str, str]] = {"GET": "view", "POST": "add", "DELETE": "delete"}

    @extend_schema(responses=StudioHold, operation_id="studio_hold_state", tags=["studio"])
    def get(self, request: Request) -> Response:
        """Whether everything is stopped, since when, by whom and why."""
        hold = Hold.objects.everything().select_related("placed_by").first()
        return Response(StudioHold({"held": hold is not None, "hold": hold}).data)

    @extend_schema(
        request=HoldInput, responses=StudioHold, operation_id="studio_hold", tags=["studio"]
    )
    def post(self, request: Request) -> Response:
        """Stop everything; a second stop keeps the first one's words."""
        given = HoldInput(data=request.data)
        given.is_valid(raise_exception=True)
        services.hold(persona=None, by=self.actor, **given.validated_data)
        return self.get(request)

    @extend_schema(
        request=None, responses={204: None}, operation_id="studio_release", tags=["studio"]
    )
    def delete(self, request: Request) -> Response:
        """Let everything go on."""
        services.release(persona=None, by=self.actor)
        return Response(status=204)
