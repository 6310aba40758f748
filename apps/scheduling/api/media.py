"""Pictures and videos over HTTP: uploaded, described, deleted while unused."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.parsers import StrictJSONParser
from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Strict, StrictModel, Text
from apps.scheduling import keeping, services
from apps.scheduling.models import Media


class MediaInput(Strict):
    """A picture or video, and what it shows."""

    file = serializers.FileField(allow_empty_file=True)
    alt = Text(max_length=2_000, allow_blank=True, default="")


class MediaChange(Strict):
    """What a picture shows, for people who cannot see it."""

    alt = Text(max_length=2_000, allow_blank=True)


class MediaOutput(StrictModel):
    """An uploaded picture or video."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Media
        fields = (
            "id",
            "url",
            "mime",
            "size",
            "width",
            "height",
            "duration_ms",
            "sha256",
            "alt",
            "created_at",
        )
        read_only_fields = fields

    def get_url(self, media: Media) -> str:
        request: Any = self.context.get("request")
        return str(request.build_absolute_uri(media.file.url) if request else media.file.url)


@extend_schema_view(
    create=extend_schema(request={"multipart/form-data": MediaInput}, responses={201: MediaOutput}),
    partial_update=extend_schema(request={"application/json": MediaChange}, responses=MediaOutput),
    destroy=extend_schema(responses={204: None}),
)
class MediaViewSet(Resource):
    """Pictures (JPEG, PNG, GIF, WebP) and videos (MP4, MOV), believed by their content alone."""

    queryset = Media.objects.all()
    serializer_class = output = MediaOutput
    parser_classes = (MultiPartParser, StrictJSONParser)
    filterset_fields = ("sha256",)

    def create(self, request: Request) -> Response:
        """Upload a picture or a video as the form field `file`, with `alt` saying what it shows."""
        given = self.read(request, MediaInput)
        file = given["file"]
        media = services.add_media(
            file,
            size=file.size,
            alt=given["alt"],
            by=self.actor,
        )
        return self.shown(media.pk, 201)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Say what it shows."""
        media = self.get_object()
        given = self.read(request, MediaChange)
        Media.objects.filter(pk=media.pk).update(alt=given["alt"])
        return self.shown(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete what no post uses."""
        keeping.remove_media(self.get_object(), by=self.actor)
        return Response(status=204)
