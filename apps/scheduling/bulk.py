"""Many posts at once: from a file, into a file, and out now.

Every row is checked as one post would be, and every error has its row. Rows are stored in parts,
so that an import of thousands never keeps the publisher from its database for long.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.core import alerts, audit
from apps.core.errors import Refused
from apps.core.models import User
from apps.core.tables import MOST_ERRORS, RowError, rows
from apps.personas.models import Persona
from apps.scheduling import drafting, duplicates, services
from apps.scheduling.models import Delivery, Post, PostMedia
from apps.scheduling.services import Draft
from apps.scheduling.sheets import NAMES, RowRefused, Studio, cell_of, draft_of, row_of

MOST_ROWS = 10_000
MOST_EXPORTED = 20_000
CHUNK = 250


@dataclass(slots=True)
class Parsed:
    """What a file holds: drafts that would be taken, and what is wrong with the rest."""

    drafts: list[Draft] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    rows: int = 0
    refused: int = 0
    # Errors that are counted and no longer listed.
    unlisted: int = 0

    def wrong(self, row: int, column: str, message: str) -> None:
        """Note an error; beyond the first 200 they are only counted."""
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(RowError(row, column, message))
        else:
            self.unlisted += 1


# -- In -----------------------------------------------------------------------------------------


def parse(
    content: bytes, *, kind: str, persona: Persona | None = None, allow_duplicate: bool = False
) -> Parsed:
    """Read and check a file; rows that name no persona are `persona`'s. Stores nothing.

    Raises tables.UnreadableFile for a file that is none.
    """
    studio, parsed = Studio(persona), Parsed()
    needed = frozenset((*NAMES["text"], *NAMES["media"]))
    found: list[tuple[int, Draft]] = []
    for number, row in rows(content, kind=kind, needed=needed, called="posts", most=MOST_ROWS):
        parsed.rows = number
        try:
            draft = draft_of(row, studio)
        except RowRefused as refused:
            parsed.refused += 1
            parsed.wrong(number, refused.column, str(refused))
            continue
        if problems := services.problems_of(draft):
            parsed.refused += 1
            for column, _, message in problems:
                parsed.wrong(number, column, message)
            continue
        found.append((number, draft))
    if allow_duplicate:
        parsed.drafts = [draft for _, draft in found]
    else:
        _leave_out_duplicates(found, parsed)
    parsed.errors.sort(key=lambda error: error.row)
    return parsed


def _leave_out_duplicates(found: Iterable[tuple[int, Draft]], parsed: Parsed) -> None:
    seen: dict[tuple[UUID, str], list[tuple[int, datetime]]] = {}
    for chunk in _chunks(found):
        marks = {number: _marks(draft) for number, draft in chunk}
        there = duplicates.known(
            (account, mark, draft.scheduled_at)
            for number, draft in chunk
            for account, mark in marks[number].items()
        )
        for number, draft in chunk:
            at = draft.scheduled_at
            repeated = ""
            for account in draft.accounts:
                key = account.pk, marks[number][account.pk]
                before = [
                    row for row, when in seen.get(key, []) if abs(when - at) <= duplicates.APART
                ]
                if before:
                    repeated = f"Row {before[0]} says the same on {account}."
                elif key in there and abs(there[key] - at) <= duplicates.APART:
                    repeated = duplicates.words(account, there[key])
            if repeated:
                parsed.refused += 1
                parsed.wrong(number, "text", repeated)
                continue
            for account in draft.accounts:
                seen.setdefault((account.pk, marks[number][account.pk]), []).append((number, at))
            parsed.drafts.append(draft)


def _marks(draft: Draft) -> dict[UUID, str]:
    mark = duplicates.fingerprint(draft, {}, draft.media)
    return {account.pk: mark for account in draft.accounts}


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def store(drafts: Sequence[Draft], *, by: User | None) -> int:
    """Schedule drafts that `parse` has checked; returns how many posts were made."""
    now = timezone.now()
    made = waiting = 0
    for chunk in _chunks(drafts):
        with transaction.atomic():
            posts = [drafting.new_post(draft, by=by) for draft in chunk]
            Post.objects.bulk_create(posts)
            PostMedia.objects.bulk_create(
                PostMedia(post=post, media=media, position=position)
                for post, draft in zip(posts, chunk, strict=True)
                for position, media in enumerate(draft.media)
            )
            deliveries = [
                delivery
                for post, draft in zip(posts, chunk, strict=True)
                for delivery in drafting.deliveries_of(post, draft)
            ]
            Delivery.objects.bulk_create(deliveries)
            soon = [each.pk for each in deliveries if each.due_at <= now + services.WAKE_WITHIN]
            services.wake_after_commit(soon, at=now)
        made += len(posts)
        waiting += sum(each.approval == Post.Approval.IN_REVIEW for each in posts)
    if made:
        audit.record(actor=by, action="import posts", posts=made)
    if waiting:
        alerts.alert(
            key="approval:import",
            title=f"For approval: {waiting:,} imported posts",
            path="/admin/scheduling/post/?approval__exact=in_review",
            level="info",
        )
    return made


# -- Out ----------------------------------------------------------------------------------------


def export(posts: QuerySet[Post], *, kind: str) -> str:
    """The posts as a CSV or JSON file that `parse` takes; raises Refused for too many."""
    if posts.count() > MOST_EXPORTED:
        words = f"More than {MOST_EXPORTED:,} posts: choose a shorter time or one persona."
        raise Refused(("posts", "too_many", words))
    listed = posts.select_related("persona").prefetch_related(
        "deliveries__account", "postmedia_set"
    )
    found = (row_of(post) for post in listed.order_by("scheduled_at", "id").iterator(CHUNK))
    if kind == "json":
        return json.dumps({"posts": list(found)}, ensure_ascii=False, indent=1)
    file = io.StringIO()
    writer = csv.DictWriter(file, [*NAMES, "approval", "states", "urls"])
    writer.writeheader()
    writer.writerows({name: cell_of(value) for name, value in row.items()} for row in found)
    return file.getvalue()


# -- Now ----------------------------------------------------------------------------------------


def publish_batch(
    posts: Sequence[Post], *, networks: Sequence[str] = (), by: User | None
) -> tuple[list[Delivery], list[tuple[Post, str]]]:
    """Send what waits of these posts now, on these networks or all of them.

    Gives the deliveries that go out, and the posts of which none does, with the reason.
    """
    chosen: list[Delivery] = []
    skipped: list[tuple[Post, str]] = []
    for post in posts:
        rows = post.deliveries.filter(state=Delivery.State.SCHEDULED)
        if networks:
            rows = rows.filter(account__network__in=networks)
        ids = list(rows.values_list("pk", flat=True))
        try:
            services.send_soon(rows, about=post, by=by, action="publish batch")
        except Refused as refused:
            skipped.append((post, str(refused)))
        else:
            chosen += Delivery.objects.filter(pk__in=ids).select_related("account")
    return chosen, skipped
