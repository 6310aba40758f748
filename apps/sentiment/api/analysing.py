"""The endpoints that read texts: analyze-text, analyze-comments, analyze-engagement, health."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.resources import Shared
from apps.core.rest.serializers import Id, Moment, Strict, Text
from apps.personas.models import Persona
from apps.sentiment import engaging, importing, services
from apps.sentiment.engines.base import EMOTIONS, INTENTS, Analysis, label_for
from apps.sentiment.models import INTENT_CHOICES, LABEL_CHOICES, LONGEST_TEXT, Comment, Reading
from apps.sentiment.recording import Written
from apps.sentiment.summing import Summary, summarise

MOST_COMMENTS = 5_000
MOST_COUNT = 10**12


def persona_of(pk: Any) -> Persona:
    """The persona with this id, or a field error."""
    persona = Persona.objects.filter(pk=pk).first()
    if persona is None:
        raise serializers.ValidationError("There is no such persona.", "unknown")
    return persona


class CommentText(Text):
    """A comment's text, kept as it was written."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_TEXT, trim_whitespace=False, **kwargs)


class TextInput(Strict):
    """A text, and whatever of its context the caller wants back."""

    text = CommentText()
    context = serializers.JSONField(required=False, allow_null=True)  # type: ignore[assignment]


class EvidenceOutput(serializers.Serializer[Any]):
    """A piece of the text that moved the score: where, by how much, and why."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    text = serializers.CharField()
    weight = serializers.FloatField()
    reason = serializers.CharField()


class TopicOutput(serializers.Serializer[Any]):
    """A topic and the mood around it."""

    name = serializers.CharField()
    mood = serializers.FloatField()
    mentions = serializers.IntegerField()


class TextOutput(serializers.Serializer[Any]):
    """What is read in one text."""

    sentiment_score = serializers.FloatField(help_text="From -1 to 1.")
    sentiment_label = serializers.ChoiceField(choices=LABEL_CHOICES)
    emotions = serializers.DictField(child=serializers.FloatField())
    topics = TopicOutput(many=True)
    intent = serializers.ChoiceField(choices=INTENT_CHOICES)
    confidence = serializers.FloatField()
    abstained = serializers.BooleanField(help_text="True where the engine cannot tell.")
    language = serializers.CharField()
    word_count = serializers.IntegerField()
    evidence = EvidenceOutput(many=True)
    engine = serializers.CharField()
    engine_version = serializers.CharField()
    corrected = serializers.BooleanField(help_text="A person said what this text is.")
    analyzed_at = serializers.DateTimeField()
    context = serializers.JSONField(allow_null=True)  # type: ignore[assignment]


class CommentInput(Strict):
    """One comment."""

    id = Text(max_length=500, required=False)
    text = CommentText()
    author = Text(max_length=200, allow_blank=True, default="")
    platform = Text(max_length=30, default="api")
    timestamp = Moment(required=False, allow_null=True, default=None)
    post = Id(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        moment = attrs["timestamp"].isoformat() if attrs["timestamp"] else ""
        made = importing.remote_id_of(attrs["text"], attrs["author"], moment)
        attrs.setdefault("id", made)
        return attrs


def written(given: Sequence[dict[str, Any]]) -> list[Written]:
    """Comments as the services take them."""
    return [
        Written(
            network=each["platform"].lower(),
            remote_id=each["id"],
            text=each["text"],
            author=each["author"],
            written_at=each["timestamp"],
            post=each["post"],
        )
        for each in given
    ]


class CommentsInput(Strict):
    """Comments, and the persona they are about if they shall be kept."""

    comments = serializers.ListField(child=CommentInput(), max_length=MOST_COMMENTS)
    persona_id = Id(required=False, allow_null=True, default=None)

    def validate_persona_id(self, value: Any) -> Persona | None:
        return persona_of(value) if value else None


class CommentsOutput(serializers.Serializer[Any]):
    """How a set of comments feels; shares are of those that could be told."""

    total_comments = serializers.IntegerField()
    told_comments = serializers.IntegerField(help_text="The others are in a foreign language.")
    average_sentiment = serializers.FloatField()
    overall_sentiment = serializers.ChoiceField(choices=LABEL_CHOICES)
    sentiment_distribution = serializers.DictField(child=serializers.IntegerField())
    emotion_distribution = serializers.DictField(child=serializers.IntegerField())
    intent_distribution = serializers.DictField(child=serializers.IntegerField())
    key_topics = TopicOutput(many=True)
    positive_ratio = serializers.FloatField()
    negative_ratio = serializers.FloatField()
    stored = serializers.BooleanField()
    analyzed_at = serializers.DateTimeField()


class Count(serializers.IntegerField):
    """How many; never negative."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=MOST_COUNT, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class PostData(Strict):
    """A post."""

    content = CommentText(allow_blank=True)
    platform = Text(max_length=30, default="api")
    post_id = Text(max_length=500, allow_blank=True, default="")


class EngagementData(Strict):
    """How it did: each comment a text or an object with one."""

    likes = Count(default=0)
    comments = serializers.ListField(
        child=serializers.JSONField(), max_length=MOST_COMMENTS, default=list
    )
    comment_count = Count(required=False)
    shares = Count(default=0)
    saves = Count(default=0)

    def validate_comments(self, value: list[Any]) -> list[str]:
        field = CommentText()
        found = []
        errors: dict[int, Any] = {}
        for index, each in enumerate(value):
            try:
                text = each.get("text") if isinstance(each, dict) else each
                found.append(field.run_validation(text))
            except serializers.ValidationError as error:
                errors[index] = error.detail
        if errors:
            raise serializers.ValidationError(errors)  # type: ignore[arg-type]
        return found


class EngagementInput(Strict):
    """A post and how it did."""

    post_data = PostData()
    engagement_data = EngagementData()


class EngagementOutput(serializers.Serializer[Any]):
    """How a post and its comments feel, and how much it moved people."""

    content_sentiment = TextOutput()
    comment_sentiment = CommentsOutput()
    engagement_score = serializers.FloatField(help_text="x / (x + 100) of weighted interactions.")
    overall_sentiment = serializers.ChoiceField(choices=LABEL_CHOICES)
    overall_score = serializers.FloatField()
    analyzed_at = serializers.DateTimeField()


class HealthOutput(serializers.Serializer[Any]):
    """Whether sentiment works, and by which engine."""

    status = serializers.CharField()
    engine = serializers.CharField()
    engine_version = serializers.CharField()
    unread_comments = serializers.IntegerField()
    emotions = serializers.ListField(child=serializers.CharField())
    intents = serializers.ListField(child=serializers.CharField())


def described(analysis: Analysis, *, corrected: bool, context: Any = None) -> dict[str, Any]:
    """An analysis in the words of the API."""
    return {
        "sentiment_score": analysis.score,
        "sentiment_label": analysis.label,
        "emotions": dict(analysis.emotions),
        "topics": [_topic(each) for each in analysis.topics],
        "intent": analysis.intent,
        "confidence": analysis.confidence,
        "abstained": analysis.abstained,
        "language": analysis.language,
        "word_count": analysis.word_count,
        "evidence": [
            {
                "start": each.start,
                "end": each.end,
                "text": each.text,
                "weight": each.weight,
                "reason": each.reason,
            }
            for each in analysis.evidence
        ],
        "engine": analysis.engine,
        "engine_version": analysis.version,
        "corrected": corrected,
        "analyzed_at": timezone.now().isoformat(),
        "context": context,
    }


def _topic(topic: Any) -> dict[str, Any]:
    return {"name": topic.name, "mood": topic.mood, "mentions": topic.mentions}


def _summed(summary: Summary, *, stored: bool) -> dict[str, Any]:
    return {
        "total_comments": summary.total,
        "told_comments": summary.told,
        "average_sentiment": summary.average,
        "overall_sentiment": summary.overall,
        "sentiment_distribution": summary.labels,
        "emotion_distribution": summary.emotions,
        "intent_distribution": summary.intents,
        "key_topics": summary.topics,
        "positive_ratio": summary.positive_ratio,
        "negative_ratio": summary.negative_ratio,
        "stored": stored,
        "analyzed_at": timezone.now().isoformat(),
    }


class _View(Shared):
    queryset = Reading.objects.all()
    needs: ClassVar[dict[str, str]] = {"GET": "view", "POST": "view"}


class AnalyzeTextView(_View):
    """One text."""

    @extend_schema(
        request=TextInput, responses=TextOutput, operation_id="analyze_text", tags=["sentiment"]
    )
    def post(self, request: Request) -> Response:
        """Read one text of up to 10,000 characters; nothing is stored."""
        given = TextInput(data=request.data)
        given.is_valid(raise_exception=True)
        said = services.judge([given.validated_data["text"]])[0]
        context = given.validated_data.get("context")
        return Response(described(said.analysis, corrected=said.corrected, context=context))


class AnalyzeCommentsView(_View):
    """Several comments."""

    @extend_schema(
        request=CommentsInput,
        responses=CommentsOutput,
        operation_id="analyze_comments",
        tags=["sentiment"],
    )
    def post(self, request: Request) -> Response:
        """Sum up to 5,000 comments; with `persona_id` they are stored with their readings.

        Larger sets go to `batches/`.
        """
        given = CommentsInput(data=request.data)
        given.is_valid(raise_exception=True)
        comments = written(given.validated_data["comments"])
        persona = given.validated_data["persona_id"]
        if persona is not None:
            if not request.user.has_perm("sentiment.add_comment"):
                raise PermissionDenied
            services.read_now(persona=persona, comments=comments)
        said = services.judge([each.text for each in comments])
        summary = summarise([each.analysis for each in said])
        return Response(_summed(summary, stored=persona is not None))


class AnalyzeEngagementView(_View):
    """A post with its reactions."""

    @extend_schema(
        request=EngagementInput,
        responses=EngagementOutput,
        operation_id="analyze_engagement",
        tags=["sentiment"],
    )
    def post(self, request: Request) -> Response:
        """Weigh what a post says, what people answered, and how many did; nothing is stored."""
        given = EngagementInput(data=request.data)
        given.is_valid(raise_exception=True)
        post = given.validated_data["post_data"]
        data = given.validated_data["engagement_data"]
        texts = [post["content"], *data["comments"]]
        content, *comments = services.judge(texts)
        summary = summarise([each.analysis for each in comments])
        # What people answered says more of how a post was taken than what it says itself.
        overall = (
            0.3 * content.analysis.score + 0.7 * summary.average
            if summary.told
            else content.analysis.score
        )
        return Response(
            {
                "content_sentiment": described(content.analysis, corrected=content.corrected),
                "comment_sentiment": _summed(summary, stored=False),
                "engagement_score": engaging.score(
                    likes=data["likes"],
                    comments=data.get("comment_count", len(data["comments"])),
                    shares=data["shares"],
                    saves=data["saves"],
                ),
                "overall_sentiment": label_for(overall),
                "overall_score": round(overall, 4),
                "analyzed_at": timezone.now().isoformat(),
            }
        )


class HealthView(_View):
    """Whether sentiment works."""

    @extend_schema(responses=HealthOutput, operation_id="sentiment_health", tags=["sentiment"])
    def get(self, request: Request) -> Response:
        """Read a word and say by which engine."""
        said = services.analyze("good")
        return Response(
            {
                "status": "healthy",
                "engine": said.engine,
                "engine_version": said.version,
                "unread_comments": Comment.objects.unread().count(),
                "emotions": list(EMOTIONS),
                "intents": list(INTENTS),
            }
        )
