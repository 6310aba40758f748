"""Backup and restore killed at random: never a wrong listing, never a mixed state.

Each kill is a SIGKILL to a real process, forked from this one so that hundreds fit in minutes;
pg_dump and psql below it are their own processes, as in production. `--kills` is shared: half of
them hit backups, half restores.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.backups import checks, journal, restoring
from apps.backups.errors import BackupError
from apps.backups.journal import Step
from apps.backups.progress import Progress
from apps.backups.verifying import verify
from apps.personas.models import Persona
from apps.scheduling.models import Post
from tests.backups.conftest import Home, bare, home  # noqa: F401 - fixtures

pytestmark = pytest.mark.faults

# Kills that came after the work was done prove nothing and are not counted.
TRIES_PER_KILL = 3


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a process of its own; gives its pid."""
    connection.close()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        work()
        code = 0
    except BackupError as error:
        code = error.exit_code
    finally:
        os._exit(code)


def ended(pid: int) -> int | None:
    """The exit code, negative for a signal; None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def kill(pid: int) -> bool:
    """SIGKILL; True when it hit a living process."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def timed(work: Callable[[], object]) -> float:
    """How long an undisturbed run takes in its own process."""
    started = time.monotonic()
    pid = forked(work)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.monotonic() - started


def test_killed_backups_are_never_listed(home: Home, kills: int) -> None:  # noqa: F811
    wanted = kills // 2
    took = timed(home.back_up)
    known = set(home.shelf().names())
    hits = finished = 0
    for _ in range(wanted * TRIES_PER_KILL):
        if hits == wanted:
            break
        pid = forked(home.back_up)
        time.sleep(random.uniform(0, took * 1.1))
        hits += kill(pid)
        for name in set(home.shelf().names()) - known:
            # Listed means whole, even when the kill came right after the rename.
            verify(home.open(name), Progress())
            known.add(name)
            finished += 1
        if len(known) > 30:
            for name in sorted(known)[:-3]:
                home.shelf().delete(name)
                known.discard(name)
    assert hits == wanted
    home.back_up()
    left = [path.name for path in home.backups.iterdir() if path.name.startswith(".")]
    assert left == []
    print(f"\n{hits} backups killed; all {finished} that were listed meanwhile are whole")


def _state(home: Home) -> tuple[Any, Any]:  # noqa: F811
    try:
        connection.close()
        return home.posts(), home.files()
    finally:
        connection.close()


def test_killed_restores_are_old_or_new(home: Home, kills: int) -> None:  # noqa: F811
    wanted = kills // 2
    first = home.back_up()
    states = {first.id: _state(home)}
    Persona.objects.update(name="Other")
    Post.objects.filter(text="plain").update(text="changed")
    (home.content / "media" / "2026" / "photo.jpg").unlink()
    (home.content / "second.txt").write_text("second")
    second = home.back_up()
    states[second.id] = _state(home)
    took = timed(lambda: home.restore(first.id))
    now, hits = first.id, 0
    seen: Counter[str] = Counter()
    for number in range(wanted * TRIES_PER_KILL):
        if hits == wanted:
            break
        target = second.id if now == first.id else first.id
        pid = forked(partial(home.restore, target))
        _wait(took, close_to_the_switch=bool(number % 2))
        if not kill(pid):
            # It was faster.
            now = target
            assert _state(home) == states[now]
            _forget_the_past(home)
            continue
        hits += 1
        note = journal.unfinished()
        seen[str(note.step) if note else "done or not begun"] += 1
        if note is None:
            state = _state(home)
            assert state in states.values()
            now = next(name for name, known in states.items() if known == state)
        elif note.step in (Step.STAGING, Step.STAGED):
            assert _state(home) == states[now], "something live was touched too early"
            now = _recover(home, states, now, target, took)
        else:
            assert [each.id for each in checks.no_restore_was_cut_short()] == ["backups.E003"]
            now = _recover(home, states, now, target, took)
        assert journal.unfinished() is None
        assert _state(home) == states[now]
        _forget_the_past(home)
        for name in home.shelf().names():
            if name not in states:
                home.shelf().delete(name)
    assert hits == wanted
    print(f"\n{hits} restores killed, found at: {dict(seen)}")


def _wait(took: float, *, close_to_the_switch: bool) -> None:
    if not close_to_the_switch:
        time.sleep(random.uniform(0, took * 1.05))
        return
    deadline = time.monotonic() + took * 3
    while time.monotonic() < deadline:
        with suppress(ValueError, FileNotFoundError):
            note = journal.unfinished()
            if note is not None and note.step not in (Step.STAGING,):
                break
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.1))


def _recover(home: Home, states: dict[str, Any], now: str, target: str, took: float) -> str:  # noqa: F811, E501
    """Finish or undo, sometimes killed in the middle as well; gives what must be there now."""
    while True:
        back = random.random() < 0.5
        work: Callable[[], object] = (
            (lambda: restoring.rollback(Progress()))
            if back
            else (lambda: restoring.resume(restoring.Wish(name="")))
        )
        pid = forked(work)
        if random.random() < 0.3:
            time.sleep(random.uniform(0, took / 2))
            if kill(pid):
                if journal.unfinished() is None:
                    # Killed after its last step: whichever way it went, it is complete.
                    return target if _state(home) == states[target] else now
                continue
        else:
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == 0
        return now if back else target


def _forget_the_past(home: Home) -> None:  # noqa: F811
    restoring.drop_previous(now=timezone.now() + timedelta(days=8))
    connection.close()
