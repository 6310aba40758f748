"""What a person at a terminal sees: progress that rewrites itself, colours, a question."""

import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from apps.backups.management.commands import backup, restore
from tests.backups.conftest import Home

Type = Callable[..., tuple[int, str]]


@pytest.fixture
def at_terminal(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Type]:
    """`at_terminal("restore", "latest", typed="yes\\n")` gives the exit code and the screen."""
    handler = signal.getsignal(signal.SIGTERM)
    theirs, ours = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def run(verb: str, *arguments: str, typed: str = "") -> tuple[int, str]:
        command = {"backup": backup.Command, "restore": restore.Command}[verb]()
        os.write(theirs, typed.encode())
        with (
            os.fdopen(os.dup(ours)) as keyboard,
            os.fdopen(os.dup(ours), "w") as screen,
            monkeypatch.context() as seated,
        ):
            seated.setattr(sys, "stdin", keyboard)
            seated.setattr(sys, "stderr", screen)
            with pytest.raises(SystemExit) as ended:
                command.run_from_argv(["manage.py", verb, *arguments])
        os.set_blocking(theirs, False)
        shown = b""
        with suppress(BlockingIOError):
            while part := os.read(theirs, 65_536):
                shown += part
        return int(ended.value.code or 0), shown.decode()

    yield run
    signal.signal(signal.SIGTERM, handler)
    os.close(theirs)
    os.close(ours)


def test_progress_rewrites_its_line_and_goes_at_the_end(at_terminal: Type) -> None:
    code, screen = at_terminal("backup")
    assert code == 0
    assert "\r\x1b[K\x1b[1mDatabase\x1b[0m" in screen and "Reading back" in screen
    assert screen.endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("name", "value", "what"), [("NO_COLOR", "1", "\x1b[1m"), ("TERM", "dumb", "\x1b")]
)
def test_no_colour_where_none_is_wanted(
    at_terminal: Type, monkeypatch: pytest.MonkeyPatch, name: str, value: str, what: str
) -> None:
    monkeypatch.setenv(name, value)
    code, screen = at_terminal("backup", "--only", "content")
    assert code == 0 and what not in screen


def test_a_restore_asks_for_the_name(at_terminal: Type, home: Home) -> None:
    made = home.back_up()
    home.content.joinpath("later.txt").write_text("later")
    code, screen = at_terminal("restore", "latest", typed="yes\n")
    assert code == 2 and "nothing was changed" in screen
    assert f"replaces the studio with {made.id}" in screen
    assert home.content.joinpath("later.txt").exists()
    code, _ = at_terminal("restore", "latest", typed=f"{made.id}\n")
    assert code == 0
    assert not home.content.joinpath("later.txt").exists()
