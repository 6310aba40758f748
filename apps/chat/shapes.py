"""Rows as the protocol shows them, for the socket and the REST API alike."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import nh3
from django.db.models import Prefetch, QuerySet
from markdown_it import MarkdownIt

from apps.chat import protocol
from apps.chat.ledger import Draft, Stored
from apps.chat.models import Attachment, Conversation, Message, Reaction

# Only what could be Markdown is rendered; most chat lines are plain.
_MARKS = re.compile(r"[*_`#>\[\]|~]|^\s*(?:[-+]|\d+[.)])\s|(?i:https?)://|\n", re.MULTILINE)
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": True}).enable(
    ["table", "strikethrough", "linkify"]
)
assert _markdown.linkify is not None
# An address that stands there as it is becomes a link; what only might be one ("so.nice") does not.
_markdown.linkify.set({"fuzzy_link": False, "fuzzy_email": False}).add("//", None).add("ftp:", None)
# Pictures of other hosts would tell them who reads; links only to the web and to mail.
_markdown.disable("image")
_TAGS = {
    *("p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}


def rendered(content: str) -> str | None:
    """Markdown as safe HTML; None when the text is plain."""
    if not _MARKS.search(content):
        return None
    # The parser escapes HTML; the second sieve is for the day that it does not.
    return nh3.clean(
        _markdown.render(content),
        tags=_TAGS,
        attributes={"a": {"href"}, "code": {"class"}, "ol": {"start"}},
        attribute_filter=_only_language_classes,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow ugc",
    )


def _only_language_classes(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "class" and not re.fullmatch(r"language-[\w+-]{1,20}", value):
        return None
    return value


def new_message(draft: Draft, stored: Stored) -> bytes:
    """The event of a message that was just stored, encoded once for everybody."""
    at = draft.created_at
    sender = draft.user_id or draft.persona_id
    message: dict[str, Any] = {
        "id": stored.id,
        "conversation_id": draft.conversation_id,
        "seq": stored.seq,
        "kind": "notice" if draft.is_notice else "text",
        "sender_id": sender,
        "sender_kind": "user" if draft.user_id else "persona" if draft.persona_id else "nobody",
        "sender_name": draft.sender_name,
        "content": draft.content,
        "timestamp": at,
        "is_ai": draft.is_ai,
    }
    if draft.client_id is not None:
        message["client_id"] = draft.client_id
    if (html := rendered(draft.content)) is not None:
        message["html"] = html
    return protocol.encode(
        {
            "type": "new_message",
            "conversation_id": draft.conversation_id,
            "message": message,
            "timestamp": at,
        }
    )


def with_details(messages: QuerySet[Message]) -> QuerySet[Message]:
    """The same messages with all that their shape needs, in a fixed number of queries."""
    return messages.select_related("user", "persona", "reply").prefetch_related(
        Prefetch("attachments", Attachment.objects.all()),
        Prefetch("reactions", Reaction.objects.all()),
    )


def message(row: Message) -> dict[str, Any]:
    """A stored message; one deleted or hidden keeps its place and loses its words."""
    shape: dict[str, Any] = {
        "id": row.pk,
        "conversation_id": row.conversation_id,
        "seq": row.seq,
        "kind": row.kind,
        "sender_id": row.user_id or row.persona_id,
        "sender_kind": "user" if row.user_id else "persona" if row.persona_id else "nobody",
        "sender_name": sender_name(row),
        "content": row.content if row.is_readable else "",
        "timestamp": protocol.stamp(row.created_at),
        "is_ai": row.is_ai,
    }
    if row.client_id is not None:
        shape["client_id"] = row.client_id
    if row.change:
        shape["change"] = row.change
    if not row.is_readable:
        shape["deleted"] = True
        return shape
    if (html := rendered(row.content)) is not None:
        shape["html"] = html
    if row.edited_at:
        shape["edited_at"] = protocol.stamp(row.edited_at)
    if files := [attachment(each) for each in row.attachments.all()]:
        shape["attachments"] = files
    if all_of_them := reactions(row.reactions.all()):
        shape["reactions"] = all_of_them
    if (reply := getattr(row, "reply", None)) is not None:
        shape["reply"] = {"id": reply.pk, "version": reply.version, "versions": reply.version}
    return shape


def sender_name(row: Message) -> str:
    if row.user is not None:
        return row.user.shown_name
    if row.persona is not None:
        return row.persona.name
    return "" if row.kind == Message.Kind.NOTICE else "Somebody who left"


def attachment(row: Attachment) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "mime": row.mime,
        "size": row.size,
        "url": f"/api/v1/chat/attachments/{row.pk}/content/",
        "width": row.width,
        "height": row.height,
    }


def reactions(rows: Iterable[Reaction]) -> dict[str, list[UUID]]:
    by_emoji: dict[str, list[UUID]] = {}
    for row in rows:
        by_emoji.setdefault(row.emoji, []).append(row.user_id)
    return by_emoji


def holder_name(conversation: Conversation) -> str:
    """By what name the person who took over is shown: never as the persona."""
    person = conversation.held_by
    return person.shown_name if person is not None else ""


def holder_changed(roster: Any) -> dict[str, Any]:
    """Who answers for the persona from now on."""
    return {
        "type": "holder_changed",
        "conversation_id": roster.id,
        "holder": roster.holder,
        "holder_name": roster.holder_name,
    }


def message_event(row: Message) -> dict[str, Any]:
    """`new_message` for a row of the log."""
    return {
        "type": "new_message",
        "conversation_id": row.conversation_id,
        "message": message(row),
        "timestamp": protocol.stamp(row.created_at),
    }


def change_event(row: Message) -> dict[str, Any]:
    """What tells of a change: the words gone, or the message as it is now."""
    if not row.is_readable:
        return {
            "type": "message_deleted",
            "conversation_id": row.conversation_id,
            "message_id": row.pk,
            "seq": row.seq,
            "change": row.change,
        }
    return {
        "type": "message_edited",
        "conversation_id": row.conversation_id,
        "message": message(row),
    }
