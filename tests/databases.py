"""The databases of a run: migrations run once, and whoever needs tables gets a copy of theirs."""

import fcntl
import shutil
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

from apps.backups.dumpers.base import Place
from apps.backups.using import as_default, place_like, sqlite_place
from tests.servers import postgres_url
from tests.settings import TESTS_DATABASE, TESTS_HOME, TESTS_POSTGRES

ON_POSTGRES = TESTS_DATABASE == "postgres"


def on_server(statement: str) -> None:
    """Run one statement on the tests' PostgreSQL, outside of any transaction."""
    with psycopg.connect(postgres_url(TESTS_POSTGRES, "postgres"), autocommit=True) as server:
        server.execute(statement.encode())


@pytest.fixture(scope="session")
def migrated(django_db_blocker: DjangoDbBlocker) -> Place:
    """A migrated, empty database to copy; one for all workers of the run."""
    live = connections["default"].settings_dict
    if ON_POSTGRES:
        place = place_like(live, "migrated")
    else:
        place = sqlite_place(live, str(TESTS_HOME / "migrated.sqlite3"))
    made = TESTS_HOME / "migrated"
    with made.with_suffix(".lock").open("w") as lock, django_db_blocker.unblock():
        # The other workers wait for the first one.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            if ON_POSTGRES:
                on_server(f'CREATE DATABASE "{place["NAME"]}"')
            with as_default(place):
                call_command("migrate", verbosity=0)
            made.touch()
    return place


def copy_database(source: Place, name: str) -> None:
    """Make the database `name` (a path on SQLite) what `source` is; it must not be in use."""
    if ON_POSTGRES:
        on_server(f'DROP DATABASE IF EXISTS "{name}"')
        on_server(f'CREATE DATABASE "{name}" TEMPLATE "{source["NAME"]}"')
    else:
        shutil.copy(source["NAME"], name)


# -- The database of the tests themselves -------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Use the copy as it is; it goes with its server, or with the folder of the run."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, migrated: Place
) -> None:
    creation: Any = connection.creation
    copy_database(migrated, creation._get_test_db_name())
    operations: Any = type(connection.ops)
    operations.sql_flush = _empty_what_is_filled
    cases: Any = TransactionTestCase
    cases._fixture_teardown = _flush


# Made with the tables, and the same for ever: emptied, they would be made anew after every test.
KEPT = {"django_content_type", "auth_permission"}


def _flush(self: Any) -> None:
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)


def _empty_what_is_filled(self: Any, style: Any, tables: list[str], **options: bool) -> list[str]:
    """TRUNCATE makes new files for every table, a second for all of them; most are empty."""
    filled = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {self.quote_name(table)})"
        for table in sorted(set(tables) - KEPT)
    )
    with self.connection.cursor() as cursor:
        cursor.execute(filled)
        names = [name for (name,) in cursor.fetchall()]
    deletions = [f"DELETE FROM {self.quote_name(name)}" for name in names]
    # Without foreign keys and triggers, and so in any order; SQLite looks at the end.
    return (
        ["SET LOCAL session_replication_role = replica", *deletions] if ON_POSTGRES else deletions
    )
