"""Files of comments: what is understood, and what is told of the rest."""

import json

import pytest

from apps.core.tables import UnreadableFile
from apps.sentiment.importing import parse


def test_csv_with_its_usual_names() -> None:
    content = "\ufeffComment;User;Date\nI love it;ann;2026-01-02T03:04:05+01:00\n".encode()
    found = parse(content, kind="csv").comments[0]
    assert (found.text, found.author) == ("I love it", "ann")
    assert found.written_at is not None
    assert found.written_at.isoformat() == "2026-01-02T03:04:05+01:00"


def test_json_and_lines() -> None:
    rows = [{"text": "I love it", "id": 7, "platform": "Bluesky"}, {"text": 5.5}, "x", {}]
    for kind, content in (
        ("json", json.dumps({"comments": rows})),
        ("jsonl", "\n".join(json.dumps(row) for row in rows)),
    ):
        found = parse(content.encode(), kind=kind)
        assert [each.remote_id for each in found.comments][0] == "7"
        assert found.comments[0].network == "bluesky"
        assert [each.row for each in found.errors] == [3, 4]


def test_a_row_without_an_id_gets_the_same_one_again() -> None:
    content = b"text,author\nI love it,ann\nI love it,ann\nI love it,bob\n"
    first, second = parse(content, kind="csv"), parse(content, kind="csv")
    assert len(first.comments) == 2
    assert first.repeated == 1
    assert [each.remote_id for each in first.comments] == [
        each.remote_id for each in second.comments
    ]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xfe", "csv"),
        (b"a\0b", "csv"),
        (b"author\nann\n", "csv"),
        (b"", "csv"),
        (b"{", "json"),
        (b"5", "json"),
        (b"[" * 100_000, "json"),
    ],
)
def test_files_that_are_none(content: bytes, kind: str) -> None:
    with pytest.raises(UnreadableFile):
        parse(content, kind=kind)


def test_wrong_rows_are_named() -> None:
    content = (
        b"text,id,post\n" + b"a" * 10_001 + b",1,\nfine," + b"9" * 501 + b",\nfine,2,x\na,b,c,d\n"
    )
    errors = parse(content, kind="csv").errors
    assert [(each.row, each.column) for each in errors] == [
        (1, "text"),
        (2, "id"),
        (3, "post"),
        (4, ""),
    ]
