"""Rows of a CSV, JSON or JSON lines file, for every import: one row at a time, errors by row."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

KINDS = ("csv", "json", "jsonl")
MOST_BYTES = 20_000_000
MOST_ERRORS = 200
NOT_JSON = "This line is not JSON."
TOO_MANY_COLUMNS = "This row has more columns than the head."


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one row; the first row after the head is 1."""

    row: int
    column: str
    message: str


class UnreadableFile(ValueError):
    """The file is neither the CSV nor the JSON that was announced; the message says why."""

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message)
        self.code = code


def rows(
    content: bytes, *, kind: str, needed: frozenset[str], called: str, most: int
) -> Iterator[tuple[int, Any]]:
    """Each row with its number from 1: a mapping, or words that say what is wrong with it.

    A CSV file has one of the columns `needed`; a JSON file is a list, or an object with the list
    under `called`. Raises UnreadableFile, and so does a row after the `most`th.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"The file is not UTF-8: byte {error.start:,}.") from None
    if "\0" in text:
        raise UnreadableFile("The file holds NUL characters: it is no text file.")
    read = {"csv": _csv, "json": _json, "jsonl": _jsonl}[kind]
    for number, row in enumerate(read(text, needed, called), start=1):
        if number > most:
            raise UnreadableFile(f"More than {most:,} rows: split the file.")
        yield number, row


def kind_of(name: str) -> str:
    """The kind that a file's name announces; raises UnreadableFile for any other."""
    kind = name.rpartition(".")[2].lower()
    if kind not in KINDS:
        raise UnreadableFile("Name the file .csv, .json or .jsonl.", "unknown_kind")
    return kind


def uploaded(file: "UploadedFile[bytes]") -> tuple[bytes, str]:
    """An uploaded file's content and kind; raises UnreadableFile for too much or another kind."""
    if (file.size or 0) > MOST_BYTES:
        words = f"The file is larger than {MOST_BYTES // 1_000_000} MB: split it."
        raise UnreadableFile(words, "too_large")
    kind = kind_of(file.name or "")
    return file.read(), kind


def moment(value: str) -> datetime | None:
    """A moment, or a date at noon; naive where it names no offset, None where it is neither."""
    try:
        found = parse_datetime(value) or parse_datetime(f"{value}T12:00:00")
    except ValueError:
        return None
    return found if found is not None and 1970 < found.year < 2200 else None


def _csv(text: str, needed: frozenset[str], called: str) -> Iterator[Any]:
    csv.field_size_limit(1_000_000)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4_000].partition("\n")[0], ",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text), dialect=dialect)
    try:
        names = {name.strip().lower() for name in reader.fieldnames or [] if name}
        if not names & needed:
            one = sorted(needed, key=len)[0]
            raise UnreadableFile(f"The first line must name the columns; one is called {one}.")
        for row in reader:
            if None in row:
                yield TOO_MANY_COLUMNS
            else:
                yield {(name or "").strip().lower(): value for name, value in row.items()}
    except csv.Error as error:
        raise UnreadableFile(f"Line {reader.line_num}: {error}.") from None


def _json(text: str, needed: frozenset[str], called: str) -> Iterator[Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"The file is not JSON: {str(error)[:200]}.") from None
    if isinstance(parsed, dict):
        parsed = parsed.get(called)
    if not isinstance(parsed, list):
        raise UnreadableFile(f"The file must hold a list of {called}, or an object with one.")
    yield from parsed


def _jsonl(text: str, needed: frozenset[str], called: str) -> Iterator[Any]:
    for line in text.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield NOT_JSON
