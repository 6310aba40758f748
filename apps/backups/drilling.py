"""The drill: restore a backup into a scratch place, compare everything, throw it away."""

import shutil
from pathlib import Path

from django.conf import settings
from django.db import connections

from apps.backups import compatibility, content, finishing, loading, locks, manifest
from apps.backups.errors import Damaged, WrongKey
from apps.backups.progress import Progress
from apps.backups.stages.base import database_stage
from apps.backups.using import sqlite_place
from apps.backups.verifying import Backup


def drill(backup: Backup, progress: Progress) -> None:
    """Raise unless the backup restores here completely; the live studio is not touched."""
    if not backup.is_readable:
        raise WrongKey(f"{backup.manifest.id} is encrypted: a drill needs its key (--identity).")
    # One at a time, always in the same place: the next drill removes what a killed one left.
    with locks.exclusive():
        _drill(backup, progress)


def _drill(backup: Backup, progress: Progress) -> None:
    database = backup.manifest.database
    if database is not None and database.engine == "sqlite":
        _into_file(backup, progress)
    elif database is not None:
        _beside_live(backup, progress)
    archive = backup.manifest.archive(manifest.CONTENT)
    if archive is not None:
        progress.stage("Content", archive.plain_bytes)
        promised = backup.manifest.content
        assert promised is not None
        found = content.count(backup.plain(archive, progress))
        if found != (promised.files, promised.bytes):
            raise Damaged(f"The content archive holds {found[0]} files, not {promised.files}.")


def _into_file(backup: Backup, progress: Progress) -> None:
    folder = Path(settings.GATOR_VAR) / ".drill"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        place = sqlite_place(connections["default"].settings_dict, str(folder / "drill.sqlite3"))
        loading.load(backup, place, progress)
        finishing.migrate(place)
        finishing.try_writing(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside_live(backup: Backup, progress: Progress) -> None:
    compatibility.refuse(backup.manifest, cross_engine=False, what="all")
    stage = database_stage(connections["default"].settings_dict, "drill")
    stage.preflight()
    stage.prepare()
    try:
        loading.load(backup, stage.place, progress)
        finishing.migrate(stage.place)
        finishing.try_writing(stage.place)
    finally:
        stage.discard()
