"""What every test may ask for: the servers of the run, a small cast, and clients for each of it."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling.models import SocialAccount
from tests import servers
from tests.settings import TESTS_DATABASE, TESTS_HOME, TESTS_POSTGRES

pytest_plugins = ["tests.databases", "tests.studio", "tests.browsing"]

# -- The run ------------------------------------------------------------------------------------

_servers = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="The database under the tests (read by tests/settings.py).",
    )
    # Here, because pytest reads a deeper conftest only after the command line.
    parser.addoption(
        "--kills", type=int, default=300, help="How many processes a fault test kills."
    )


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    stack = config.stash[_servers] = ExitStack()
    stack.callback(shutil.rmtree, TESTS_HOME, ignore_errors=True)
    if config.option.collectonly:
        return
    stack.enter_context(servers.running_valkey(settings.GATOR_VAR))
    if TESTS_DATABASE == "postgres":
        stack.enter_context(servers.running_postgres(TESTS_POSTGRES))


EMPTIES_THE_DATABASE = {"transactional_db", "live_server"}
TOUCHES_A_DATABASE = {"db"} | EMPTIES_THE_DATABASE
LOOKS_AT_A_PAGE = {"browser", "page"}
# These start processes with databases of their own.
PROCESSES = ("tests/backups/", "tests/chat/", "tests/faults/", "tests/journeys/")
# What takes long comes first, so that no worker is left with it at the end.
LONG = ("tests/journeys/", "tests/test_api_robustness.py", "tests/backups/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests first. What touches no database, looks at a page or is marked `once` runs with
    SQLite's tests only; pytest says how many those are."""
    # pytest-django has put those that empty the database last, and there they stay.
    items.sort(
        key=lambda item: (
            not EMPTIES_THE_DATABASE.isdisjoint(getattr(item, "fixturenames", ()))
            or bool((mark := item.get_closest_marker("django_db")) and mark.kwargs),
            not item.nodeid.startswith(LONG),
        )
    )
    if TESTS_DATABASE != "postgres":
        return
    elsewhere = set()
    for item in items:
        asks_for = set(getattr(item, "fixturenames", ()))
        without = (
            not item.nodeid.startswith(PROCESSES)
            and item.get_closest_marker("django_db") is None
            and TOUCHES_A_DATABASE.isdisjoint(asks_for)
        )
        once = item.get_closest_marker("once") or not LOOKS_AT_A_PAGE.isdisjoint(asks_for)
        if without or once:
            elsewhere.add(item)
    # Named on the command line, a test runs whatever it touches.
    if len(elsewhere) < len(items):
        config.hook.pytest_deselected(items=list(elsewhere))
        items[:] = [item for item in items if item not in elsewhere]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers in config.stash:
        config.stash[_servers].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tried because something is not installed here is named, never only counted."""
    skipped = terminalreporter.stats.get("skipped", ())
    for reason in sorted({str(report.longrepr[-1]) for report in skipped}):
        if "not installed" in reason or "could not import" in reason:
            terminalreporter.write_line(f"NOT TRIED: {reason}", yellow=True, bold=True)


def pytest_report_header() -> str:
    return f"gator: {TESTS_DATABASE}, real Valkey, in {TESTS_HOME}"


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """Cache, throttles and queues start empty."""
    cache.clear()


# -- The cast -----------------------------------------------------------------------------------

PASSWORD = "correct horse battery staple"


def _user(username: str, **fields: bool) -> User:
    return User.objects.create_user(
        username=username, email=f"{username}@example.org", password=PASSWORD, **fields
    )


@pytest.fixture
def ada(db: None) -> User:
    """The superuser."""
    return _user("ada", is_staff=True, is_superuser=True)


@pytest.fixture
def sam(db: None) -> User:
    """Staff without any permission."""
    return _user("sam", is_staff=True)


@pytest.fixture
def kei(db: None) -> User:
    """Staff who edit: every permission on personas, posts and comments only."""
    user = _user("kei", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label__in=["personas", "scheduling", "sentiment"]
        ).values_list("pk", flat=True)
    )
    return user


@pytest.fixture
def fan(db: None) -> User:
    """A person who is not staff."""
    return _user("fan")


@pytest.fixture
def other_fan(db: None) -> User:
    """Another person who is not staff."""
    return _user("other_fan")


@pytest.fixture
def luna(db: None) -> Persona:
    """A persona."""
    return Persona.objects.create(name="Luna", handle="luna", time_zone="Europe/Lisbon")


@pytest.fixture
def marlow(db: None) -> Persona:
    """Another persona."""
    return Persona.objects.create(name="Marlow", handle="marlow")


@pytest.fixture
def wall(luna: Persona) -> SocialAccount:
    """Luna's account on the Wall, tested and working."""
    return SocialAccount.objects.create(
        persona=luna, network="wall", handle="luna", status=SocialAccount.Status.WORKING
    )


# -- Clients ------------------------------------------------------------------------------------

Everyone = dict[str, User | None]


@pytest.fixture
def everyone(fan: User, other_fan: User, sam: User, kei: User, ada: User) -> Everyone:
    """The one list of roles, for tables of who may do what."""
    return {
        "anonymous": None,
        "fan": fan,
        "other fan": other_fan,
        "staff without the permission": sam,
        "staff": kei,
        "superuser": ada,
    }


def _browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_ada(ada: User) -> Client:
    return _browser_of(ada)


@pytest.fixture
def as_sam(sam: User) -> Client:
    return _browser_of(sam)


@pytest.fixture
def as_kei(kei: User) -> Client:
    return _browser_of(kei)


@pytest.fixture
def as_fan(fan: User) -> Client:
    return _browser_of(fan)


@pytest.fixture
def as_other_fan(other_fan: User) -> Client:
    return _browser_of(other_fan)


ApiOf = Callable[[User | None], APIClient]


@pytest.fixture
def api_of() -> ApiOf:
    """`api_of(kei)` is kei's API client; `api_of(None)` is nobody's."""

    def client_of(user: User | None) -> APIClient:
        client = APIClient()
        if user is not None:
            client.force_login(user)
        return client

    return client_of


@pytest.fixture
def api(api_of: ApiOf, kei: User) -> APIClient:
    """The API as kei, an editor, uses it."""
    return api_of(kei)


@pytest.fixture
def anonymous_api(db: None, api_of: ApiOf) -> APIClient:
    """The API as nobody uses it."""
    return api_of(None)
