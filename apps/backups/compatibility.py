"""Whether a backup, whole as it may be, can be restored here."""

from django.db import connections
from django.db.migrations.loader import MigrationLoader

from apps.backups.dumpers.base import dumper_of
from apps.backups.errors import Damaged, Incompatible
from apps.backups.manifest import Manifest
from apps.backups.models import What


def crosses(backup: Manifest) -> bool:
    """Whether it was made on another kind of database than this studio has."""
    live = dumper_of(connections["default"].settings_dict)
    return backup.database is not None and backup.database.engine != live.engine


def refuse(backup: Manifest, *, cross_engine: bool, what: str) -> None:
    """Raise Incompatible when this backup cannot become this studio."""
    database = backup.database
    if database is None or what == What.CONTENT:
        return
    live = dumper_of(connections["default"].settings_dict)
    if crosses(backup):
        if (database.engine, live.engine) != ("sqlite", "postgresql"):
            raise Incompatible(
                f"{backup.id} was made on {database.engine}; this studio runs on {live.engine}. "
                "Only the way from SQLite to PostgreSQL is open."
            )
        if not cross_engine:
            raise Incompatible(
                f"{backup.id} was made on SQLite; this studio runs on PostgreSQL. "
                "Say --cross-engine to move it over."
            )
    elif cross_engine:
        raise Incompatible(f"{backup.id} was made on {database.engine}, as this studio is.")
    elif live.engine == "postgresql":
        _refuse_newer_server(database.server_version)
    _refuse_unknown_migrations(database.migrations)


def _refuse_newer_server(version: str) -> None:
    from apps.backups.stages.postgresql import server_version

    here = server_version(connections["default"].settings_dict)
    if int(version.split(".")[0]) > here:
        raise Incompatible(
            f"The backup was made on PostgreSQL {version}; this server is {here}, and an older "
            "server cannot be trusted to read it."
        )


def _refuse_unknown_migrations(migrations: dict[str, list[str]]) -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    replaced = {key for each in loader.disk_migrations.values() for key in each.replaces}
    known = set(loader.disk_migrations) | {(app, name) for app, name in replaced}
    unknown = [
        f"{app}.{name}"
        for app, names in migrations.items()
        for name in names
        if (app, name) not in known
    ]
    if unknown:
        raise Incompatible(
            f"The backup comes from a newer Gator, or one with other apps: {unknown[0]} is "
            f"unknown here{f' and {len(unknown) - 1} more' if len(unknown) > 1 else ''}."
        )


def compare(promised: dict[str, int], found: dict[str, int]) -> None:
    """Raise Damaged unless every table has the rows that the snapshot had."""
    if promised == found:
        return
    for table in sorted({*promised, *found}):
        if promised.get(table) != found.get(table):
            raise Damaged(
                f"After loading, {table} has {found.get(table, 'no')} rows; "
                f"the manifest says {promised.get(table, 'no such table')}."
            )


def compare_sequences(promised: dict[str, int], found: dict[str, int]) -> None:
    """Raise Damaged when a sequence would give out a number again.

    PostgreSQL's sequences stand outside snapshots: a busy one may have moved on before pg_dump
    read it, so a higher value is right too.
    """
    for name, value in promised.items():
        if found.get(name, -1) < value:
            raise Damaged(
                f"After loading, sequence {name} stands at {found.get(name)}, not {value}."
            )
