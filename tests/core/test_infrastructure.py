"""The ground under the tests: real servers, and roles that are what they claim."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections
from playwright.sync_api import Page

from apps.core.models import Lease, User
from apps.personas.models import Persona
from tests.conftest import Everyone
from tests.settings import TESTS_DATABASE


def test_the_cache_is_a_real_valkey() -> None:
    cache.set("fog", "lisbon")
    assert cache.get("fog") == "lisbon"
    assert settings.REDIS_URL.startswith(f"unix://{settings.GATOR_VAR}")


@pytest.mark.django_db(transaction=True)
def test_threads_share_the_database_and_wait_for_each_other() -> None:
    def write(number: int) -> None:
        try:
            Lease.objects.create(
                name=f"lease {number}", holder="a test", expires_at="2026-01-01T00:00Z"
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(20)))
    assert Lease.objects.count() == 20


@pytest.mark.django_db
def test_the_database_is_the_one_asked_for() -> None:
    vendor = {"sqlite": "sqlite", "postgres": "postgresql"}[TESTS_DATABASE]
    assert connection.vendor == vendor


def test_roles_are_what_they_claim(everyone: Everyone) -> None:
    def may(user: User | None) -> list[bool]:
        return [
            bool(user and user.is_staff),
            bool(user and user.has_perm("scheduling.add_post")),
            bool(user and user.has_perm("core.change_user")),
        ]

    assert {role: may(user) for role, user in everyone.items()} == {
        "anonymous": [False, False, False],
        "fan": [False, False, False],
        "other fan": [False, False, False],
        "staff without the permission": [True, False, False],
        "staff": [True, True, False],
        "superuser": [True, True, True],
    }


def test_the_browser_runs_scripts_beside_the_database(page: Page, luna: Persona) -> None:
    page.set_content("<h1>fog</h1><script>document.title = document.body.innerText</script>")
    assert page.title() == "fog"
    assert Persona.objects.get() == luna
