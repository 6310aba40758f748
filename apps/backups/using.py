"""Django's default database exchanged for another one, in this thread and for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.utils import load_backend

from apps.backups.dumpers.base import Place


def place_like(live: Place, name: str) -> Place:
    """The settings of another database beside `live`, without the shared pool."""
    options = {k: v for k, v in (live.get("OPTIONS") or {}).items() if k != "pool"}
    return {**live, "NAME": name, "OPTIONS": options, "CONN_MAX_AGE": 0}


def sqlite_place(like: Place, path: str) -> Place:
    """The settings of a SQLite file, whatever the default database is."""
    return {
        **like,
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        **dict.fromkeys(("HOST", "PORT", "USER", "PASSWORD"), ""),
        "CONN_HEALTH_CHECKS": False,
        "CONN_MAX_AGE": 0,
    }


@contextmanager
def as_default(place: Place) -> Iterator[None]:
    """Every query and command of this thread goes to `place`."""
    live = connections["default"]
    staged = load_backend(place["ENGINE"]).DatabaseWrapper(place, "default")
    connections["default"] = staged
    ContentType.objects.clear_cache()
    try:
        yield
    finally:
        staged.close()
        connections["default"] = live
        ContentType.objects.clear_cache()


@contextmanager
def as_alias(alias: str, place: Place) -> Iterator[str]:
    """`place` under a database alias of its own."""
    connections.databases[alias] = place
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def leave_the_pool() -> None:
    """Connect one by one from here on: a pool waits long for a database that is not there yet."""
    connections["default"].settings_dict.get("OPTIONS", {}).pop("pool", None)


def forget_live_connections() -> None:
    """Close what is open to the default database: it is about to become another one."""
    live: Any = connections["default"]
    live.close()
    if hasattr(live, "close_pool"):
        live.close_pool()
