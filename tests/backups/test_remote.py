"""Media in a storage elsewhere: listed always, copied when asked, put back when lost."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from pytest_django import Settings

from apps.backups import drilling, remote
from apps.backups.errors import BackupError
from apps.backups.manifest import Manifest
from apps.backups.progress import Progress
from apps.backups.verifying import verify
from tests.backups.conftest import Home

PHOTO = bytes(range(256)) * 50
MEDIA = {"media/2026/far.jpg": PHOTO, "media/notes.txt": b"words " * 200}


@pytest.fixture
def elsewhere(home: Home, settings: Settings) -> Any:
    """A storage that is not this machine's disk, with two files."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    storage = storages["default"]
    for name, content in MEDIA.items():
        storage.save(name, ContentFile(content))
    return storage


def _members(home: Home, made: Manifest) -> dict[str, bytes]:
    raw = (home.backups / made.id / "content.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as archive:
        found = {}
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                found[member.name] = file.read()
        return found


def _listed(home: Home, made: Manifest) -> dict[str, Any]:
    lines = _members(home, made)[remote.LIST].splitlines()
    return {each["name"]: each for each in map(json.loads, lines)}


def test_they_are_listed_and_their_absence_is_said_aloud(home: Home, elsewhere: Any) -> None:
    made = home.back_up()
    assert made.content is not None
    assert (made.content.remote_files, made.content.remote_copied) == (2, False)
    assert made.content.files == 3, "what is listed is not counted as kept"
    [warning] = made.warnings
    assert "2 media" in warning and "NOT in this backup" in warning
    assert {name: each["size"] for name, each in _listed(home, made).items()} == {
        name: len(content) for name, content in MEDIA.items()
    }
    assert not set(MEDIA) & set(_members(home, made))
    verify(home.open(made.id), Progress())
    drilling.drill(home.open(made.id), Progress())


def test_what_is_gone_there_is_named_by_the_restore(home: Home, elsewhere: Any) -> None:
    made = home.back_up()
    elsewhere.delete("media/notes.txt")
    report = home.restore(made.id)
    assert report.media_put_back == 0
    assert any("1 media" in each and "media/notes.txt" in each for each in report.warnings)
    assert remote.LIST not in home.files()


@pytest.fixture
def copying(settings: Settings) -> None:
    settings.BACKUP_REMOTE_MEDIA = "copy"


def test_copied_when_asked_and_put_back_when_lost(
    home: Home, elsewhere: Any, copying: None
) -> None:
    here = home.files()
    made = home.back_up()
    assert made.warnings == [] and made.content is not None
    assert (made.content.files, made.content.remote_copied) == (5, True)
    assert {name: _members(home, made)[name] for name in MEDIA} == MEDIA
    assert all(each["sha256"] for each in _listed(home, made).values())
    verify(home.open(made.id), Progress())
    elsewhere.delete("media/2026/far.jpg")
    elsewhere.delete("media/notes.txt")
    elsewhere.save("media/notes.txt", ContentFile(b"torn"))

    rehearsed = home.restore(made.id, dry_run=True)
    assert rehearsed.media_put_back == 2
    assert not elsewhere.exists("media/2026/far.jpg"), "a rehearsal changes nothing"

    report = home.restore(made.id)
    assert (report.media_put_back, report.warnings) == (2, [])
    for name, content in MEDIA.items():
        with elsewhere.open(name) as file:
            assert file.read() == content
    assert home.files() == here, "nothing is kept twice"


def test_where_media_lie_on_the_disk_now_the_copies_are_the_media(
    home: Home, elsewhere: Any, copying: None, settings: Settings
) -> None:
    made = home.back_up()
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    }
    assert home.restore(made.id).warnings == []
    for name, content in MEDIA.items():
        assert (home.content / name).read_bytes() == content


def test_a_storage_that_cannot_be_listed_costs_a_warning(
    home: Home, elsewhere: Any, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def refuses(path: str) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(elsewhere, "listdir", refuses)
    made = home.back_up()
    assert any("not even listed" in each for each in made.warnings)
    assert home.restore(made.id).restored
    settings.BACKUP_REMOTE_MEDIA = "copy"
    with pytest.raises(BackupError, match="Listing"):
        home.back_up()


def test_names_that_are_no_paths_stay_out(
    home: Home, elsewhere: Any, copying: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hostile(self: remote.RemoteMedia) -> Iterator[remote.Medium]:
        for name in ("../../etc/passwd", "/etc/passwd", "a/../../b"):
            yield remote.Medium(name=name, size=1)

    monkeypatch.setattr(remote.RemoteMedia, "listed", hostile)
    made = home.back_up()
    assert made.content is not None and len(made.content.skipped) == 3
    assert _listed(home, made) == {}
    assert home.restore(made.id).restored


def test_what_vanishes_before_it_is_copied_is_said(
    home: Home, elsewhere: Any, copying: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = remote.RemoteMedia.listed

    def then_deleted(self: remote.RemoteMedia) -> Iterator[remote.Medium]:
        for medium in list(real(self)):
            if medium.name.endswith(".jpg"):
                elsewhere.delete(medium.name)
            yield medium

    monkeypatch.setattr(remote.RemoteMedia, "listed", then_deleted)
    made = home.back_up()
    assert made.content is not None and made.content.vanished == ["media/2026/far.jpg"]
    verify(home.open(made.id), Progress())


def test_backups_in_the_same_bucket_are_no_media(home: Home, elsewhere: Any) -> None:
    elsewhere.save("backup_20260101_000000/database.sql.gz", ContentFile(b"x"))
    made = home.back_up()
    assert set(_listed(home, made)) == set(MEDIA)
