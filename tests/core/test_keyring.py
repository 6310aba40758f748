"""Credentials at rest: sealed, rotated, and honest about a missing key."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from apps.core import keyring
from apps.scheduling.models import SocialAccount


@pytest.fixture(autouse=True)
def own_keys(settings: Settings, tmp_path: Path) -> Path:
    settings.KEYS_DIR = tmp_path
    return tmp_path


def stored(account: SocialAccount) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM scheduling_socialaccount")
        return str(cursor.fetchone()[0])


@pytest.fixture
def sealed(wall: SocialAccount) -> SocialAccount:
    wall.credentials = {"token": "very secret"}
    wall.save()
    wall.refresh_from_db()
    return wall


def test_a_credential_is_not_readable_in_the_row_or_in_print(sealed: SocialAccount) -> None:
    assert "secret" not in stored(sealed)
    assert "secret" not in f"{sealed.credentials!r} {sealed.credentials}"
    assert sealed.credentials.open() == {"token": "very secret"}


def test_rotation_reseals_every_row_and_may_forget_the_old_key(sealed: SocialAccount) -> None:
    old = sealed.credentials.key_id
    call_command("rotate_keys", "--forget-unused")
    sealed.refresh_from_db()
    assert sealed.credentials.key_id != old
    assert list(keyring.keys()) == [sealed.credentials.key_id]
    assert sealed.credentials.open() == {"token": "very secret"}


def test_nothing_beside_the_keys_is_open_to_others_whatever_the_umask(
    wall: SocialAccount, own_keys: Path
) -> None:
    before = os.umask(0o022)
    try:
        call_command("rotate_keys")
    finally:
        os.umask(before)
    files = list(own_keys.iterdir())
    assert {each.suffix for each in files} >= {".lock"}
    assert all(each.stat().st_mode & 0o077 == 0 for each in files)


def test_without_its_key_a_credential_says_so(sealed: SocialAccount, own_keys: Path) -> None:
    keyring.key_file().unlink()
    keyring.add_key()
    with pytest.raises(keyring.KeyMissing):
        sealed.credentials.open()


def test_the_key_file_is_private(own_keys: Path) -> None:
    keyring.seal(b"x")
    assert keyring.key_file().stat().st_mode & 0o077 == 0


def test_many_first_users_at_once_end_with_one_key(own_keys: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        values = list(pool.map(lambda _: keyring.seal(b"x"), range(64)))
    assert {keyring.unseal(value) for value in values} == {b"x"}
    assert len(keyring.keys()) == 1
