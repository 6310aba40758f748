"""Settings from the environment: typed, refused with one line, all of them in .env.example."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gator import env, valkey
from tests.settings import SETTING_NAMES

ROOT = Path(__file__).resolve().parents[2]
Set = Callable[[str], None]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Give the setting X a value."""
    return lambda value: monkeypatch.setenv("X", value)


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("Yes", True), (" off ", False), ("", True)]
)
def test_booleans(given: Set, value: str, meaning: bool) -> None:
    given(value)
    assert env.boolean("X", default=True) is meaning


@pytest.mark.parametrize(
    ("read", "value", "says"),
    [
        (lambda: env.boolean("X", True), "perhaps", "neither yes nor no"),
        (lambda: env.integer("X", 1, at_least=1), "0", "at least 1"),
        (lambda: env.integer("X", 1), "1e3", "not a whole number"),
        (lambda: env.bind("X", ""), "8000", "not HOST:PORT"),
        (lambda: env.bind("X", ""), "localhost:0", "not HOST:PORT"),
        (lambda: env.url("X", schemes=("redis",)), "postgres://a:hush@b", "redis://"),
        (lambda: env.url("X", schemes=("http",)), "http://a:hush@b:port", "not an address"),
    ],
)
def test_a_bad_value_is_named_and_no_password_repeated(
    given: Set, read: Callable[[], Any], value: str, says: str
) -> None:
    given(value)
    with pytest.raises(env.BadSetting, match=f"^X.*{re.escape(says)}") as error:
        read()
    assert "hush" not in str(error.value)


def test_an_ipv6_address_to_listen_on(given: Set) -> None:
    given("[::1]:8000")
    assert env.bind("X", "") == ("::1", 8000)


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("SFTP_STORAGE_PARAMS", '{"port": 2222}', {"port": 2222}),
        ("SFTP_STORAGE_INTERACTIVE", "False", False),
        ("SFTP_STORAGE_FILE_MODE", "0600", 0o600),
        ("SFTP_STORAGE_UID", "1000", 1000),
        ("AWS_QUERYSTRING_AUTH", "false", False),
        ("AWS_ACCESS_KEY_ID", "1234567890", "1234567890"),
        ("AWS_STORAGE_BUCKET_NAME", "studio", "studio"),
    ],
)
def test_a_storages_options_have_their_types(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, meaning: object
) -> None:
    monkeypatch.setenv(name, value)
    found = env.storage_option(name)
    assert (found, type(found)) == (meaning, type(meaning))


def test_a_storages_options_may_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFTP_STORAGE_PARAMS", '{"password": "hush"')
    with pytest.raises(env.BadSetting, match="SFTP_STORAGE_PARAMS is no JSON") as error:
        env.storage_option("SFTP_STORAGE_PARAMS")
    assert "hush" not in str(error.value)
    monkeypatch.setenv("SFTP_STORAGE_DIR_MODE", "rwx")
    with pytest.raises(env.BadSetting, match="octal"):
        env.storage_option("SFTP_STORAGE_DIR_MODE")


def test_folders_are_private_and_never_nested(tmp_path: Path, given: Set) -> None:
    folder = env.folder("X", tmp_path / "a" / "b")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(env.BadSetting, match="lies inside"):
        env.refuse_nesting(A=tmp_path, B=folder)


def test_a_secret_is_made_once_and_only_we_can_read_it(tmp_path: Path, given: Set) -> None:
    path = tmp_path / "secret"
    made = env.kept_secret("X", path)
    assert env.kept_secret("X", path) == made
    assert len(made) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    given("chosen")
    assert env.kept_secret("X", path) == "chosen"


def test_a_file_of_settings_yields_to_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"GATOR_ENV_FILE": str(tmp_path / "e"), "ONE": "kept"})
    (tmp_path / "e").write_text(
        "# words\nONE=lost\nexport TWO='a b # c'\n\nTHREE=  # why\nFOUR=x#y # why\n"
    )
    env.load_file("GATOR_ENV_FILE", Path("absent"))
    found = {name: os.environ[name] for name in ("ONE", "TWO", "THREE", "FOUR")}
    assert found == {"ONE": "kept", "TWO": "a b # c", "THREE": "", "FOUR": "x#y"}


def test_a_line_that_is_no_setting_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATOR_ENV_FILE", str(tmp_path / "e"))
    (tmp_path / "e").write_text("A=1\nhush hush\n")
    with pytest.raises(env.BadSetting, match=r"line 2 is not NAME=value\.$"):
        env.load_file("GATOR_ENV_FILE", Path("absent"))


def test_every_setting_is_in_the_example_and_nothing_else_is() -> None:
    source = "".join(path.read_text() for path in (ROOT / "gator").glob("*.py"))
    # Readers only: env.text("NAME"), env.load_file("NAME", ...), kept_secret("NAME", ...).
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z][A-Z0-9_]+)"', source))
    assert len(read) > 30
    assert set(SETTING_NAMES) == read
    assert len(SETTING_NAMES) == len(set(SETTING_NAMES))


def test_a_long_folder_gets_a_short_private_place_for_sockets(tmp_path: Path) -> None:
    var = tmp_path / ("long" * 30)
    var.mkdir()
    run = valkey.run_dir(var)
    try:
        assert len(str(run / "control.sock")) < 100
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert valkey.run_dir(var) == run
        run.chmod(0o755)
        with pytest.raises(PermissionError):
            valkey.run_dir(var)
    finally:
        run.rmdir()


@pytest.mark.parametrize(
    ("url", "for_celery"),
    [
        ("unix:///run/v.sock?db=3", "redis+socket:///run/v.sock?virtual_host=3"),
        ("rediss://:secret@host:6380/1", "rediss://:secret@host:6380/1?ssl_cert_reqs=required"),
    ],
)
def test_the_same_redis_in_celerys_dialect(url: str, for_celery: str) -> None:
    assert valkey.celery_url(url) == for_celery
