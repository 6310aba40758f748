"""What was made by another release or database is brought here, or refused by name: exit 14."""

from dataclasses import replace

import pytest
from django.core.management import call_command

from apps.backups import journal
from apps.backups.errors import INCOMPATIBLE, BackupError, Incompatible
from apps.backups.shelves import read_manifest
from apps.personas.models import Persona
from tests.backups.conftest import Home, needs_postgres
from tests.databases import ON_POSTGRES


def _altered(home: Home, name: str, change: dict[str, object]) -> None:
    """Write a manifest anew, as another Gator would have written it."""
    old = read_manifest(home.shelf(), name)
    assert old.database is not None
    changed = replace(old, database=replace(old.database, **change))  # type: ignore[arg-type]
    (home.backups / name / "metadata.json").write_bytes(changed.to_bytes())


def test_one_from_a_newer_release_is_refused(home: Home) -> None:
    made = home.back_up()
    assert made.database is not None
    newer = {**made.database.migrations, "backups": ["0001_initial", "0099_from_the_future"]}
    _altered(home, made.id, {"migrations": newer})
    before = home.everything()
    with pytest.raises(Incompatible, match=r"backups\.0099_from_the_future") as refused:
        home.restore(made.id)
    assert refused.value.exit_code == INCOMPATIBLE == 14
    assert home.everything() == before


def test_one_from_another_database_is_refused(home: Home) -> None:
    made = home.back_up()
    _altered(home, made.id, {"engine": "sqlite" if ON_POSTGRES else "postgresql"})
    with pytest.raises(Incompatible):
        home.restore(made.id)


@needs_postgres
def test_one_from_a_newer_server_is_refused(home: Home) -> None:
    made = home.back_up()
    _altered(home, made.id, {"server_version": "99.1"})
    with pytest.raises(Incompatible, match="older server"):
        home.restore(made.id)


def test_rows_that_are_missing_after_loading_stop_it(home: Home) -> None:
    made = home.back_up()
    assert made.database is not None
    rows = {**made.database.rows, "scheduling_post": 7}
    _altered(home, made.id, {"rows": rows})
    before = home.posts()
    with pytest.raises(BackupError, match="scheduling_post has 6 rows"):
        home.restore(made.id)
    assert home.posts() == before and journal.all_journals() == []


def test_one_from_the_previous_release_is_migrated_in_staging(home: Home) -> None:
    """A release before there was any chat, and before backups had jobs."""
    posts = home.posts()
    for app, migration in (("chat", "zero"), ("backups", "0001")):
        call_command("migrate", app, migration, verbosity=0)
    older = home.rows()
    made = home.back_up()
    assert made.database is not None and "chat" not in made.database.migrations
    assert made.database.migrations["backups"] == ["0001_initial"]
    call_command("migrate", verbosity=0)
    newer = home.rows()
    assert set(newer) > set(older)
    report = home.restore(made.id)
    assert report.migrated and report.restored
    assert set(home.rows()) == set(newer) and home.posts() == posts
    assert Persona.objects.get().name == "Luna"
