"""Who may do what in chat's API, and the shapes of its answers."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from apps.chat.models import Conversation, Message
from apps.core.models import User
from apps.core.rest.resources import Shared

SEE_ALL = "chat.view_conversation"


class ChatView(Shared):
    """Anybody signed in: rows of others are not there for them."""

    permission_classes = (IsAuthenticated,)


def may_see_all(user: User) -> bool:
    """Staff who may look at every conversation."""
    return bool(user.is_active and user.is_staff and user.has_perm(SEE_ALL))


def conversations_for(user: User) -> QuerySet[Conversation]:
    """The conversations that exist for this user."""
    rows = Conversation.objects.select_related("persona", "held_by")
    return rows if may_see_all(user) else rows.of(user)


def conversation_or_404(user: User, pk: str | UUID) -> Conversation:
    row = conversations_for(user).filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def message_or_404(user: User, pk: str | UUID) -> Message:
    row = Message.objects.filter(pk=pk, conversation__in=conversations_for(user)).first()
    if row is None:
        raise Http404
    return row


def number(request: Request, name: str, default: int, *, most: int) -> int:
    """A whole number of the query string."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal() and int(given[:18]) <= most):
        raise serializers.ValidationError({name: f"Give a number from 0 to {most}."})
    return int(given)


class PersonShape(serializers.Serializer[Any]):
    """A member: a user or a persona."""

    id = serializers.UUIDField(help_text="Of the membership.")
    user_id = serializers.UUIDField(allow_null=True)
    persona_id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    is_ai = serializers.BooleanField()
    role = serializers.CharField()
    read_seq = serializers.IntegerField()
    joined_at = serializers.DateTimeField()


class AttachmentShape(serializers.Serializer[Any]):
    """A file of a message."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    mime = serializers.CharField()
    size = serializers.IntegerField()
    url = serializers.CharField()
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)


class MessageShape(serializers.Serializer[Any]):
    """A message, as the socket shows it (docs/chat-protocol.md)."""

    id = serializers.UUIDField()
    conversation_id = serializers.UUIDField()
    seq = serializers.IntegerField()
    kind = serializers.CharField()
    sender_id = serializers.UUIDField(allow_null=True)
    sender_kind = serializers.CharField()
    sender_name = serializers.CharField()
    content = serializers.CharField()
    timestamp = serializers.DateTimeField()
    is_ai = serializers.BooleanField()
    client_id = serializers.CharField(required=False)
    html = serializers.CharField(required=False)
    edited_at = serializers.DateTimeField(required=False)
    deleted = serializers.BooleanField(required=False)
    change = serializers.IntegerField(required=False)
    attachments = AttachmentShape(many=True, required=False)
    reactions = serializers.DictField(required=False)
    reply = serializers.DictField(required=False)


class MessagesShape(serializers.Serializer[Any]):
    """Messages in the order of their seq; `more` says that the page did not reach the end."""

    messages = MessageShape(many=True)
    more = serializers.BooleanField()
    last_seq = serializers.IntegerField()
    last_change = serializers.IntegerField()
