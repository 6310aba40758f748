"""pgBackRest and Barman are asked how they are; what is wrong wakes somebody."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.backups import checks, pitr, running
from apps.core.models import Alert
from apps.core.running import health
from tests.backups.conftest import needs_postgres
from tests.databases import ON_POSTGRES

pytestmark = pytest.mark.django_db

Says = Callable[..., None]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """`says("barman", {...})` puts a program on PATH that answers with this."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(tool: str, answer: object, code: int = 0) -> None:
        (tmp_path / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
        script = tmp_path / tool
        script.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\nexit {code}\n")
        script.chmod(0o755)

    return put


def stanza(*, code: int = 0, message: str = "ok", days: float = 1) -> object:
    stop = int(time.time() - days * 86_400)
    backups = [{"timestamp": {"start": stop - 60, "stop": stop}}]
    return [{"name": "gator", "status": {"code": code, "message": message}, "backup": backups}]


ANSWERS = [
    ("pgbackrest", stanza(), 0, ""),
    ("pgbackrest", stanza(code=2, message="no valid backups"), 0, "no valid backups"),
    ("pgbackrest", stanza(days=9), 0, "9 days old"),
    ("pgbackrest", [], 0, "no stanza gator"),
    ("pgbackrest", "not json", 55, "ended with 55: not json"),
    ("barman", {"gator": {"PostgreSQL": {"status": "OK", "hint": ""}}}, 0, ""),
    (
        "barman",
        {"gator": {"ssh": {"status": "FAILED", "hint": "no key"}, "x": {"status": "OK"}}},
        1,
        "Barman: ssh (no key).",
    ),
    ("barman", {}, 1, "no server gator"),
]


@needs_postgres
@pytest.mark.parametrize(("tool", "answer", "code", "expected"), ANSWERS)
def test_their_word_is_taken(
    settings: Settings, says: Says, tool: str, answer: object, code: int, expected: str
) -> None:
    settings.BACKUP_PITR = f"{tool}:gator"
    says(tool, answer, code)
    said = pitr.ask()
    assert expected in said and bool(said) == bool(expected)


def test_a_tool_that_is_not_there_wakes_somebody(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    settings.BACKUP_PITR = "barman:gator"
    running.alarm_about_pitr()
    assert "barman does not run" in Alert.objects.get(key="backups.pitr").body
    health._advisories.forget()
    advice = client.get("/readyz").json()["advisories"]["point_in_time"]
    health._advisories.forget()
    assert advice["ok"] is False and "barman" not in advice["why"]


@pytest.mark.skipif(ON_POSTGRES, reason="SQLite has no such log")
def test_there_is_nothing_to_recover_to_on_sqlite(settings: Settings, says: Says) -> None:
    settings.BACKUP_PITR = "pgbackrest:gator"
    says("pgbackrest", stanza())
    assert "SQLite" in pitr.ask()


def test_not_set_nobody_is_asked() -> None:
    assert pitr.ask() == "" and pitr.advice() == ""


@pytest.mark.parametrize("wrong", ["pgbackrest", "rm:-rf", "barman:", "barman:--all", "sh:gator"])
def test_what_else_it_says_is_an_error_at_the_start(settings: Settings, wrong: str) -> None:
    settings.BACKUP_PITR = wrong
    assert [each.id for each in checks.pitr_is_known()] == ["backups.E004"]
    settings.BACKUP_PITR = "barman:main-1"
    assert checks.pitr_is_known() == []
