"""Full-text search: PostgreSQL's own, and FTS5 on SQLite.

FTS5 is filled behind the sending: a trigger on every insert would cost each message more than the
rest of its storing. What a conversation has new is indexed when somebody searches it.
"""

import re
from collections.abc import Iterable
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from apps.chat.models import Conversation, Message, SearchRow

MOST = 50
INDEX_TOGETHER = 1_000


def find(conversation_ids: Iterable[UUID], words: str, *, most: int = MOST) -> QuerySet[Message]:
    """Messages of these conversations with all of these words, the newest first."""
    ids = list(conversation_ids)
    readable = Message.objects.filter(
        conversation__in=ids, deleted_at=None, hidden_at=None
    ).order_by("-created_at", "-id")
    terms = re.findall(r"\w+", words)[:20]
    if not terms or not ids:
        return readable.none()
    if connection.vendor == "postgresql":
        query = SearchQuery(" ".join(terms), config="simple", search_type="plain")
        found = readable.annotate(words=SearchVector("content", config="simple"))
        return found.filter(words=query)[:most]
    catch_up(ids)
    # Quoted: the words of a person are not FTS5's query language.
    match = " ".join(f'"{term}"' for term in terms)
    rows = SearchRow.objects.extra(
        where=["id IN (SELECT rowid FROM chat_fts WHERE chat_fts MATCH %s)"], params=[match]
    )
    return readable.filter(pk__in=rows.values("message_id"))[:most]


def catch_up(conversation_ids: Iterable[UUID]) -> None:
    """Index what these conversations have said and changed since the last time."""
    behind = Conversation.objects.filter(pk__in=list(conversation_ids)).filter(
        Q(last_seq__gt=F("indexed_seq")) | Q(last_change__gt=F("indexed_change"))
    )
    for pk in behind.values_list("pk", flat=True):
        _index(pk)


@transaction.atomic
def _index(conversation_id: UUID) -> None:
    row = Conversation.objects.select_for_update().get(pk=conversation_id)
    fresh = Message.objects.after(row.pk, row.indexed_seq)[:INDEX_TOGETHER]
    changed = Message.objects.changed_after(row.pk, row.indexed_change).filter(
        seq__lte=row.indexed_seq
    )
    last = row.indexed_seq
    for message in fresh:
        _write(message)
        last = message.seq
    for message in changed:
        _write(message)
    Conversation.objects.filter(pk=row.pk).update(indexed_seq=last, indexed_change=row.last_change)


def _write(message: Message) -> None:
    place, made = SearchRow.objects.get_or_create(message=message)
    with connection.cursor() as cursor:
        if not made:
            cursor.execute("DELETE FROM chat_fts WHERE rowid = %s", [place.pk])
        if message.is_readable:
            cursor.execute(
                "INSERT INTO chat_fts (rowid, content) VALUES (%s, %s)",
                [place.pk, message.content],
            )
