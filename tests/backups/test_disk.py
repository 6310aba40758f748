"""Archives on their way to the disk: whole, whatever their size and whatever the filesystem."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.backups import disk, streams
from apps.backups.streams import PIECE, Stored, Tray, in_pieces


def _read(path: Path) -> bytes:
    # A chunk is good until the next one is asked for.
    return b"".join(bytes(chunk) for chunk in disk.read(path))


@pytest.mark.parametrize("direct", [True, False], ids=["past the cache", "through the cache"])
@pytest.mark.parametrize("size", [0, 1, 4_096, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5_000])
def test_what_was_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, direct: bool
) -> None:
    if not direct:
        monkeypatch.setattr(disk, "_DIRECT", 0)
    content = random.Random(size).randbytes(size)
    chunks = (content[start : start + 70_001] for start in range(0, size, 70_001))
    path = tmp_path / "file"
    disk.write(path, in_pieces(chunks))
    assert path.read_bytes() == content == _read(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_small_pieces_and_memory_on_no_page_will_do(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.write(path, [b"no", b"", b"whole block " * 1_000, b"anywhere"])
    assert path.read_bytes() == b"no" + b"whole block " * 1_000 + b"anywhere" == _read(path)


def test_no_file_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        disk.write(path, [b"new"])
    assert path.read_bytes() == b"old"


def test_stored_bytes_unpack_wherever_pieces_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that end with a piece, cross into the next one, or are as large as there are."""
    chance = random.Random(5)
    for piece in (8_192, 2 * 65_540, 2 * 65_540 + 3):
        monkeypatch.setattr(streams, "PIECE", piece)
        parts = [chance.randbytes(chance.choice((0, 1, 512, 5_000, 70_000))) for _ in range(200)]

        def member(parts: list[bytes] = parts) -> Iterator[bytes]:
            tray = Tray()
            stored = Stored(tray)
            yield from stored.begin()
            for part in parts:
                yield from stored.add(streams.from_bytes(part))
            yield from stored.end()
            yield from tray.emptied()

        pieces = [bytes(each) for each in member()]
        assert {len(each) for each in pieces[:-1]} == {piece}
        assert gzip.decompress(b"".join(pieces)) == b"".join(parts)
