"""Making a backup: the database in one snapshot, then the content, read back, manifest last."""

import errno
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import django
import structlog
from django.conf import settings
from django.db import connections
from django.utils import timezone

from apps.backups import content, locks, manifest, remote
from apps.backups.dumpers.base import TAIL, Dumper, dumper_of
from apps.backups.errors import BackupError, BadRequest, Damaged
from apps.backups.models import What
from apps.backups.progress import Progress, human_bytes
from apps.backups.shelves import Draft, Shelf, shelf_of
from apps.backups.streams import Chunks, Meter, encrypted, gzipped, in_pieces, recipient_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be backed up, and how."""

    kind: str
    what: str = What.ALL
    storage: str = "backups"
    encrypt: bool = False
    progress: Progress = field(default_factory=Progress)

    @property
    def recipients(self) -> list[str]:
        """Whom it is encrypted to: everybody in the settings, always, once there is anybody."""
        recipients: list[str] = settings.BACKUP_AGE_RECIPIENTS
        if self.encrypt and not recipients:
            raise BadRequest("Encryption needs BACKUP_AGE_RECIPIENTS, age's public keys.")
        return recipients


def make_backup(order: Order) -> manifest.Manifest:
    """Make one backup and read it back; raises BackupError and leaves nothing when it cannot."""
    with locks.exclusive():
        return make_backup_locked(order)


def make_backup_locked(order: Order) -> manifest.Manifest:
    """The same for who holds the lock already, such as a restore."""
    recipients = order.recipients
    keys = [recipient_of(recipient) for recipient in recipients]
    shelf = shelf_of(order.storage)
    for swept in shelf.sweep():
        log.warning("removed what a killed backup left", left=swept, where=shelf.where)
    dumper = dumper_of(connections["default"].settings_dict)
    if order.what != What.CONTENT:
        dumper.preflight()
    _refuse_full_disk(shelf, dumper, order)
    name, started = _free_name(shelf)
    draft = shelf.begin(name)
    writer = _Writer(draft, order.progress, keys)
    try:
        database = _database(writer, dumper) if order.what != What.CONTENT else None
        warnings: list[str] = []
        files = _content(writer, warnings) if order.what != What.DATABASE else None
        writer.read_back()
        made = manifest.Manifest(
            id=name,
            kind=order.kind,
            started_at=started.isoformat(),
            finished_at=timezone.now().isoformat(),
            gator=settings.VERSION,
            django=django.get_version(),
            python=platform.python_version(),
            database=database,
            content=files,
            archives=writer.archives,
            recipients=recipients,
            warnings=warnings,
        )
        draft.commit(made.to_bytes())
    except BaseException as error:
        draft.abort()
        if isinstance(error, OSError):
            raise BackupError(_words_of(error)) from error
        raise
    return made


def _words_of(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full; nothing was left of this backup ({error.strerror})."
    return f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")


def _free_name(shelf: Shelf) -> tuple[str, datetime]:
    # A clock that went back, or two in one second: the next free second, never an overwrite.
    started = moment = timezone.now()
    while shelf.exists(manifest.name_at(moment)):
        moment += timedelta(seconds=1)
    return manifest.name_at(moment), started


def _refuse_full_disk(shelf: Shelf, dumper: Dumper, order: Order) -> None:
    free = shelf.free_bytes()
    if free is None or order.what == What.CONTENT:
        return
    place = connections["default"].settings_dict
    path = Path(str(place["NAME"]))
    # SQL packs to about a third of its database; the content is known only by reading it.
    wanted = path.stat().st_size // 3 if dumper.engine == "sqlite" and path.is_file() else 0
    if free < wanted + 16_000_000:
        raise BackupError(
            f"{shelf.where} has {human_bytes(free)} free; this needs about "
            f"{human_bytes(wanted + 16_000_000)}."
        )


class _Writer:
    """Archives on their way into a draft, each measured before and after packing."""

    def __init__(self, draft: Draft, progress: Progress, keys: list[object]) -> None:
        self._draft = draft
        self._keys = keys
        self.progress = progress
        self.archives: list[manifest.Archive] = []
        self._written: dict[str, tuple[int, int]] = {}

    def write(self, name: str, packed: Chunks, plain: Meter) -> None:
        """Store one archive; `plain` has measured it before it was packed."""
        stored = Meter(lambda _: self.progress.add(0), crc=True)
        if self._keys:
            name += manifest.ENCRYPTED
            packed = in_pieces(encrypted(packed, self._keys))
        self._draft.put(name, stored.through(packed))
        self._written[name] = (stored.bytes, stored.crc)
        self.archives.append(
            manifest.Archive(
                name=name,
                bytes=stored.bytes,
                sha256=stored.sha256,
                plain_bytes=plain.bytes,
                plain_sha256=plain.sha256,
            )
        )

    def read_back(self) -> None:
        """Read every archive from where it is stored; the manifest follows only if all is there."""
        for archive in self.archives:
            self.progress.stage(f"Reading back {archive.name}", archive.bytes)
            # Against accidents a CRC will do; SHA-256 is for every later reading.
            read = Meter(self.progress.add, sha=False, crc=True)
            for _ in read.through(self._draft.read(archive.name)):
                pass
            if (read.bytes, read.crc) != self._written[archive.name]:
                raise Damaged(f"{archive.name} reads back differently from what was written.")


def _database(writer: _Writer, dumper: Dumper) -> manifest.Database:
    with dumper.snapshot() as snapshot:
        writer.progress.stage("Database", snapshot.size)
        plain = Meter(writer.progress.add, tail=TAIL)

        def checked() -> Iterator[bytes]:
            yield from plain.through(snapshot.sql())
            if not dumper.is_complete(plain.tail):
                raise BackupError("The dump has no end mark: the tool stopped in the middle.")

        writer.write(manifest.DATABASE, in_pieces(gzipped(checked())), plain)
        return manifest.Database(
            engine=dumper.engine,
            server_version=snapshot.server_version,
            tool_version=snapshot.tool_version,
            migrations=snapshot.migrations,
            rows=snapshot.facts.rows,
            sequences=snapshot.facts.sequences,
        )


def _content(writer: _Writer, warnings: list[str]) -> manifest.Content:
    writer.progress.stage("Content")
    # Media are stored as they are: hashing them twice would cost more than all the rest. Each
    # gzip member has a CRC of its content, and the archive as a whole its SHA-256.
    plain = Meter(writer.progress.add, sha=False)
    packer = content.Packer(
        content.root(),
        elsewhere=remote.remote_media(),
        copies=settings.BACKUP_REMOTE_MEDIA == "copy",
    )

    writer.write(manifest.CONTENT, content.packed(packer.pieces(), plain), plain)
    found = packer.record()
    if packer.unlisted:
        warnings.append(f"Media are NOT in this backup, and not even listed: {packer.unlisted}")
    elif found.remote and not found.remote_copied:
        warnings.append(
            f"{found.remote_files} media ({human_bytes(found.remote_bytes)}) lie in "
            f"{found.remote} and are listed here but NOT in this backup: back that storage up "
            "by itself, or set BACKUP_REMOTE_MEDIA=copy."
        )
    for what, names in (
        ("changed while they were read", packer.changed),
        ("vanished while they were read", packer.vanished),
        ("are links or no files and were left out", packer.skipped),
    ):
        if names:
            warnings.append(f"{len(names)} files {what}: {', '.join(names[:5])}")
    return found
