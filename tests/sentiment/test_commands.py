"""The shell: texts in and analyses out, an engine measured, comments from a file."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.personas.models import Persona
from apps.sentiment.models import Comment, Competitor


def test_analyze_answers_line_by_line_in_order() -> None:
    lines = [
        *(json.dumps({"text": f"I {'love' if n % 2 else 'hate'} number {n}"}) for n in range(300)),
        "no json",
        '{"words": 1}',
        '{"text": "\\ud800 broken"}',
        json.dumps({"text": ""}),
        json.dumps({"text": "a" * 1_000_000}),
    ]
    given = "\n".join(lines).encode() + b'\n{"text": "caf\xff is lovely"}'
    done = subprocess.run(
        [sys.executable, "manage.py", "analyze"],
        input=given,
        capture_output=True,
        check=True,
        env={**os.environ, "SENTIMENT_ENGINE": "rules", "GATOR_ENV_FILE": os.devnull},
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(lines) + 1
    assert [each["score"] > 0 for each in found[:300]] == [n % 2 == 1 for n in range(300)]
    assert [("error" in each) for each in found[300:]] == [True, True, False, False, False, False]
    assert found[-1]["label"].endswith("positive")
    assert "306 read, 2 of them not understood" in done.stderr.decode()


def test_an_engine_is_measured_on_labelled_files(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    rows = [
        {"text": "I love it", "label": "positive"},
        {"text": "I hate it", "label": "negative"},
        {"text": "It is a table", "label": "positive"},
    ]
    (tmp_path / "mine" / "val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = StringIO()
    call_command("evaluate_sentiment", tmp_path, "--engine", "rules", "--json", stdout=out)
    found = {row["measure"]: row for row in map(json.loads, out.getvalue().splitlines())}
    assert found["macro-recall"]["value"] == pytest.approx(0.75)
    assert found["macro-recall"]["low"] <= 0.75 <= found["macro-recall"]["high"]
    (tmp_path / "mine" / "test.jsonl").write_text(json.dumps(rows[0]))
    (tmp_path / "mine" / "train.jsonl").write_text(json.dumps(rows[1]))
    out = StringIO()
    call_command("evaluate_sentiment", tmp_path, "--engine", "rules", "--json", stdout=out)
    rows_of = {(each["data"], each["n"]) for each in map(json.loads, out.getvalue().splitlines())}
    assert rows_of == {("mine", 3), ("mine/test", 1)}
    with pytest.raises(CommandError, match="holds no"):
        call_command("evaluate_sentiment", tmp_path / "mine", "--engine", "rules")


def test_emotions_and_complaints_have_figures_of_their_own(tmp_path: Path) -> None:
    for name, rows in {
        "one": [
            {"text": "I am so happy today", "label": "joy"},
            {"text": "I am furious, what an outrage", "label": "anger"},
        ],
        "intents": [
            {"text": "Where is my parcel?", "label": "question"},
            {"text": "My parcel came broken, awful service", "label": "complaint"},
        ],
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = StringIO()
    call_command("evaluate_sentiment", tmp_path, "--engine", "rules", "--json", stdout=out)
    found = {row["measure"]: row["value"] for row in map(json.loads, out.getvalue().splitlines())}
    assert found["one emotion, macro-F1"] == 1
    assert found["complaint or not, macro-F1"] == 1


@pytest.mark.django_db
def test_a_file_is_imported_for_a_persona_or_a_competitor(tmp_path: Path, luna: Persona) -> None:
    rival = Competitor.objects.create(name="Rival", network="instagram", handle="rival")
    path = tmp_path / "comments.csv"
    path.write_text("text,id\nI love it,1\n,2\n")
    out, errors = StringIO(), StringIO()
    call_command(
        "import_comments", path, "--persona", "luna", "--dry-run", stdout=out, stderr=errors
    )
    assert "dry run" in out.getvalue()
    assert "row 2, text" in errors.getvalue()
    assert not Comment.objects.exists()
    call_command("import_comments", path, "--competitor", "Rival", stdout=out, stderr=errors)
    assert Comment.objects.get().competitor == rival
    with pytest.raises(CommandError, match="no persona"):
        call_command("import_comments", path, "--persona", "nobody", stdout=out)
