"""Comments over HTTP: looked at, imported from files, and taken in batches."""

from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Refused
from apps.core.rest.resources import ReadOnly, Resource
from apps.core.rest.serializers import Id, Strict, StrictModel, Text
from apps.core.tables import UnreadableFile, uploaded
from apps.personas.models import Persona
from apps.sentiment import importing, services
from apps.sentiment.api.analysing import CommentInput, persona_of, written
from apps.sentiment.models import Batch, Comment, Competitor

MOST_IN_BATCH = 20_000


class CommentOutput(StrictModel):
    """A comment as the network has it."""

    class Meta:
        model = Comment
        fields = (
            "id",
            "persona",
            "competitor",
            "network",
            "remote_id",
            "post",
            "author",
            "text",
            "written_at",
            "batch",
            "recorded_at",
            "read_at",
        )
        read_only_fields = fields


class SubjectInput(Strict):
    """Whom comments are about: a persona or a competitor."""

    persona_id = Id(required=False, allow_null=True, default=None)
    competitor_id = Id(required=False, allow_null=True, default=None)

    def validate_persona_id(self, value: Any) -> Persona | None:
        return persona_of(value) if value else None

    def validate_competitor_id(self, value: Any) -> Competitor | None:
        if not value:
            return None
        competitor = Competitor.objects.filter(pk=value).first()
        if competitor is None:
            raise serializers.ValidationError("There is no such competitor.", "unknown")
        return competitor

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["persona_id"] is None) == (attrs["competitor_id"] is None):
            raise serializers.ValidationError(
                {"persona_id": "Name a persona or a competitor, one of them."}, "required"
            )
        return attrs


def _subject(given: dict[str, Any]) -> dict[str, Any]:
    persona, competitor = given["persona_id"], given["competitor_id"]
    return {
        "persona_id": persona.pk if persona else None,
        "competitor_id": competitor.pk if competitor else None,
    }


class ImportInput(SubjectInput):
    """A file of comments."""

    file = serializers.FileField()
    platform = Text(max_length=30, default="import")
    dry_run = serializers.BooleanField(default=False)


class ImportOutput(serializers.Serializer[Any]):
    """What a file holds, and what was made of it."""

    rows = serializers.IntegerField()
    comments = serializers.IntegerField()
    repeated = serializers.IntegerField()
    refused = serializers.IntegerField()
    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    dry_run = serializers.BooleanField()
    batch = serializers.UUIDField(allow_null=True)


@extend_schema_view(
    import_file=extend_schema(
        request={"multipart/form-data": ImportInput}, responses={200: ImportOutput}
    )
)
class CommentViewSet(ReadOnly):
    """Comments, newest first."""

    queryset = Comment.objects.all()
    serializer_class = CommentOutput
    filterset_fields = ("persona", "competitor", "network", "post", "batch", "author")
    needs: ClassVar[dict[str, str]] = {"import_file": "add"}

    @action(detail=False, methods=["post"], url_path="import", parser_classes=[MultiPartParser])
    def import_file(self, request: Request) -> Response:
        """Take a CSV, JSON or JSON lines file; rows with errors are listed and left out.

        With `dry_run` nothing is stored.
        """
        given = ImportInput(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        file = data["file"]
        try:
            content, kind = uploaded(file)
            parsed = importing.parse(content, kind=kind, network=data["platform"].lower())
        except UnreadableFile as error:
            raise Refused(("file", error.code, str(error))) from None
        batch = None
        if parsed.comments and not data["dry_run"]:
            batch = services.start_batch(
                comments=parsed.comments, name=file.name, by=self.actor, **_subject(data)
            )
        return Response(
            {
                "rows": parsed.rows,
                "comments": len(parsed.comments),
                "repeated": parsed.repeated,
                "refused": parsed.refused,
                "errors": [asdict(each) for each in parsed.errors],
                "dry_run": data["dry_run"],
                "batch": str(batch.pk) if batch else None,
            }
        )


class BatchInput(SubjectInput):
    """Comments to read in the background."""

    name = Text(max_length=200, allow_blank=True, default="")
    comments = serializers.ListField(
        child=CommentInput(), allow_empty=False, max_length=MOST_IN_BATCH
    )


class BatchOutput(StrictModel):
    """Comments that came in together, and how many of them are read."""

    progress = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = (
            "id",
            "persona",
            "competitor",
            "name",
            "total",
            "done",
            "progress",
            "created_by",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields

    def get_progress(self, batch: Batch) -> float:
        return round(batch.done / batch.total, 4) if batch.total else 1.0


@extend_schema_view(create=extend_schema(request=BatchInput, responses={201: BatchOutput}))
class BatchViewSet(Resource):
    """Large sets of comments, read in the background."""

    queryset = Batch.objects.all()
    serializer_class = output = BatchOutput
    filterset_fields = ("persona", "competitor")

    def create(self, request: Request) -> Response:
        """Store up to 20,000 comments and read them in the background."""
        given = self.read(request, BatchInput)
        batch = services.start_batch(
            comments=written(given["comments"]),
            name=given["name"],
            by=self.actor,
            **_subject(given),
        )
        return self.shown(batch.pk, 201)
