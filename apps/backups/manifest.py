"""metadata.json: what a backup holds. It is written last, so its presence is the commit mark, and
never changed; its own hash covers every byte of it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.backups.errors import Damaged, Incompatible, NotFound

FORMAT = 1
FILE_NAME = "metadata.json"
DATABASE = "database.sql.gz"
CONTENT = "content.tar.gz"
ENCRYPTED = ".age"
LARGEST = 20_000_000

_NAME = re.compile(r"backup_(\d{8}_\d{6})")
# Last in the file, so that a reader finds it without parsing anything.
_OWN_HASH = re.compile(rb'"own_sha256": "([0-9a-f]{64})"\n}\n\Z')
_NO_HASH = b"0" * 64


def name_at(moment: datetime) -> str:
    """The backup's name: its start in UTC."""
    return f"backup_{moment.astimezone(UTC):%Y%m%d_%H%M%S}"


def checked_name(name: str) -> str:
    """The name itself, or NotFound: nothing else ever becomes part of a path."""
    if not _NAME.fullmatch(name):
        raise NotFound(f"{name!r} is no backup's name, as in backup_20260131_023000.")
    return name


def moment_of(name: str) -> datetime:
    """When the backup of this name was started."""
    digits = checked_name(name).removeprefix("backup_")
    try:
        return datetime.strptime(digits, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise NotFound(f"{name!r} names no moment.") from None


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file of a backup: as it lies there, and what it unpacks to."""

    name: str
    bytes: int
    sha256: str
    plain_bytes: int
    # Empty for the content, whose gzip members carry checksums of their own.
    plain_sha256: str

    @property
    def is_encrypted(self) -> bool:
        return self.name.endswith(ENCRYPTED)


@dataclass(frozen=True, kw_only=True)
class Database:
    """The database as it was in the dump's own snapshot."""

    engine: str
    server_version: str
    tool_version: str
    migrations: dict[str, list[str]]
    rows: dict[str, int]
    sequences: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Content:
    """The uploaded files, and what happened to them while they were read."""

    files: int = 0
    bytes: int = 0
    changed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    # A storage elsewhere that holds media: how many are listed, and whether they were copied.
    remote: str = ""
    remote_files: int = 0
    remote_bytes: int = 0
    remote_copied: bool = False


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that metadata.json says."""

    id: str
    kind: str
    started_at: str
    finished_at: str
    gator: str
    django: str
    python: str
    database: Database | None
    content: Content | None
    archives: list[Archive]
    recipients: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    format: int = FORMAT

    def archive(self, name: str) -> Archive | None:
        """The archive of that plain name, encrypted or not."""
        return next((a for a in self.archives if a.name in (name, name + ENCRYPTED)), None)

    @property
    def is_encrypted(self) -> bool:
        return any(archive.is_encrypted for archive in self.archives)

    @property
    def stored_bytes(self) -> int:
        return sum(archive.bytes for archive in self.archives)

    @property
    def unpacked_bytes(self) -> int:
        return sum(archive.plain_bytes for archive in self.archives)

    @property
    def began(self) -> datetime:
        return datetime.fromisoformat(self.started_at)

    def to_bytes(self) -> bytes:
        """The file's content."""
        content: dict[str, Any] = {**asdict(self), "own_sha256": _NO_HASH.decode()}
        raw = json.dumps(content, indent=1, ensure_ascii=True).encode() + b"\n"
        return raw.replace(_NO_HASH, hashlib.sha256(raw).hexdigest().encode())

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Manifest":
        """Read and check the file; Damaged when one byte of it was altered."""
        found = _OWN_HASH.search(raw[-200:])
        if found is None:
            raise Damaged("metadata.json is cut short or altered.")
        start = len(raw) - len(raw[-200:]) + found.start(1)
        blank = raw[:start] + _NO_HASH + raw[start + 64 :]
        if hashlib.sha256(blank).hexdigest().encode() != found.group(1):
            raise Damaged("metadata.json was altered: it does not match its own hash.")
        content = json.loads(raw)
        if content.get("format") != FORMAT:
            raise Incompatible(
                f"This backup has format {content.get('format')}; this Gator reads {FORMAT}."
            )
        del content["own_sha256"]
        try:
            content["archives"] = [Archive(**each) for each in content["archives"]]
            if content["database"]:
                content["database"] = Database(**content["database"])
            if content["content"]:
                content["content"] = Content(**content["content"])
            return cls(**content)
        except (TypeError, KeyError) as error:
            raise Incompatible(f"metadata.json has fields unknown here: {error}.") from None
