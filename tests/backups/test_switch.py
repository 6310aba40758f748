"""The seconds of a switch: nobody writes, nothing interrupts, and half of it is never served."""

import shutil
import signal
import threading

import pytest
import redis
from django.conf import settings

from apps.backups import checks, finishing, journal, restoring, writers
from apps.backups.errors import Busy
from apps.backups.stages.files import ContentStage
from tests.backups.conftest import Home
from tests.backups.test_restore import spoil


def test_whoever_comes_to_write_at_the_last_moment_stops_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staged already, nothing live touched: nothing is left to finish or undo."""
    made = home.back_up()
    before = home.everything()
    heard = _an_up(monkeypatch)

    def somebody_is_there() -> None:
        raise Busy("Stop these first: beat.")

    monkeypatch.setattr(writers, "refuse_living", somebody_is_there)
    with pytest.raises(Busy):
        home.restore(made.id)
    assert journal.all_journals() == []
    assert heard[-2:] == ["stop-writers", "start-writers"]
    shutil.rmtree(home.var / "restores")
    for safety in set(home.shelf().names()) - {made.id}:
        home.shelf().delete(safety)
    assert home.everything() == before


def test_a_switch_that_can_go_neither_way_lets_nobody_write(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = home.back_up()
    posts, files = home.posts(), home.files()
    spoil(home)
    heard = _an_up(monkeypatch)

    def stuck(self: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(ContentStage, "switch", stuck)
        broken.setattr(ContentStage, "unswitch", stuck)
        with pytest.raises(OSError, match="Input/output"):
            home.restore(made.id)
    assert heard[-1] == "stop-writers"
    assert [each.id for each in checks.no_restore_was_cut_short()] == ["backups.E003"]
    assert restoring.resume(restoring.Wish(name="")).restored
    assert (home.posts(), home.files()) == (posts, files)
    assert heard[-1] == "start-writers"


def test_ctrl_c_waits_for_the_switch(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = home.back_up()
    files = home.files()
    (home.content / "later.txt").write_text("later")

    def interrupted(*, has_database: bool) -> None:
        # To this thread: a test run may have others, which do not hold it back.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    monkeypatch.setattr(finishing, "smoke_test", interrupted)
    assert home.restore(made.id).restored, "it was done by then, and says so"
    assert home.files() == files and journal.unfinished() is None


def test_queues_hold_hints_about_another_time(home: Home) -> None:
    made = home.back_up(what="content")
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        for queue in ("publishing", "work"):
            valkey.lpush(queue, "a hint about a row that may be gone")
        home.restore(made.id)
        assert [valkey.llen(queue) for queue in ("publishing", "work")] == [0, 0]


def _an_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an `up` would have been asked."""
    heard: list[str] = []

    def ask(verb: str) -> dict[str, bool]:
        heard.append(verb)
        return {"ok": True}

    monkeypatch.setattr(writers, "ask_up", ask)
    return heard
