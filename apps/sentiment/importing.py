"""Comments from a CSV or JSON file: every row checked first, every error with its row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.core.tables import MOST_ERRORS, RowError, moment, rows
from apps.sentiment.models import LONGEST_TEXT
from apps.sentiment.recording import Written

MOST_ROWS = 100_000
# What a column may be called; the first name is ours.
NAMES: dict[str, tuple[str, ...]] = {
    "text": ("text", "comment", "message", "body", "content"),
    "id": ("id", "remote_id", "comment_id"),
    "author": ("author", "user", "username", "name"),
    "network": ("network", "platform"),
    "written_at": ("written_at", "timestamp", "created_at", "date", "time"),
    "post": ("post", "post_id"),
}


@dataclass(slots=True)
class Parsed:
    """What a file holds: comments to record, and what was wrong with the rest."""

    comments: list[Written] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0

    @property
    def refused(self) -> int:
        """Rows with something wrong; the first 200 of them are listed."""
        return self.rows - len(self.comments) - self.repeated

    @property
    def unlisted(self) -> int:
        """Refused rows whose errors are counted only."""
        return self.refused - len(self.errors)


def parse(content: bytes, *, kind: str, network: str = "import") -> Parsed:
    """Read a file of `kind` csv, json or jsonl; rows that name no network get `network`."""
    parsed = Parsed()
    seen: set[tuple[str, str]] = set()
    needed = frozenset(NAMES["text"])
    for number, row in rows(content, kind=kind, needed=needed, called="comments", most=MOST_ROWS):
        parsed.rows = number
        written = _written(row, number, network, parsed.errors)
        if written is None:
            continue
        key = written.network, written.remote_id
        if key in seen:
            parsed.repeated += 1
            continue
        seen.add(key)
        parsed.comments.append(written)
    return parsed


def remote_id_of(text: str, author: str, written_at: str) -> str:
    """An id for a comment that has none: the same comment gets the same one again."""
    content = "\0".join((author, written_at, text)).encode("utf-8", "replace")
    return f"sha256:{hashlib.sha256(content).hexdigest()[:40]}"


def _written(row: Any, number: int, network: str, errors: list[RowError]) -> Written | None:
    def wrong(column: str, message: str) -> None:
        if len(errors) < MOST_ERRORS:
            errors.append(RowError(number, column, message))

    if not isinstance(row, Mapping):
        wrong("", row if isinstance(row, str) and row.startswith("This") else "This is no object.")
        return None
    found: dict[str, str] = {}
    for name, others in NAMES.items():
        value = next((row[each] for each in others if row.get(each) not in (None, "")), "")
        if not isinstance(value, str | int | float):
            wrong(name, "This must be text.")
            return None
        found[name] = str(value).strip()
    text = found["text"]
    if not text:
        wrong("text", "This is empty.")
        return None
    if len(text) > LONGEST_TEXT:
        wrong("text", f"This is longer than {LONGEST_TEXT:,} characters.")
        return None
    for name, longest in (("id", 500), ("author", 200), ("network", 30)):
        if len(found[name]) > longest:
            wrong(name, f"This is longer than {longest} characters.")
            return None
    at: datetime | None = None
    if found["written_at"]:
        at = _moment(found["written_at"])
        if at is None:
            wrong("written_at", "This is no time; write it as in 2026-05-01T09:00:00+02:00.")
            return None
    post: UUID | None = None
    if found["post"]:
        try:
            post = UUID(found["post"])
        except ValueError:
            wrong("post", "This is no post's id.")
            return None
    return Written(
        network=found["network"].lower() or network,
        remote_id=found["id"] or remote_id_of(text, found["author"], found["written_at"]),
        text=text,
        author=found["author"],
        written_at=at,
        post=post,
    )


def _moment(value: str) -> datetime | None:
    found = moment(value)
    # A file without offsets means the studio's own zone.
    return timezone.make_aware(found) if found and not found.tzinfo else found
