"""Loading a backup's dump into an empty place, believed only once it has been compared."""

from apps.backups import compatibility, manifest
from apps.backups.dumpers.base import Place, dumper_of
from apps.backups.errors import Damaged
from apps.backups.progress import Progress
from apps.backups.streams import Meter
from apps.backups.verifying import Backup


def load(backup: Backup, place: Place, progress: Progress) -> None:
    """Load the backup's dump into an empty place and compare it with the manifest."""
    archive = backup.manifest.archive(manifest.DATABASE)
    promised = backup.manifest.database
    assert archive is not None and promised is not None
    dumper = dumper_of(place)

    def end_is_whole(meter: Meter) -> None:
        if not dumper.is_complete(meter.tail):
            raise Damaged("The dump has no end mark.")

    progress.stage("Database", archive.plain_bytes)
    dumper.load(backup.plain(archive, progress, end_is_whole))
    dumper.check()
    facts = dumper.facts()
    compatibility.compare(promised.rows, facts.rows)
    compatibility.compare_sequences(promised.sequences, facts.sequences)
