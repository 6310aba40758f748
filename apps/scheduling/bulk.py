"""Many posts at once: from a file, into a file, and out now.

Every row is checked as one post would be, and every error has its row. Rows are stored in parts,
so that an import of thousands never keeps the publisher from its database for long.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string

from apps.core import alerts, audit
from apps.core.errors import Refused
from apps.core.models import User
from apps.core.tables import MOST_ERRORS, RowError, rows
from apps.personas.models import Persona
from apps.scheduling import drafting, duplicates, services
from apps.scheduling.models import DAY, Delivery, Media, Post, PostMedia, SocialAccount
from apps.scheduling.services import Draft

MOST_ROWS = 10_000
MOST_BYTES = 20_000_000
MOST_EXPORTED = 20_000
LONGEST_TEXT = 100_000
MOST_HASHTAGS = 50
CHUNK = 250
# What a column may be called; the first name is ours, and the one that an export writes.
NAMES: dict[str, tuple[str, ...]] = {
    "persona": ("persona",),
    "accounts": ("accounts", "account", "platforms", "networks", "platform"),
    "scheduled_at": ("scheduled_at", "schedule_time", "date", "time", "when"),
    "text": ("text", "content", "message", "body"),
    "link": ("link", "url"),
    "hashtags": ("hashtags", "tags"),
    "media": ("media", "pictures", "images"),
    "campaign": ("campaign",),
    "too_late_after": ("too_late_after",),
    "text_by_ai": ("text_by_ai",),
    "media_by_ai": ("media_by_ai",),
    "as_draft": ("as_draft", "draft"),
}
YES, NO = frozenset({"yes", "true", "1", "on"}), frozenset({"no", "false", "0", "off"})
# A spreadsheet takes a cell that begins so for a formula; a quote in front makes it text again.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class RowRefused(Exception):
    """A row that makes no post: the column, and why."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(slots=True)
class Parsed:
    """What a file holds: drafts that would be taken, and what is wrong with the rest."""

    drafts: list[Draft] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    rows: int = 0
    refused: int = 0

    def wrong(self, row: int, column: str, message: str) -> None:
        """Note an error; beyond the first 200 they are only counted (`refused`)."""
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(RowError(row, column, message))


class _Studio:
    """The personas and accounts that rows name, read once."""

    def __init__(self, usual: Persona | None) -> None:
        self.usual = usual
        self.personas = {each.handle: each for each in Persona.objects.all()}
        self.accounts: dict[UUID, list[SocialAccount]] = {}
        for account in SocialAccount.objects.order_by("network", "handle"):
            account.persona = next(
                each for each in self.personas.values() if each.pk == account.persona_id
            )
            self.accounts.setdefault(account.persona_id, []).append(account)
        self.media: dict[UUID, Media | None] = {}

    def persona(self, handle: str) -> Persona:
        found = self.personas.get(handle.removeprefix("@").lower()) if handle else self.usual
        if found is None:
            words = f"There is no persona {handle[:60]!r}." if handle else "Name the persona."
            raise RowRefused("persona", words)
        return found

    def accounts_of(self, persona: Persona, names: Sequence[str]) -> list[SocialAccount]:
        own = self.accounts.get(persona.pk, [])
        if not names:
            raise RowRefused("accounts", "Name networks (wall) or accounts (bluesky:luna).")
        found: dict[UUID, SocialAccount] = {}
        for name in names:
            network, _, handle = name.partition(":")
            fitting = [
                each
                for each in own
                if each.network == network.strip().lower()
                and (each.handle == handle.strip() or not handle)
            ]
            if not fitting:
                raise RowRefused("accounts", f"{persona} has no account {name[:100]!r}.")
            found |= {each.pk: each for each in fitting}
        return list(found.values())

    def media_of(self, ids: Sequence[str]) -> list[Media]:
        found = []
        for each in ids:
            try:
                pk = UUID(each)
            except ValueError:
                raise RowRefused("media", f"{each[:60]!r} is no picture's id.") from None
            if pk not in self.media:
                self.media[pk] = Media.objects.filter(pk=pk).first()
            if (media := self.media[pk]) is None:
                raise RowRefused("media", f"There is no picture {pk}.")
            found.append(media)
        return found


# -- In -----------------------------------------------------------------------------------------


def parse(
    content: bytes, *, kind: str, persona: Persona | None = None, allow_duplicate: bool = False
) -> Parsed:
    """Read and check a file; rows that name no persona are `persona`'s. Stores nothing.

    Raises tables.UnreadableFile for a file that is none.
    """
    studio, parsed = _Studio(persona), Parsed()
    needed = frozenset((*NAMES["text"], *NAMES["media"]))
    found: list[tuple[int, Draft]] = []
    for number, row in rows(content, kind=kind, needed=needed, called="posts", most=MOST_ROWS):
        parsed.rows = number
        try:
            draft = _draft_of(row, studio)
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


def _draft_of(row: Any, studio: _Studio) -> Draft:
    if not isinstance(row, Mapping):
        raise RowRefused("", row if isinstance(row, str) else "This is no object.")
    given = {
        name: next((row[each] for each in others if row.get(each) not in (None, "")), "")
        for name, others in NAMES.items()
    }
    persona = studio.persona(_text(given, "persona", 60))
    return Draft(
        persona=persona,
        accounts=studio.accounts_of(persona, _listed(given, "accounts")),
        scheduled_at=_moment(_text(given, "scheduled_at", 60), persona),
        text=_text(given, "text", LONGEST_TEXT),
        link=_link(given),
        hashtags=_hashtags(given),
        media=studio.media_of(_listed(given, "media")),
        campaign=_text(given, "campaign", 80),
        too_late_after=_too_late(_text(given, "too_late_after", 60)),
        text_by_ai=_yes_or_no(given, "text_by_ai"),
        media_by_ai=_yes_or_no(given, "media_by_ai"),
        as_draft=_yes_or_no(given, "as_draft"),
    )


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given[name]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RowRefused(name, "This must be text.")
    text = str(value)
    if text.startswith("'") and text[1:2] in FORMULAS:
        text = text[1:]
    if len(text) > longest:
        raise RowRefused(name, f"This is longer than {longest:,} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowRefused(name, "This holds half a character (a lone surrogate).") from None
    if "\0" in text:
        raise RowRefused(name, "This holds a NUL character.")
    return text if name == "text" else text.strip()


def _listed(given: Mapping[str, Any], name: str) -> list[str]:
    value = given[name]
    if isinstance(value, list):
        if len(value) > 100 or not all(isinstance(each, str) for each in value):
            raise RowRefused(name, "This must be a list of at most 100 texts.")
        return list(value)
    text = _text(given, name, 10_000)
    return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]


def _hashtags(given: Mapping[str, Any]) -> list[str]:
    words = [word for part in _listed(given, "hashtags") for word in part.split()]
    tags = [word.removeprefix("#") for word in words]
    if len(tags) > MOST_HASHTAGS:
        raise RowRefused("hashtags", f"At most {MOST_HASHTAGS}.")
    for tag in tags:
        if not tag.replace("_", "a").isalnum() or len(tag) > 100:
            raise RowRefused("hashtags", f"{tag[:60]!r}: letters, digits and _ only.")
    return tags


def _link(given: Mapping[str, Any]) -> str:
    link = _text(given, "link", 1_000)
    if link and (not link.startswith(("https://", "http://")) or any(c.isspace() for c in link)):
        raise RowRefused("link", "This is no web address: write it with https://.")
    return link


def _moment(value: str, persona: Persona) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise RowRefused(
            "scheduled_at",
            "This is no time; write 2026-12-01T08:00:00+01:00, or leave the offset out for the "
            "persona's own time.",
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(persona.time_zone))
    if not 2000 < found.year < 2200:
        raise RowRefused("scheduled_at", "This year is out of range.")
    return found


def _too_late(value: str) -> timedelta | None:
    if not value:
        return DAY
    if value.lower() == "never":
        return None
    try:
        found = parse_duration(value)
    except OverflowError:
        found = None
    if found is None or not timedelta() < found <= 3_650 * DAY:
        raise RowRefused("too_late_after", "Write PT2H, 3600 (seconds) or never.")
    return found


def _yes_or_no(given: Mapping[str, Any], name: str) -> bool | None:
    value = given[name]
    if isinstance(value, bool):
        return value
    word = _text(given, name, 10).lower()
    if not word:
        return None
    if word not in YES | NO:
        raise RowRefused(name, "Write yes or no.")
    return word in YES


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
    found = (_exported(post) for post in listed.order_by("scheduled_at", "id").iterator(CHUNK))
    if kind == "json":
        return json.dumps({"posts": list(found)}, ensure_ascii=False, indent=1)
    file = io.StringIO()
    writer = csv.DictWriter(file, [*NAMES, "approval", "states", "urls"])
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in found)
    return file.getvalue()


def _exported(post: Post) -> dict[str, Any]:
    deliveries = list(post.deliveries.all())
    limit = post.too_late_after
    return {
        "persona": post.persona.handle,
        "accounts": [f"{each.account.network}:{each.account.handle}" for each in deliveries],
        "scheduled_at": post.scheduled_at.isoformat(),
        "text": post.text,
        "link": post.link,
        "hashtags": post.hashtags,
        "media": [str(each.media_id) for each in post.postmedia_set.all()],
        "campaign": post.campaign,
        "too_late_after": "never" if limit is None else duration_iso_string(limit),
        "text_by_ai": post.text_by_ai,
        "media_by_ai": post.media_by_ai,
        "as_draft": post.approval == Post.Approval.DRAFT,
        "approval": post.approval,
        "states": [each.state for each in deliveries],
        "urls": [each.remote_url for each in deliveries if each.remote_url],
    }


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


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
