"""Messages over HTTP: history in both directions, sending, changing, files, search."""

from typing import Any

from django.conf import settings
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.chat import protocol, services, shapes
from apps.chat.api.common import (
    AttachmentShape,
    ChatView,
    MessageShape,
    MessagesShape,
    conversation_or_404,
    may_see_all,
    message_or_404,
    number,
)
from apps.chat.attachments import IMAGES
from apps.chat.models import Attachment, Membership, Message
from apps.core.rest.serializers import Id, Strict, Text

MOST = 200
INLINE = {mime for mime, _ in IMAGES.values()}


class Words(Text):
    """The words of a message, cleaned as the socket cleans them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=settings.CHAT_MAX_CONTENT, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        return protocol.clean_content(super().to_internal_value(data))


class Sending(Strict):
    """A new message; the same `client_id` again is the same message."""

    content = Words(allow_blank=True, default="")
    client_id = Text(max_length=protocol.LONGEST_CLIENT_ID, required=False)
    persona_id = Id(required=False)
    attachment_ids = serializers.ListField(
        child=Id(), max_length=protocol.MOST_ATTACHMENTS, required=False
    )


class Rewording(Strict):
    """Other words for a message."""

    content = Words()


class Hiding(Strict):
    """Out of sight, or back."""

    hidden = serializers.BooleanField()


class MessagesView(ChatView):
    """The log of one conversation."""

    @extend_schema(
        parameters=[
            OpenApiParameter("after", int, description="Messages after this seq, oldest first."),
            OpenApiParameter("before", int, description="The last messages before this seq."),
            OpenApiParameter("limit", int, description="At most 200; 50 unless told."),
        ],
        responses=MessagesShape,
        operation_id="conversation_messages",
    )
    def get(self, request: Request, conversation_id: str) -> Response:
        """Read on or read back; without `after` or `before`, the newest messages."""
        row = conversation_or_404(self.actor, conversation_id)
        limit = max(1, number(request, "limit", 50, most=MOST))
        if "after" in request.query_params:
            after = number(request, "after", 0, most=2**53)
            found = list(shapes.with_details(Message.objects.after(row.pk, after))[: limit + 1])
            page = found[:limit]
        else:
            before = number(request, "before", 2**53, most=2**53)
            found = list(shapes.with_details(Message.objects.before(row.pk, before))[: limit + 1])
            page = found[:limit][::-1]
        return Response(
            {
                "messages": [shapes.message(each) for each in page],
                "more": len(found) > limit,
                "last_seq": row.last_seq,
                "last_change": row.last_change,
            }
        )

    @extend_schema(request=Sending, responses={201: MessageShape}, operation_id="conversation_send")
    def post(self, request: Request, conversation_id: str) -> Response:
        """Say something; a persona that is asked answers on the socket."""
        row = conversation_or_404(self.actor, conversation_id)
        if not Membership.objects.filter(conversation=row, user=self.actor).exists():
            raise PermissionDenied("Take the conversation over before writing in it.")
        given = Sending(data=request.data)
        given.is_valid(raise_exception=True)
        message = services.send_message(conversation=row, by=self.actor, **given.validated_data)
        return Response(shapes.message(message), status=201)


class MessageView(ChatView):
    """One message."""

    @extend_schema(responses=MessageShape, operation_id="message_read")
    def get(self, request: Request, message_id: str) -> Response:
        """Read it."""
        return self._shown(message_id)

    @extend_schema(request=Rewording, responses=MessageShape, operation_id="message_edit")
    def patch(self, request: Request, message_id: str) -> Response:
        """Replace the words of a message of one's own."""
        row = message_or_404(self.actor, message_id)
        given = Rewording(data=request.data)
        given.is_valid(raise_exception=True)
        services.edit_message(message_id=row.pk, by=self.actor.pk, **given.validated_data)
        return self._shown(message_id)

    @extend_schema(responses={204: None}, operation_id="message_delete")
    def delete(self, request: Request, message_id: str) -> Response:
        """Take it back."""
        row = message_or_404(self.actor, message_id)
        services.delete_message(message_id=row.pk, by=self.actor.pk)
        return Response(status=204)

    def _shown(self, message_id: str) -> Response:
        pk = message_or_404(self.actor, message_id).pk
        row = shapes.with_details(Message.objects.filter(pk=pk)).get()
        return Response(shapes.message(row))


class HideView(ChatView):
    """Moderation of one message."""

    @extend_schema(request=Hiding, responses=MessageShape, operation_id="message_hide")
    def post(self, request: Request, message_id: str) -> Response:
        """Hide a message from everybody, or show it again; for staff."""
        row = message_or_404(self.actor, message_id)
        if not services.may_lead_all(self.actor):
            raise PermissionDenied
        given = Hiding(data=request.data)
        given.is_valid(raise_exception=True)
        services.hide_message(message=row, by=self.actor, **given.validated_data)
        return Response(
            shapes.message(shapes.with_details(Message.objects.filter(pk=row.pk)).get())
        )


class AttachmentsView(ChatView):
    """Uploads for a conversation."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        request={"multipart/form-data": {"type": "object", "properties": {
            "file": {"type": "string", "format": "binary"}}, "required": ["file"]}},
        responses={201: AttachmentShape},
        operation_id="conversation_attach",
    )  # fmt: skip
    def post(self, request: Request, conversation_id: str) -> Response:
        """Upload a picture, a PDF or plain text; a message names it by `attachment_ids`."""
        row = conversation_or_404(self.actor, conversation_id)
        if not Membership.objects.filter(conversation=row, user=self.actor).exists():
            raise PermissionDenied
        file = request.FILES.get("file")
        if file is None:
            raise serializers.ValidationError({"file": "Send a file."})
        made = services.attach(
            conversation=row, by=self.actor, name=file.name or "", size=file.size or 0, file=file
        )
        return Response(shapes.attachment(made), status=201)


class AttachmentContentView(ChatView):
    """The bytes of an attachment, to members only."""

    @extend_schema(responses=OpenApiTypes.BINARY, operation_id="attachment_content")
    def get(self, request: Request, attachment_id: str) -> Any:
        """Download it; pictures are shown, everything else is saved."""
        rows = Attachment.objects.select_related("message").filter(pk=attachment_id)
        row = rows.first()
        if row is None or (row.message is not None and not row.message.is_readable):
            raise NotFound("There is no such file.")
        conversation_or_404(self.actor, row.conversation_id)
        if row.message is None and row.uploaded_by_id != self.actor.pk:
            raise NotFound("There is no such file.")
        return FileResponse(
            row.file.open("rb"),
            as_attachment=row.mime not in INLINE,
            filename=row.name,
            content_type=row.mime,
            headers={
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cache-Control": "private, max-age=31536000, immutable",
            },
        )


class SearchView(ChatView):
    """Full-text search."""

    @extend_schema(
        parameters=[OpenApiParameter("q", str, required=True)],
        responses=MessageShape(many=True),
        operation_id="chat_search",
    )
    def get(self, request: Request) -> Response:
        """The newest messages with all of these words, in one's own conversations."""
        words = request.query_params.get("q", "")[:200]
        found = services.search(user=self.actor, words=words, everywhere=may_see_all(self.actor))
        return Response([shapes.message(row) for row in found])
