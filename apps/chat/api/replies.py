"""Personas' answers, what personas remember, and one's own data, over HTTP."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.chat import services
from apps.chat.api.common import ChatView, conversations_for
from apps.chat.models import FanMemory, Reply, ReplyVersion
from apps.core.rest.resources import ReadOnly
from apps.core.rest.serializers import Strict, Text


class VersionShape(serializers.ModelSerializer[ReplyVersion]):
    """One version of an answer."""

    class Meta:
        model = ReplyVersion
        fields = ("number", "content", "voice", "created_at")
        read_only_fields = fields


class ReplyShape(serializers.ModelSerializer[Reply]):
    """An answer as a job, with every version it had."""

    versions = VersionShape(many=True, read_only=True)

    class Meta:
        model = Reply
        fields = (
            "id",
            "conversation",
            "persona",
            "trigger",
            "message",
            "state",
            "version",
            "versions",
            "is_suggestion",
            "text",
            "error_code",
            "error",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields


@extend_schema_view(
    stop=extend_schema(request=None, responses=ReplyShape),
    regenerate=extend_schema(request=None, responses=ReplyShape),
)
class ReplyViewSet(ChatView, ReadOnly):
    """Answers in one's conversations; drafts for a person are shown to staff."""

    queryset = Reply.objects.all()
    serializer_class = ReplyShape
    filterset_fields = ("conversation", "persona", "state")

    def get_queryset(self) -> QuerySet[Reply]:
        if getattr(self, "swagger_fake_view", False):
            return Reply.objects.none()
        rows = Reply.objects.filter(conversation__in=conversations_for(self.actor).values("pk"))
        if not services.may_lead_all(self.actor):
            rows = rows.filter(is_suggestion=False)
        return rows.prefetch_related("versions")

    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Stop an answer that is being written; what is there stays."""
        row = self.get_object()
        services.stop_reply(reply_id=row.pk, by=self.actor.pk)
        return Response(self.get_serializer(self.get_object()).data)

    @action(detail=True, methods=["post"])
    def regenerate(self, request: Request, pk: str) -> Response:
        """Write another version, or try a failed answer again."""
        row = self.get_object()
        services.regenerate(reply_id=row.pk, by=self.actor.pk)
        return Response(self.get_serializer(self.get_object()).data)


class MemoryShape(serializers.ModelSerializer[FanMemory]):
    """Something a persona remembers of the reader."""

    persona_name = serializers.CharField(source="persona.name")

    class Meta:
        model = FanMemory
        fields = ("id", "persona", "persona_name", "about", "text", "corrected_at", "created_at")
        read_only_fields = fields


class Correction(Strict):
    """What is right."""

    text = Text(max_length=300)


@extend_schema_view(
    partial_update=extend_schema(request=Correction, responses=MemoryShape),
    destroy=extend_schema(responses={204: None}),
)
class MemoryViewSet(ChatView, ReadOnly):
    """What personas remember of oneself: to see, to correct, to erase. Nobody else's is here."""

    queryset = FanMemory.objects.all()
    serializer_class = MemoryShape
    filterset_fields = ("persona",)

    def get_queryset(self) -> QuerySet[FanMemory]:
        if getattr(self, "swagger_fake_view", False):
            return FanMemory.objects.none()
        return FanMemory.objects.filter(user=self.actor).select_related("persona")

    def partial_update(self, request: Request, pk: str) -> Response:
        """Put it right."""
        row = self.get_object()
        given = Correction(data=request.data)
        given.is_valid(raise_exception=True)
        services.correct_memory(memory=row, text=given.validated_data["text"])
        return Response(self.get_serializer(self.get_object()).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """Erase it."""
        self.get_object().delete()
        return Response(status=204)


class Erasure(Strict):
    """Erasing is confirmed by one's own name."""

    username = Text(max_length=150)


class MyDataView(ChatView):
    """What chat holds about oneself."""

    @extend_schema(responses=OpenApiTypes.OBJECT, operation_id="my_chat_data")
    def get(self, request: Request) -> Response:
        """Take everything away."""
        return Response(services.export_user(user=self.actor, by=self.actor))

    @extend_schema(
        request=Erasure, responses=OpenApiTypes.OBJECT, operation_id="erase_my_chat_data"
    )
    def post(self, request: Request) -> Response:
        """Erase everything; it cannot be undone."""
        given = Erasure(data=request.data)
        given.is_valid(raise_exception=True)
        if given.validated_data["username"] != self.actor.username:
            raise serializers.ValidationError({"username": "Write your own name to confirm."})
        counts: dict[str, Any] = services.erase_user(user=self.actor, by=self.actor)
        return Response(counts)
