"""One wrong byte anywhere, and nothing is touched: exit 13."""

import io
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.backups import content, journal
from apps.backups.errors import Damaged, NotFound
from apps.backups.manifest import Manifest
from apps.backups.progress import Progress
from apps.backups.streams import CHUNK, gunzipped, gzipped
from apps.backups.verifying import verify
from tests.backups.conftest import Home

FILES = ("database.sql.gz", "content.tar.gz", "metadata.json")


def _flip(raw: bytes) -> bytes:
    place, bit = random.randrange(len(raw)), random.randrange(8)
    return raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]


def _cut(raw: bytes) -> bytes:
    return raw[: random.randrange(len(raw))]


def _grow(raw: bytes) -> bytes:
    return raw + os.urandom(1)


def _lose(raw: bytes) -> bytes:
    place = random.randrange(len(raw))
    return raw[:place] + raw[place + 1 :]


@pytest.mark.parametrize("file", FILES)
def test_every_kind_of_damage_is_refused_before_anything_changes(home: Home, file: str) -> None:
    made = home.back_up()
    path = home.backups / made.id / file
    whole = path.read_bytes()
    (home.var / "backups.lock").touch()
    before = home.everything()
    for damage in (_flip, _cut, _grow, _lose) * 5:
        path.write_bytes(damage(whole))
        with pytest.raises(Damaged):
            home.restore(made.id)
    path.write_bytes(whole)
    assert home.everything() == before
    assert journal.all_journals() == []
    verify(home.open(made.id), Progress())


def test_every_single_byte_of_the_manifest_counts(home: Home) -> None:
    raw = home.back_up().to_bytes()
    for place in range(len(raw)):
        with pytest.raises(Damaged):
            Manifest.from_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    for length in range(0, len(raw), 7):
        with pytest.raises(Damaged):
            Manifest.from_bytes(raw[:length])


def test_an_archive_that_is_gone_is_damage(home: Home) -> None:
    made = home.back_up()
    (home.backups / made.id / "content.tar.gz").unlink()
    with pytest.raises(Damaged, match="missing"):
        home.restore(made.id)


def test_metadata_of_another_backup_is_damage(home: Home) -> None:
    first, second = home.back_up(), home.back_up()
    path = home.backups / first.id / "metadata.json"
    path.write_bytes((home.backups / second.id / "metadata.json").read_bytes())
    with pytest.raises(Damaged):
        home.restore(first.id)
    path.unlink()
    with pytest.raises(NotFound):
        home.restore(first.id)


def _chunks(raw: bytes) -> Iterator[bytes]:
    return (raw[start : start + CHUNK] for start in range(0, len(raw), CHUNK))


def test_a_bomb_stops_at_the_declared_size() -> None:
    bomb = b"".join(gzipped(bytes(CHUNK) for _ in range(400)))
    seen = 0
    with pytest.raises(Damaged, match="more than the declared"):
        for chunk in gunzipped(_chunks(bomb), limit=1_000_000):
            seen += len(chunk)
    assert seen <= 1_000_000


def _tar(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return out.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = 1 if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside.txt"),
        _member("a/../../outside.txt"),
        _member("link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("hard", tarfile.LNKTYPE, "a"),
        _member("device", tarfile.CHRTYPE),
        _member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: member.name,
)
def test_a_hostile_archive_stays_in_its_folder(tmp_path: Path, member: tarfile.TarInfo) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(Damaged):
        content.unpack(_chunks(_tar(_member("a"), member)), tmp_path / "in" / "folder")
    assert not (tmp_path / "outside.txt").exists()
    assert not (tmp_path / "in" / "outside.txt").exists()


def test_an_absolute_name_lands_inside(tmp_path: Path) -> None:
    content.unpack(_chunks(_tar(_member("/tmp/absolute.txt"))), tmp_path / "folder")
    assert [p.name for p in (tmp_path / "folder").rglob("*.txt")] == ["absolute.txt"]
