"""Posts from and into files over HTTP, and many posts out at once."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Refused
from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Id, Strict, Text
from apps.core.tables import UnreadableFile, uploaded
from apps.personas.models import Persona
from apps.scheduling import bulk
from apps.scheduling.api.accounts import persona_of
from apps.scheduling.models import Delivery, Post

MOST_IN_BATCH = 500


class PostsImportInput(Strict):
    """A file of posts."""

    file = serializers.FileField()
    persona = Id(required=False, help_text="Whose posts are those that name no persona.")
    dry_run = serializers.BooleanField(default=False)
    allow_duplicate = serializers.BooleanField(default=False)

    def validate_persona(self, value: Any) -> Persona:
        return persona_of(value)


class PostsImportOutput(serializers.Serializer[Any]):
    """What a file holds, and what was made of it."""

    rows = serializers.IntegerField()
    taken = serializers.IntegerField(help_text="Rows that make a post.")
    refused = serializers.IntegerField(help_text="Rows that do not.")
    scheduled = serializers.IntegerField(help_text="Posts that were made; 0 in a dry run.")
    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    dry_run = serializers.BooleanField()


class PostsBatchInput(Strict):
    """Posts to send now."""

    content_ids = serializers.ListField(child=Id(), allow_empty=False, max_length=MOST_IN_BATCH)
    platforms = serializers.ListField(
        child=Text(max_length=30),
        max_length=100,
        default=list,
        help_text="On these networks only; none named: on all.",
    )


class BatchedOutput(serializers.Serializer[Any]):
    """A delivery that goes out now."""

    id = serializers.UUIDField()
    post = serializers.UUIDField(source="post_id")
    platform = serializers.CharField(source="account.network")
    state = serializers.ChoiceField(choices=Delivery.State.choices)


class SkippedOutput(serializers.Serializer[Any]):
    """A post of which nothing goes out, and why."""

    post = serializers.UUIDField()
    reason = serializers.CharField()


class PostsBatchOutput(serializers.Serializer[Any]):
    """What goes out, and what does not."""

    deliveries = BatchedOutput(many=True)
    skipped = SkippedOutput(many=True)


def read_file(file: Any, **options: Any) -> bulk.Parsed:
    """Parse an uploaded file; raises Refused with what is wrong with it as a whole."""
    try:
        content, kind = uploaded(file)
        return bulk.parse(content, kind=kind, **options)
    except UnreadableFile as error:
        raise Refused(("file", error.code, str(error))) from None


class PostFiles(Resource):
    """What posts have beside one-by-one: import, export, batch."""

    needs: ClassVar[dict[str, str]] = {
        "import_file": "add",
        "export_csv": "view",
        "export_json": "view",
        "batch": "change",
    }

    @extend_schema(
        request={"multipart/form-data": PostsImportInput},
        responses={200: PostsImportOutput},
        filters=False,
    )
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[MultiPartParser])
    def import_file(self, request: Request) -> Response:
        """Schedule the posts of a CSV, JSON or JSON lines file (10,000 rows).

        Rows with errors are listed and left out; with `dry_run` nothing is stored.
        """
        given = self.read(request, PostsImportInput)
        parsed = read_file(
            given["file"],
            persona=given.get("persona"),
            allow_duplicate=given["allow_duplicate"],
        )
        made = 0 if given["dry_run"] else bulk.store(parsed.drafts, by=self.actor)
        return Response(
            {
                "rows": parsed.rows,
                "taken": len(parsed.drafts),
                "refused": parsed.refused,
                "scheduled": made,
                "errors": [asdict(each) for each in parsed.errors],
                "dry_run": given["dry_run"],
            }
        )

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    @action(detail=False, methods=["get"], url_path="export-csv")
    def export_csv(self, request: Request) -> HttpResponse:
        """The posts that the filters leave, as a CSV file that `import` takes."""
        return self._file("csv", "text/csv; charset=utf-8")

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    @action(detail=False, methods=["get"], url_path="export-json")
    def export_json(self, request: Request) -> HttpResponse:
        """The posts that the filters leave, as a JSON file that `import` takes."""
        return self._file("json", "application/json")

    def _file(self, kind: str, content_type: str) -> HttpResponse:
        posts = self.filter_queryset(Post.objects.all())
        return exported(bulk.export(posts, kind=kind), kind, content_type)

    @extend_schema(request=PostsBatchInput, responses=PostsBatchOutput, filters=False)
    @action(detail=False, methods=["post"])
    def batch(self, request: Request) -> Response:
        """Send posts now, on the named networks, as `batch_publish_content` does."""
        given = self.read(request, PostsBatchInput)
        found = Post.objects.in_bulk(given["content_ids"])
        unknown = [pk for pk in given["content_ids"] if pk not in found]
        sent, skipped = bulk.publish_batch(
            list(found.values()), networks=given["platforms"], by=self.actor
        )
        missing = [{"post": pk, "reason": "There is no such post."} for pk in unknown]
        reasons = [{"post": post.pk, "reason": why} for post, why in skipped]
        return Response(
            PostsBatchOutput({"deliveries": sent, "skipped": [*reasons, *missing]}).data
        )


def exported(content: str, kind: str, content_type: str) -> HttpResponse:
    """A file to save."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="posts.{kind}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
