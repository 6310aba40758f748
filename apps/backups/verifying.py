"""Reading a backup again: every byte against the manifest, and what it unpacks to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from apps.backups import content
from apps.backups.errors import Damaged, NotFound
from apps.backups.manifest import CONTENT, Archive, Manifest
from apps.backups.progress import Progress
from apps.backups.shelves import Shelf, read_manifest
from apps.backups.streams import Chunks, Meter, decrypted, gunzipped


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A finished backup on its shelf, and the keys that open it."""

    shelf: Shelf
    manifest: Manifest
    folder: str
    identities: list[object] = field(default_factory=list)

    @classmethod
    def at(cls, shelf: Shelf, name: str, identities: list[object] | None = None) -> "Backup":
        """Open a backup: its manifest is checked here."""
        found = read_manifest(shelf, name)
        if found.id != name:
            raise Damaged(f"{name} holds the metadata of {found.id}.")
        return cls(shelf=shelf, manifest=found, folder=name, identities=identities or [])

    @property
    def is_readable(self) -> bool:
        """Whether its content, not only its bytes, can be looked at here."""
        return not self.manifest.is_encrypted or bool(self.identities)

    def _raw(self, archive: Archive, progress: Progress | None = None) -> Iterator[bytes]:
        try:
            yield from self.shelf.read(self.folder, archive.name)
        except NotFound as error:
            raise Damaged(f"{archive.name} is missing from {self.folder}.") from error

    def hash(self, archive: Archive, progress: Progress) -> None:
        """Compare the stored bytes with the manifest, or raise Damaged."""
        read = Meter(progress.add)
        for _ in read.through(self._raw(archive)):
            # A file that grew is wrong already; do not read a terabyte to say so.
            if read.bytes > archive.bytes:
                break
        _same(archive.name, (read.bytes, read.sha256), (archive.bytes, archive.sha256))

    def packed(self, archive: Archive) -> Iterator[bytes]:
        """The gzip file inside: decrypted where need be, checked as it is read."""
        read = Meter()

        def checked() -> Iterator[bytes]:
            yield from read.through(self._raw(archive))
            _same(archive.name, (read.bytes, read.sha256), (archive.bytes, archive.sha256))

        if archive.is_encrypted:
            yield from decrypted(checked(), self.identities)
        else:
            yield from checked()

    def plain(
        self,
        archive: Archive,
        progress: Progress,
        at_end: Callable[[Meter], None] | None = None,
    ) -> Iterator[bytes]:
        """What the archive unpacks to; raises at the end unless every byte was as promised."""
        meter = Meter(progress.add, tail=4_096, sha=bool(archive.plain_sha256))
        yield from meter.through(gunzipped(self.packed(archive), limit=archive.plain_bytes))
        _same(
            f"What {archive.name} unpacks to",
            (meter.bytes, meter.sha256),
            (archive.plain_bytes, archive.plain_sha256),
        )
        if at_end:
            at_end(meter)


def _same(name: str, found: tuple[int, str], promised: tuple[int, str]) -> None:
    if found[0] != promised[0]:
        raise Damaged(f"{name} has {found[0]:,} bytes; the manifest says {promised[0]:,}.")
    if found[1] != promised[1]:
        raise Damaged(f"{name} is altered: its SHA-256 is not the manifest's.")


def verify(backup: Backup, progress: Progress) -> None:
    """Read everything; raises Damaged, or WrongKey, and returns when the backup is whole.

    Without a key an encrypted backup is checked as it lies there: each byte, not its content.
    """
    for archive in backup.manifest.archives:
        progress.stage(f"Checking {archive.name}", archive.bytes)
        # Before any unpacking: what is altered must not reach a parser.
        backup.hash(archive, progress)
    if not backup.is_readable:
        return
    for archive in backup.manifest.archives:
        progress.stage(f"Unpacking {archive.name}", archive.plain_bytes)
        chunks = backup.plain(archive, progress)
        if archive.name.startswith(CONTENT):
            _count_content(backup, chunks)
        else:
            for _ in chunks:
                pass


def _count_content(backup: Backup, chunks: Chunks) -> None:
    files, size = content.count(chunks)
    promised = backup.manifest.content
    assert promised is not None
    if (files, size) != (promised.files, promised.bytes):
        raise Damaged(
            f"The content archive holds {files} files of {size:,} bytes; "
            f"the manifest says {promised.files} of {promised.bytes:,}."
        )
