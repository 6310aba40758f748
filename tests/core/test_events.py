"""Named events, the audit trail and leases: small promises that others stand on."""

from datetime import timedelta

import pytest
from django.db import models
from django.utils import timezone
from pytest_django import Settings

from apps.core import audit, events
from apps.core.models import AppendOnlyError, AuditEntry, EventHandling, Lease, User
from apps.core.running import leases

pytestmark = pytest.mark.django_db

heard: list[str] = []


def hear(*, word: str) -> None:
    heard.append(word)


def stumble(*, word: str) -> None:
    raise ValueError(word)


def test_every_handler_hears_and_the_journal_says_who_failed(settings: Settings) -> None:
    heard.clear()
    settings.EVENTS = {"spoken": [f"{__name__}.stumble", f"{__name__}.hear"]}
    with pytest.raises(events.EventFailed, match="stumble"):
        events.emit("spoken", word="hello")
    assert heard == ["hello"]
    journal = {row.handler.rpartition(".")[2]: row for row in EventHandling.objects.all()}
    assert journal["stumble"].error == "ValueError: hello"
    assert journal["stumble"].finished_at is None
    assert journal["hear"].finished_at is not None


def test_an_event_nobody_listens_to_is_no_error() -> None:
    events.emit("nobody cares", word="x")


def test_the_audit_trail_cannot_be_rewritten(kei: User) -> None:
    entry = audit.record(actor=kei, action="publish", about=kei, why="test")
    entry.action = "nothing"
    with pytest.raises(AppendOnlyError):
        entry.save()
    with pytest.raises(AppendOnlyError):
        entry.delete()
    with pytest.raises(AppendOnlyError):
        AuditEntry.objects.all().delete()
    with pytest.raises(AppendOnlyError):
        AuditEntry.objects.update(action="nothing")


def test_the_audit_trail_outlives_its_actor(kei: User) -> None:
    audit.record(actor=kei, action="publish")
    models.query.QuerySet(User).filter(pk=kei.pk).delete()
    assert AuditEntry.objects.get().actor_name == "kei"


def test_one_holder_at_a_time_and_the_next_after_expiry() -> None:
    assert leases.take("beat", holder="a", seconds=30)
    assert leases.take("beat", holder="a", seconds=30)
    assert not leases.take("beat", holder="b", seconds=30)
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert leases.take("beat", holder="b", seconds=30)
    leases.give_back("beat", holder="a")
    assert not leases.take("beat", holder="a", seconds=30)


def test_a_dead_process_of_this_machine_frees_its_lease() -> None:
    dead = leases.this_process().rpartition(":")[0] + ":4194300"
    leases.take("beat", holder=dead, seconds=30)
    leases.bury_the_dead("beat")
    assert leases.take("beat", holder=leases.this_process(), seconds=30)
    leases.bury_the_dead("beat")
    assert not leases.take("beat", holder="other", seconds=30)
