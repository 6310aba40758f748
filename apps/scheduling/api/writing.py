"""Templates and hashtag sets over HTTP, and what staff say about a post."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.rest.serializers import Strict, StrictModel, Text
from apps.personas.api import Kept
from apps.scheduling.approving import LONGEST_COMMENT
from apps.scheduling.models import HashtagSet, PostComment, Template


class Hashtags(serializers.ListField):
    """Hashtags, with or without their #."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 50)
        super().__init__(**kwargs)

    child = serializers.RegexField(
        r"^#?\w{1,100}\Z",
        error_messages={"invalid": "A hashtag has letters, digits and _ only."},
    )


class TemplateSerializer(StrictModel):
    """A post to begin with."""

    hashtags = Hashtags(required=False)

    class Meta:
        model = Template
        fields = ("id", "name", "persona", "text", "link", "hashtags", "created_at")
        read_only_fields = ("id", "created_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "persona": {"pk_field": serializers.UUIDField(), "allow_null": True, "required": False}
        }


class HashtagSetSerializer(StrictModel):
    """Hashtags that go together."""

    hashtags = Hashtags(allow_empty=False)

    class Meta:
        model = HashtagSet
        fields = ("id", "name", "persona", "hashtags", "created_at")
        read_only_fields = ("id", "created_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "persona": {"pk_field": serializers.UUIDField(), "allow_null": True, "required": False}
        }


class TemplateViewSet(Kept):
    """Templates: `template` of a new post names one, and what the post leaves out is its."""

    queryset = Template.objects.all()
    serializer_class = TemplateSerializer
    filterset_fields = ("persona", "name")


class HashtagSetViewSet(Kept):
    """Hashtag sets: `hashtag_sets` of a new post names some, and theirs are added."""

    queryset = HashtagSet.objects.all()
    serializer_class = HashtagSetSerializer
    filterset_fields = ("persona", "name")


class PostCommentInput(Strict):
    """What to say about a post."""

    text = Text(max_length=LONGEST_COMMENT)


class PostCommentOutput(serializers.ModelSerializer[PostComment]):
    """What one of the staff said about a post."""

    author = serializers.CharField(source="author.username", default=None, read_only=True)

    class Meta:
        model = PostComment
        fields = ("id", "author", "text", "created_at")
        read_only_fields = fields


class ApproveInput(Strict):
    """Which revision was read."""

    revision = serializers.IntegerField(
        min_value=1,
        required=False,
        help_text="The post's `revision` as you read it: refused (409) if it has changed since.",
    )


class SendBackInput(Strict):
    """Why a post becomes a draft again."""

    reason = Text(max_length=LONGEST_COMMENT, allow_blank=True, default="")
