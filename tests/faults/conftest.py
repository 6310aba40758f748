"""A house of killable processes over the tests' own database."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from pytest_django import Settings

from tests.faults.processes import House
from tests.servers import free_port, postgres_url
from tests.settings import TESTS_DATABASE, TESTS_POSTGRES


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How many processes to kill."""
    return int(request.config.getoption("--kills"))


@pytest.fixture
def house(transactional_db: None, tmp_path: Path, settings: Settings) -> Iterator[House]:
    """An empty house: start in it what the test needs."""
    database = str(connection.settings_dict["NAME"])
    url = (
        postgres_url(TESTS_POSTGRES, database)
        if TESTS_DATABASE == "postgres"
        else f"sqlite:///{database}"
    )
    made = House(tmp_path, database_url=url, network_port=free_port(), web_port=free_port())
    settings.PUBLISHERS = {
        name: {
            "BACKEND": f"tests.faults.publisher.{name.title()}",
            "OPTIONS": {"server": made.env["STANDIN_URL"]},
        }
        for name in ("keyed", "listable", "blind")
    }
    # A transactional test before this one emptied every table, the periodic tasks too.
    for name in (
        "core.migrations.0002_periodic_tasks",
        "scheduling.migrations.0002_periodic_tasks",
        "chat.migrations.0002_periodic_tasks",
    ):
        importlib.import_module(f"apps.{name}").add(apps, None)
    try:
        yield made
    finally:
        made.end()
