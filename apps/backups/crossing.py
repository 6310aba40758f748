"""From SQLite to PostgreSQL: the way of a studio that outgrows one machine.

The dump becomes a SQLite file again, Django reads it model by model, and PostgreSQL takes each by
COPY with its original keys, all in one transaction. Memory does not grow with the studio.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, models
from django.db.models import TextField
from django.db.models.functions import Cast
from psycopg import sql

from apps.backups import compatibility, finishing, loading
from apps.backups.dumpers.base import dumper_of
from apps.backups.dumpers.postgresql import connect
from apps.backups.errors import BackupError
from apps.backups.progress import Progress
from apps.backups.stages.base import DatabaseStage
from apps.backups.using import as_alias, as_default, sqlite_place
from apps.backups.verifying import Backup

log = structlog.get_logger(__name__)

SOURCE = "crossing"
# Django holds them twice; a row may be long.
ROWS_AT_A_TIME = 200
# PostgreSQL's own migrations write this table; everything else is copied.
_NOT_COPIED = frozenset({"django_migrations"})


def cross(backup: Backup, stage: DatabaseStage, progress: Progress) -> None:
    """Fill a staged, empty PostgreSQL database from a SQLite backup, and compare the two."""
    path = Path(settings.GATOR_VAR) / f".crossing-{backup.manifest.id}.sqlite3"
    place = sqlite_place(stage.live, str(path))
    _remove(path)
    try:
        loading.load(backup, place, progress)
        # Both sides must have the tables of this release before rows can go across.
        finishing.migrate(place)
        with as_default(stage.place):
            call_command("migrate", interactive=False, verbosity=0)
            with as_alias(SOURCE, place):
                _copy_all(stage, progress)
        source = dumper_of(place).facts().rows
        copied = dumper_of(stage.place).facts().rows
        compatibility.compare(_without(source), _without(copied))
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _without(rows: dict[str, int]) -> dict[str, int]:
    return {table: count for table, count in rows.items() if table not in _NOT_COPIED}


def _models() -> list[type[models.Model]]:
    """Every table's model, those of many-to-many fields included."""
    found = apps.get_models(include_auto_created=True)
    concrete = [model for model in found if model._meta.managed and not model._meta.proxy]
    return sorted(concrete, key=lambda model: model._meta.db_table)


def _copy_all(stage: DatabaseStage, progress: Progress) -> None:
    everything = _models()
    tables = [sql.Identifier(model._meta.db_table) for model in everything]
    with connect(stage.place) as target:
        # Migrations have put rows of their own here; the studio's take their place.
        target.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))
        # Foreign keys are checked at the commit: tables may come in any order.
        target.execute("SET CONSTRAINTS ALL DEFERRED")
        for model in everything:
            progress.stage(f"Copying {model._meta.db_table}")
            _copy(model, target, progress)
        for statement in connection.ops.sequence_reset_sql(no_style(), everything):
            target.execute(statement)
        try:
            target.commit()
        except psycopg.Error as error:
            raise BackupError(f"PostgreSQL refused the rows: {error}".strip()) from error
    with connect(stage.place, autocommit=True) as target:
        target.execute("ANALYZE")


def _copy(model: type[models.Model], target: psycopg.Connection[Any], progress: Progress) -> None:
    table = model._meta.db_table
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(str(field.column)) for field in fields),
    )
    row: tuple[Any, ...] = ()
    try:
        with closing(_rows(model, fields)) as rows, target.cursor().copy(command) as copy:
            for row in rows:
                copy.write_row(row)
                progress.add(1)
    except (psycopg.Error, UnicodeEncodeError, ValueError) as error:
        # The key, never the row: it may be anything people wrote.
        raise BackupError(
            f"PostgreSQL refused a row of {table} (near {row[0] if row else 'its start'}): {error}"
        ) from error


def _rows(model: type[models.Model], fields: list[Any]) -> Generator[tuple[Any, ...]]:
    # JSON goes across as its text: Python would make null of both of its nulls.
    names: list[Any] = [
        Cast(field.attname, TextField()) if isinstance(field, models.JSONField) else field.attname
        for field in fields
    ]
    rows = model._base_manager.using(SOURCE).order_by().values_list(*names)
    # Closed here and now: a half-read cursor must not outlive its connection.
    with closing(rows.iterator(chunk_size=ROWS_AT_A_TIME)) as reading:  # type: ignore[type-var]
        for values in reading:
            yield tuple(
                value
                if value is None or isinstance(field, models.JSONField)
                else field.get_db_prep_save(value, connection)
                for field, value in zip(fields, values, strict=True)
            )
