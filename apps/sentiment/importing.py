"""Comments from a CSV or JSON file: every row checked first, every error with its row."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.sentiment.models import LONGEST_TEXT
from apps.sentiment.recording import Written

MOST_ROWS = 100_000
MOST_ERRORS = 200
# What a column may be called; the first name is ours.
NAMES: dict[str, tuple[str, ...]] = {
    "text": ("text", "comment", "message", "body", "content"),
    "id": ("id", "remote_id", "comment_id"),
    "author": ("author", "user", "username", "name"),
    "network": ("network", "platform"),
    "written_at": ("written_at", "timestamp", "created_at", "date", "time"),
    "post": ("post", "post_id"),
}


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one row; the first row after the head is 1."""

    row: int
    column: str
    message: str


@dataclass(slots=True)
class Parsed:
    """What a file holds: comments to record, and what was wrong with the rest."""

    comments: list[Written] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0


class UnreadableFile(ValueError):
    """The file is neither the CSV nor the JSON that was announced; the message says why."""


def parse(content: bytes, *, kind: str, network: str = "import") -> Parsed:
    """Read a file of `kind` csv, json or jsonl; rows that name no network get `network`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"The file is not UTF-8: byte {error.start:,}.") from None
    if "\0" in text:
        raise UnreadableFile("The file holds NUL characters: it is no text file.")
    parsed = Parsed()
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(_ROWS[kind](text), start=1):
        if number > MOST_ROWS:
            raise UnreadableFile(f"More than {MOST_ROWS:,} rows: split the file.")
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


def remote_id_of(text: str, author: str, moment: str) -> str:
    """An id for a comment that has none: the same comment gets the same one again."""
    content = "\0".join((author, moment, text)).encode("utf-8", "replace")
    return f"sha256:{hashlib.sha256(content).hexdigest()[:40]}"


def _csv(text: str) -> Iterator[Any]:
    csv.field_size_limit(1_000_000)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4_000].partition("\n")[0], ",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text), dialect=dialect)
    try:
        names = {name.strip().lower() for name in reader.fieldnames or [] if name}
        if not names & set(NAMES["text"]):
            raise UnreadableFile("The first line must name the columns; one is called text.")
        for row in reader:
            if None in row:
                yield "This row has more columns than the head."
            else:
                yield {(name or "").strip().lower(): value for name, value in row.items()}
    except csv.Error as error:
        raise UnreadableFile(f"Line {reader.line_num}: {error}.") from None


def _json(text: str) -> Iterator[Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"The file is not JSON: {str(error)[:200]}.") from None
    if isinstance(parsed, dict):
        parsed = parsed.get("comments")
    if not isinstance(parsed, list):
        raise UnreadableFile("The file must hold a list of comments, or an object with one.")
    yield from parsed


def _jsonl(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield "This line is not JSON."


_ROWS = {"csv": _csv, "json": _json, "jsonl": _jsonl}


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
    moment: datetime | None = None
    if found["written_at"]:
        moment = _moment(found["written_at"])
        if moment is None:
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
        written_at=moment,
        post=post,
    )


def _moment(value: str) -> datetime | None:
    try:
        moment = parse_datetime(value) or parse_datetime(f"{value}T12:00:00")
    except ValueError:
        return None
    if moment is None or not 1970 < moment.year < 2200:
        return None
    # A file without offsets means the studio's own zone.
    return moment if moment.tzinfo else timezone.make_aware(moment)
