"""Conversations and their members over HTTP."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from apps.chat import services, shapes
from apps.chat.api.common import ChatView, PersonShape, conversations_for
from apps.chat.models import Conversation, Membership, Message
from apps.core.models import User
from apps.core.rest.pagination import Newest
from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Id, Strict, Text
from apps.personas.models import Persona


class ConversationShape(serializers.ModelSerializer[Conversation]):
    """A conversation as its reader sees it in a list."""

    name = serializers.SerializerMethodField()
    persona_name = serializers.CharField(source="persona.name", default=None)
    holder_name = serializers.SerializerMethodField()
    unread = serializers.SerializerMethodField()
    role = serializers.SerializerMethodField()
    read_seq = serializers.SerializerMethodField()
    last_message = serializers.SerializerMethodField()
    mood = serializers.SerializerMethodField()

    class Meta:
        model = Conversation
        fields = (
            "id",
            "kind",
            "title",
            "name",
            "persona",
            "persona_name",
            "holder",
            "holder_name",
            "stopped_for",
            "human_asked_at",
            "mood",
            "member_count",
            "last_seq",
            "last_change",
            "read_seq",
            "unread",
            "role",
            "last_message",
            "last_message_at",
            "created_at",
        )
        read_only_fields = fields

    def _mine(self, row: Any) -> tuple[str, int]:
        return str(row.my_role or ""), int(row.my_read_seq or 0)

    def get_name(self, row: Any) -> str:
        """What the list shows: the title, the persona, or the other person."""
        return str(row.title or (row.other_name or ""))

    def get_holder_name(self, row: Conversation) -> str:
        return shapes.holder_name(row)

    def get_role(self, row: Any) -> str:
        return self._mine(row)[0]

    def get_read_seq(self, row: Any) -> int:
        return self._mine(row)[1]

    def get_unread(self, row: Any) -> int:
        role, read_seq = self._mine(row)
        return max(0, row.last_seq - read_seq) if role else 0

    def get_mood(self, row: Conversation) -> float | None:
        """How its people sounded lately, -1 to 1; for staff only."""
        return row.mood if self.context["request"].user.is_staff else None

    def get_last_message(self, row: Any) -> str:
        return str(row.last_content or "")[:200]


class Opening(Strict):
    """Which conversation to open: with a persona, with another user (staff), or a group (staff)."""

    kind = serializers.ChoiceField(choices=Conversation.Kind.choices)
    persona = Id(required=False)
    user = Id(required=False)
    title = Text(max_length=120, required=False)
    users = serializers.ListField(child=Id(), max_length=200, required=False)
    personas = serializers.ListField(child=Id(), max_length=20, required=False)


class NewMember(Strict):
    """Who comes in: a user or a persona."""

    user = Id(required=False)
    persona = Id(required=False)


class MemberChange(Strict):
    """Another role."""

    role = serializers.ChoiceField(choices=Membership.Role.choices)


class Latest(Newest):
    """Where something was said last comes first."""

    ordering = ("-last_message_at", "-id")  # type: ignore[assignment]

    def decode_cursor(self, request: Request) -> Any:
        # The position is a time here, not a key.
        return super(Newest, self).decode_cursor(request)


def with_reader(rows: QuerySet[Conversation], user: User) -> QuerySet[Conversation]:
    """Add what the list shows of the reader and of the last message, without a query for each."""
    mine = Membership.objects.filter(conversation=OuterRef("pk"), user=user)
    others = Membership.objects.filter(conversation=OuterRef("pk"), user__isnull=False).exclude(
        user=user
    )
    last = Message.objects.filter(
        conversation=OuterRef("pk"), deleted_at=None, hidden_at=None
    ).order_by("-seq")
    return rows.annotate(
        my_role=Subquery(mine.values("role")[:1]),
        my_read_seq=Subquery(mine.values("read_seq")[:1]),
        other_name=Subquery(others.values("user__username")[:1]),
        last_content=Subquery(last.values("content")[:1]),
    )


@extend_schema_view(
    create=extend_schema(request=Opening, responses={201: ConversationShape}),
    take_over=extend_schema(request=None, responses=ConversationShape),
    hand_back=extend_schema(request=None, responses=ConversationShape),
)
class ConversationViewSet(ChatView, Resource):
    """Conversations: one's own, and for staff with the permission all of them."""

    queryset = Conversation.objects.all()
    serializer_class = output = ConversationShape
    filterset_fields = ("kind", "persona", "holder")
    pagination_class = Latest

    def get_queryset(self) -> QuerySet[Conversation]:
        if getattr(self, "swagger_fake_view", False):
            return Conversation.objects.none()
        return with_reader(conversations_for(self.actor), self.actor)

    def create(self, request: Request) -> Response:
        """Open a conversation; the one that is there is given again."""
        given = self.read(request, Opening)
        kind = given["kind"]
        if kind == Conversation.Kind.PERSONA:
            row = services.open_conversation(
                user=self.actor, persona=_persona(given.get("persona"))
            )
        elif not self.actor.is_staff:
            raise PermissionDenied("Only the team opens conversations between people.")
        elif kind == Conversation.Kind.DIRECT:
            row = services.open_direct(user=self.actor, other=_user(given.get("user")))
        else:
            row = services.open_group(
                by=self.actor,
                title=given.get("title", ""),
                users=[_user(pk) for pk in given.get("users", ())],
                personas=[_persona(pk) for pk in given.get("personas", ())],
            )
        return self.shown(row.pk, 201)

    @action(detail=True, methods=["post"], url_path="take-over")
    def take_over(self, request: Request, pk: str) -> Response:
        """Answer oneself in place of the persona."""
        return self._lead(services.take_over)

    @action(detail=True, methods=["post"], url_path="hand-back")
    def hand_back(self, request: Request, pk: str) -> Response:
        """Let the persona answer again."""
        return self._lead(services.hand_back)

    def _lead(self, verb: Any) -> Response:
        row = self.get_object()
        if not services.may_lead_all(self.actor):
            raise PermissionDenied
        verb(conversation=row, by=self.actor)
        return self.shown(row.pk)


def _persona(pk: Any) -> Persona:
    row = Persona.objects.active().filter(pk=pk).first() if pk is not None else None
    if row is None:
        raise serializers.ValidationError({"persona": "There is no such persona."})
    return row


def _user(pk: Any) -> User:
    row = User.objects.filter(pk=pk, is_active=True).first() if pk is not None else None
    if row is None:
        raise serializers.ValidationError({"user": "There is no such user."})
    return row


def _shape(row: Membership) -> dict[str, Any]:
    named: Any = row.user if row.user is not None else row.persona
    return {
        "id": row.pk,
        "user_id": row.user_id,
        "persona_id": row.persona_id,
        "name": named.shown_name if row.user is not None else named.name,
        "is_ai": row.persona_id is not None,
        "role": row.role,
        "read_seq": row.read_seq,
        "joined_at": row.joined_at,
    }


class MembersView(ChatView):
    """Who is in a conversation."""

    @extend_schema(responses=PersonShape(many=True), operation_id="conversation_members")
    def get(self, request: Request, conversation_id: str) -> Response:
        """List the members, personas marked as AI."""
        row = _of(self.actor, conversation_id)
        members = row.memberships.select_related("user", "persona")
        return Response([_shape(each) for each in members])

    @extend_schema(request=NewMember, responses={201: None}, operation_id="conversation_add")
    def post(self, request: Request, conversation_id: str) -> Response:
        """Bring somebody into a group."""
        row = _of(self.actor, conversation_id)
        given = NewMember(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        if ("user" in asked) == ("persona" in asked):
            raise serializers.ValidationError({"user": "Give a user or a persona."})
        services.add_member(
            conversation=row,
            by=self.actor,
            user=_user(asked["user"]) if "user" in asked else None,
            persona=_persona(asked["persona"]) if "persona" in asked else None,
        )
        return Response(status=201)


class MemberView(ChatView):
    """One member."""

    @extend_schema(request=MemberChange, responses=PersonShape, operation_id="member_change")
    def patch(self, request: Request, conversation_id: str, member_id: str) -> Response:
        """Give another role."""
        row, member = self._both(conversation_id, member_id)
        given = MemberChange(data=request.data)
        given.is_valid(raise_exception=True)
        services.set_role(
            conversation=row, by=self.actor, member=member, role=given.validated_data["role"]
        )
        member.refresh_from_db()
        return Response(_shape(member))

    @extend_schema(responses={204: None}, operation_id="member_remove")
    def delete(self, request: Request, conversation_id: str, member_id: str) -> Response:
        """Take somebody out, or leave."""
        row, member = self._both(conversation_id, member_id)
        services.remove_member(conversation=row, by=self.actor, member=member)
        return Response(status=204)

    def _both(self, conversation_id: str, member_id: str) -> tuple[Conversation, Membership]:
        row = _of(self.actor, conversation_id)
        member = row.memberships.select_related("user", "persona").filter(pk=member_id).first()
        if member is None:
            raise Http404
        return row, member


def _of(user: User, pk: str) -> Conversation:
    row = conversations_for(user).filter(pk=pk).first()
    if row is None:
        raise Http404
    return row
