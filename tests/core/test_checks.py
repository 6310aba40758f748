"""What is said at the start instead of at night."""

from pathlib import Path

import pytest
from pytest_django import Settings

from apps.core import checks


def test_keys_that_others_can_read_stop_the_start(settings: Settings, tmp_path: Path) -> None:
    settings.KEYS_DIR = tmp_path
    tmp_path.chmod(0o700)
    key = tmp_path / "credential_keys"
    key.touch(mode=0o600)
    assert checks.keys_are_private() == []
    key.chmod(0o640)
    (message,) = checks.keys_are_private()
    assert (message.id, message.hint) == ("core.E001", f"chmod 600 {key}")


@pytest.mark.parametrize(
    ("host", "url", "found"),
    [
        ("127.0.0.1", "http://localhost:8000", []),
        ("0.0.0.0", "https://gator.example.org", []),
        ("0.0.0.0", "http://localhost:8000", ["core.W001"]),
    ],
)
def test_listening_beyond_this_machine_wants_a_public_address(
    settings: Settings, host: str, url: str, found: list[str]
) -> None:
    settings.GATOR_BIND, settings.GATOR_PUBLIC_URL = (host, 8000), url
    messages = checks.open_to_the_world_means_a_public_address()
    assert [message.id for message in messages] == found
