"""On an S3 server of our own: no object after a failure, retries, then a clean error."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from pytest_django import Settings

from apps.backups import objects
from apps.backups.errors import BackupError, NotFound
from apps.backups.objects import ObjectShelf
from apps.backups.progress import Progress
from apps.backups.remote import remote_media
from apps.backups.shelves import shelf_of
from apps.backups.streams import Chunks
from apps.backups.verifying import Backup, verify
from tests.backups.conftest import Home

boto3 = pytest.importorskip("boto3")
server_module = pytest.importorskip("moto.server")

BUCKET = "studio"


class Moody:
    """moto behind a door that sometimes answers 503."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.failures = 0
        self.method = "PUT"

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if self.failures and environ["REQUEST_METHOD"] == self.method:
            self.failures -= 1
            # The body is read, as a real server would have done before it failed.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>"]
        return self._application(environ, start)


@pytest.fixture(scope="module")
def moody() -> Iterator[tuple[Moody, str]]:
    from werkzeug.serving import WSGIRequestHandler, make_server

    door = Moody(server_module.DomainDispatcherApplication(server_module.create_backend_app))
    quiet = type("Quiet", (WSGIRequestHandler,), {"log": lambda self, *rest: None})
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield door, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(
    home: Home, moody: tuple[Moody, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectShelf]:
    door, url = moody
    options = {
        "access_key": "test",
        "secret_key": "test",
        "bucket_name": BUCKET,
        "endpoint_url": url,
        "region_name": "us-east-1",
        "location": "gator",
    }
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options},
    }
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    client = _client(url)
    client.create_bucket(Bucket=BUCKET)
    door.failures = 0
    shelf = shelf_of()
    assert isinstance(shelf, ObjectShelf)
    yield shelf
    door.failures = 0
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])


def _client(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def _keys(shelf: ObjectShelf) -> list[str]:
    client = shelf._storage.connection.meta.client
    listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
    return [each["Key"] for each in listed] + [f"upload {each['Key']}" for each in uploads]


def test_there_and_back(home: Home, s3: ObjectShelf) -> None:
    posts, files = home.posts(), home.files()
    made = home.back_up()
    assert _keys(s3) == [
        f"gator/{made.id}/{name}" for name in ("content.tar.gz", "database.sql.gz", "metadata.json")
    ]
    assert s3.names() == [made.id]
    verify(Backup.at(s3, made.id), Progress())
    (home.content / "notes – ünï.txt").unlink()
    home.restore(made.id)
    assert (home.posts(), home.files()) == (posts, files)


def test_media_in_the_same_bucket_are_listed_copied_and_put_back(
    home: Home, s3: ObjectShelf, settings: Settings
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": settings.STORAGES["backups"]}
    settings.BACKUP_REMOTE_MEDIA = "copy"
    photo, media = bytes(range(256)) * 2_000, storages["default"]
    media.save("media/far.jpg", ContentFile(photo))
    home.back_up(what="content")
    made = home.back_up()
    assert made.content is not None
    assert made.content.remote_files == 1, "the first backup, in the same bucket, is no medium"
    [listed] = remote_media().listed()  # type: ignore[union-attr]
    assert (listed.name, listed.size) == ("media/far.jpg", len(photo))
    assert listed.checksum == hashlib.md5(photo).hexdigest(), "its ETag"
    media.delete("media/far.jpg")
    report = home.restore(made.id)
    assert (report.media_put_back, report.warnings) == (1, [])
    with media.open("media/far.jpg") as file:
        assert file.read() == photo


def test_what_clients_download_stays_packed(home: Home, s3: ObjectShelf) -> None:
    made = home.back_up(what="content")
    client = s3._storage.connection.meta.client
    head = client.head_object(Bucket=BUCKET, Key=f"gator/{made.id}/content.tar.gz")
    assert "ContentEncoding" not in head or head["ContentEncoding"] in ("", "aws-chunked")


@pytest.mark.parametrize("size", [100, 20_000_000])
def test_a_stream_that_breaks_leaves_no_object(s3: ObjectShelf, home: Home, size: int) -> None:
    def breaks() -> Iterator[bytes]:
        for _ in range(0, size, 100_000):
            yield bytes(min(size, 100_000))
        raise ValueError("pg_dump died")

    before = _keys(s3)
    with pytest.raises(ValueError, match="pg_dump died"):
        s3.store("backup_20260101_000000/database.sql.gz", breaks())
    assert _keys(s3) == before


def test_some_503s_are_retried(home: Home, s3: ObjectShelf, moody: tuple[Moody, str]) -> None:
    moody[0].failures = 2
    made = home.back_up()
    assert s3.names() == [made.id]
    assert moody[0].failures == 0


def test_endless_503s_end_cleanly(home: Home, s3: ObjectShelf, moody: tuple[Moody, str]) -> None:
    before = _keys(s3)
    moody[0].failures = 10_000
    with pytest.raises(BackupError):
        home.back_up()
    moody[0].failures = 0
    assert _keys(s3) == before and s3.names() == []


def test_an_object_that_arrives_short_is_not_kept(
    home: Home, s3: ObjectShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3._storage, "size", lambda path: 5)
    with pytest.raises(BackupError, match="arrived"):
        s3.store("backup_20260101_000000/content.tar.gz", [b"longer"])
    assert _keys(s3) == []


def test_stale_uploads_and_orphans_are_swept(
    s3: ObjectShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3._storage.connection.meta.client
    client.create_multipart_upload(Bucket=BUCKET, Key="gator/backup_20260101_000000/content.tar.gz")
    client.create_multipart_upload(Bucket=BUCKET, Key="elsewhere/backup_20260101_000000/x")
    s3.store("backup_20260102_000000/database.sql.gz", [b"orphan"])
    # moto dates every upload 2010; objects have their real time.
    assert s3.sweep() == ["upload of gator/backup_20260101_000000/content.tar.gz"]
    assert s3.exists("backup_20260102_000000"), "another process may just be making it"
    monkeypatch.setattr(objects, "STALE", -objects.STALE)
    assert s3.sweep() == ["backup_20260102_000000"]
    assert _keys(s3) == ["upload elsewhere/backup_20260101_000000/x"]
    client.abort_multipart_upload(
        Bucket=BUCKET,
        Key="elsewhere/backup_20260101_000000/x",
        UploadId=client.list_multipart_uploads(Bucket=BUCKET)["Uploads"][0]["UploadId"],
    )


def test_deleting_unlists_first(home: Home, s3: ObjectShelf) -> None:
    made = home.back_up(what="content")
    s3.delete(made.id)
    assert s3.names() == [] and _keys(s3) == []
    with pytest.raises(NotFound):
        list(s3.read(made.id, "metadata.json"))


def test_a_flipped_byte_is_found_there_too(home: Home, s3: ObjectShelf) -> None:
    made = home.back_up(what="db")
    path = f"{made.id}/database.sql.gz"
    raw = bytearray(b"".join(s3.stream(path)))
    raw[len(raw) // 2] ^= 1
    s3.store(path, [bytes(raw)])
    with pytest.raises(BackupError):
        verify(Backup.at(s3, made.id), Progress())


class OtherStorage:
    """Some storage that is neither files nor S3, and reads what it gets whole."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        start = f"{path}/" if path else ""
        names = [name.removeprefix(start) for name in self.files if name.startswith(start)]
        folders = {name.split("/")[0] for name in names if "/" in name}
        return sorted(folders), [name for name in names if "/" not in name]

    def exists(self, name: str) -> bool:
        return name in self.files

    def save(self, name: str, file: Any) -> str:
        self.files[name] = file.read()
        return name

    def open(self, name: str, mode: str) -> io.BytesIO:
        return io.BytesIO(self.files[name])

    def size(self, name: str) -> int:
        return len(self.files[name])

    def delete(self, name: str) -> None:
        self.files.pop(name, None)


def test_any_other_storage_will_do(home: Home) -> None:
    shelf = ObjectShelf(OtherStorage(), "other")
    draft = shelf.begin("backup_20260101_000000")

    def chunks() -> Chunks:
        return [b"a" * 1_000, b"b"]

    draft.put("content.tar.gz", chunks())
    assert shelf.names() == []
    assert b"".join(draft.read("content.tar.gz")) == b"".join(chunks())
    draft.commit(json.dumps({}).encode())
    assert shelf.names() == ["backup_20260101_000000"]
    shelf.delete("backup_20260101_000000")
    assert not shelf.exists("backup_20260101_000000")
