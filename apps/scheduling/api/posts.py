"""Posts over HTTP."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, Prefetch
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.filters import MomentFilter
from apps.scheduling import approving, keeping, services, slots, unpublishing
from apps.scheduling.api.deliveries import SHOWN, DeliveryOutput, network_choices
from apps.scheduling.api.drafts import PostInput, SeedInput
from apps.scheduling.api.files import PostFiles
from apps.scheduling.api.queues import QueueInput
from apps.scheduling.api.writing import (
    ApproveInput,
    PostCommentInput,
    PostCommentOutput,
    SendBackInput,
)
from apps.scheduling.models import Delivery, Post, PostMedia


class PartOutput(serializers.Serializer[Any]):
    """What follows as a reply to the part before."""

    text = serializers.CharField()
    media = serializers.ListField(child=serializers.UUIDField())


def shown_parts(parts: Sequence[Mapping[str, Any]], media: Iterable[Any]) -> list[dict[str, Any]]:
    """Stored parts as an answer shows them."""
    places = list(media)
    return [
        {
            "text": part["text"],
            "media": [str(each.media_id) for each in places if each.part == number],
        }
        for number, part in enumerate(parts, 1)
    ]


class PostOutput(serializers.ModelSerializer[Post]):
    """A post with its deliveries."""

    media = serializers.SerializerMethodField()
    parts = serializers.SerializerMethodField()
    deliveries = DeliveryOutput(many=True, read_only=True)
    too_late_after = serializers.DurationField(format="iso-8601", allow_null=True)

    class Meta:
        model = Post
        fields = (
            "id",
            "persona",
            "text",
            "link",
            "hashtags",
            "media",
            "parts",
            "campaign",
            "approval",
            "approved_by",
            "approved_at",
            "revision",
            "text_by_ai",
            "media_by_ai",
            "scheduled_at",
            "too_late_after",
            "created_by",
            "created_at",
            "deliveries",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_media(self, post: Post) -> list[str]:
        return [str(each.media_id) for each in post.postmedia_set.all() if not each.part]

    @extend_schema_field(PartOutput(many=True))
    def get_parts(self, post: Post) -> Any:
        return shown_parts(post.parts, post.postmedia_set.all())


class ProblemOutput(serializers.Serializer[Any]):
    """Why the draft would be refused."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class MeasureOutput(serializers.Serializer[Any]):
    """How long the draft is on one account, as its network counts."""

    account = serializers.UUIDField(source="account.pk")
    network = serializers.CharField(source="account.network")
    length = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    bytes = serializers.IntegerField()
    byte_limit = serializers.IntegerField(allow_null=True)
    parts = serializers.ListField(
        child=serializers.IntegerField(), help_text="The lengths of the parts that follow."
    )


class CheckOutput(serializers.Serializer[Any]):
    """Whether a draft would be taken."""

    ok = serializers.BooleanField()
    problems = ProblemOutput(many=True)
    accounts = MeasureOutput(many=True)


class ScheduleOutput(serializers.Serializer[Any]):
    """One schedule: what `publish_scheduled_post` takes as its schedule_id."""

    schedule_id = serializers.UUIDField()
    platform = serializers.CharField()
    account = serializers.UUIDField()
    schedule_time = serializers.DateTimeField()
    state = serializers.CharField()


class SeedOutput(serializers.Serializer[Any]):
    """The post and the schedules it made."""

    id = serializers.UUIDField()
    schedules = ScheduleOutput(many=True)


class CountOutput(serializers.Serializer[Any]):
    """How many deliveries it concerned, and the post as it is now."""

    deliveries_changed = serializers.IntegerField()
    post = PostOutput()


class PostFilter(filters.FilterSet):  # type: ignore[misc]
    persona = filters.UUIDFilter(field_name="persona")
    approval = filters.MultipleChoiceFilter(choices=Post.Approval)
    scheduled_after = MomentFilter(field_name="scheduled_at", lookup_expr="gte")
    scheduled_before = MomentFilter(field_name="scheduled_at", lookup_expr="lt")
    # Both together mean one delivery that has both; see filter_queryset.
    state = filters.MultipleChoiceFilter(field_name="deliveries__state", choices=Delivery.State)
    network = filters.MultipleChoiceFilter(
        field_name="deliveries__account__network", choices=network_choices
    )

    class Meta:
        model = Post
        fields: tuple[str, ...] = ()

    def filter_queryset(self, queryset: Any) -> Any:
        state = self.form.cleaned_data.pop("state", None)
        network = self.form.cleaned_data.pop("network", None)
        queryset = super().filter_queryset(queryset)
        wanted = Delivery.objects.filter(post=OuterRef("pk"))
        if state:
            wanted = wanted.filter(state__in=state)
        if network:
            wanted = wanted.filter(account__network__in=network)
        return queryset.filter(Exists(wanted)) if state or network else queryset


@extend_schema_view(
    create=extend_schema(request=PostInput, responses={201: PostOutput}),
    update=extend_schema(request=PostInput, responses=PostOutput),
    partial_update=extend_schema(request=PostInput, responses=PostOutput),
    destroy=extend_schema(responses={204: None}),
    cancel=extend_schema(request=None, responses=CountOutput),
    publish_now=extend_schema(request=None, responses=CountOutput),
    unpublish=extend_schema(request=None, responses=CountOutput),
    correct=extend_schema(request=PostInput, responses={201: PostOutput}),
    submit=extend_schema(request=None, responses=PostOutput),
    approve=extend_schema(request=ApproveInput, responses=PostOutput),
    send_back=extend_schema(request=SendBackInput, responses=PostOutput),
    check=extend_schema(request=PostInput, responses=CheckOutput),
    queue=extend_schema(request=QueueInput, responses={201: PostOutput(many=True)}),
    schedule=extend_schema(request=SeedInput, responses={201: SeedOutput}),
)
class PostViewSet(PostFiles):
    """Posts: what a persona says, and when."""

    queryset = Post.objects.prefetch_related(
        Prefetch("deliveries", SHOWN.order_by("account_id", "part")),
        Prefetch("postmedia_set", PostMedia.objects.order_by("position")),
    )
    serializer_class = output = PostOutput
    filterset_class = PostFilter
    needs: ClassVar[dict[str, str]] = {
        **PostFiles.needs,
        "check": "add",
        "queue": "add",
        "schedule": "add",
        "approve": "scheduling.approve_post",
        "send_back": "scheduling.approve_post",
        "comments": "scheduling.view_postcomment",
        "comment": "scheduling.add_postcomment",
    }

    def create(self, request: Request) -> Response:
        """Schedule a post on one or several accounts."""
        given = PostInput(data=request.data)
        given.is_valid(raise_exception=True)
        post = services.schedule_post(given.draft(), by=self.actor)
        return self.shown(post.pk, 201)

    def update(self, request: Request, pk: str) -> Response:
        """Replace a post that no network has seen."""
        return self._change(request, pk, partial=False)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change some of a post that no network has seen."""
        return self._change(request, pk, partial=True)

    def _change(self, request: Request, pk: str, *, partial: bool) -> Response:
        post = self.get_object()
        given = PostInput(data=request.data, partial=partial)
        given.is_valid(raise_exception=True)
        services.change_post(post, given.draft(post), by=self.actor)
        return self.shown(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a post of which nothing went out; any other can be cancelled."""
        keeping.remove_post(self.get_object(), by=self.actor)
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel whatever of this post has not gone out."""
        return self._counted(services.cancel_post, request)

    @action(detail=True, methods=["post"], url_path="publish-now")
    def publish_now(self, request: Request, pk: str) -> Response:
        """Send what is waiting at once."""
        return self._counted(services.publish_now, request)

    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: str) -> Response:
        """Hand a draft in: for review, or straight on where its persona needs none."""
        approving.submit_post(self.get_object(), by=self.actor)
        return self.shown(pk)

    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Let a post go out at its time."""
        post, given = self.get_object(), self.read(request, ApproveInput)
        approving.approve_post(post, revision=given.get("revision"), by=self.actor)
        return self.shown(pk)

    @action(detail=True, methods=["post"], url_path="send-back")
    def send_back(self, request: Request, pk: str) -> Response:
        """Make a post a draft again, saying why; not once a network may have it."""
        post, given = self.get_object(), self.read(request, SendBackInput)
        approving.send_back(post, reason=given["reason"], by=self.actor)
        return self.shown(pk)

    @extend_schema(responses=PostCommentOutput(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def comments(self, request: Request, pk: str) -> Response:
        """What staff said about a post, the oldest first."""
        rows = self.get_object().comments.select_related("author")
        return Response(PostCommentOutput(rows, many=True).data)

    @extend_schema(request=PostCommentInput, responses={201: PostCommentOutput})
    @comments.mapping.post
    def comment(self, request: Request, pk: str) -> Response:
        """Say something about a post, to the others on the staff."""
        post, given = self.get_object(), self.read(request, PostCommentInput)
        row = approving.comment_on(post, text=given["text"], by=self.actor)
        return Response(PostCommentOutput(row).data, status=201)

    @action(detail=True, methods=["post"])
    def unpublish(self, request: Request, pk: str) -> Response:
        """Have a post removed wherever it is out and can be removed from here."""
        return self._counted(unpublishing.unpublish_post, request)

    @action(detail=True, methods=["post"])
    def correct(self, request: Request, pk: str) -> Response:
        """Put a corrected post in place of one that is out: the old one is removed first."""
        post = self.get_object()
        given = PostInput(data=request.data)
        given.is_valid(raise_exception=True)
        # A correction may well say the same, with another picture or hashtag.
        draft = replace(given.draft(), allow_duplicate=True)
        fresh = unpublishing.correct_and_repost(post, draft, by=self.actor)
        return self.shown(fresh.pk, 201)

    def _counted(self, verb: Any, request: Request) -> Response:
        post = self.get_object()
        count = verb(post, by=self.actor)
        content = {"deliveries_changed": count, "post": self.fresh(post.pk)}
        return Response(CountOutput(content, context=self.get_serializer_context()).data)

    @action(detail=False, methods=["post"])
    def check(self, request: Request) -> Response:
        """Say whether a post would be taken, and how long it is on each account; stores nothing."""
        given = PostInput(data=request.data)
        given.is_valid(raise_exception=True)
        draft = given.draft()
        problems = [
            {"field": field, "code": code, "message": message}
            for field, code, message in [
                *services.problems_of(draft),
                *services.duplicates_of(draft),
            ]
        ]
        content = {"ok": not problems, "problems": problems, "accounts": keeping.measure(draft)}
        return Response(CheckOutput(content).data)

    @action(detail=False, methods=["post"])
    def queue(self, request: Request) -> Response:
        """Put a post into the next free slot of each of its accounts: one post per account."""
        given = QueueInput(data=request.data)
        given.is_valid(raise_exception=True)
        posts = slots.queue_post(given.draft(), by=self.actor)
        shown = self.get_queryset().filter(pk__in=[post.pk for post in posts])
        context = self.get_serializer_context()
        ordered = shown.order_by("scheduled_at")
        return Response(PostOutput(ordered, many=True, context=context).data, status=201)

    @action(detail=False, methods=["post"])
    def schedule(self, request: Request) -> Response:
        """Schedule a post by platforms, as Gator's first description has it."""
        given = SeedInput(data=request.data)
        given.is_valid(raise_exception=True)
        post = services.schedule_post(given.draft(), by=self.actor)
        schedules = [
            {
                "schedule_id": row.pk,
                "platform": row.account.network,
                "account": row.account_id,
                "schedule_time": post.scheduled_at,
                "state": row.state,
            }
            for row in self.fresh(post.pk).deliveries.all()
        ]
        return Response(SeedOutput({"id": post.pk, "schedules": schedules}).data, status=201)
