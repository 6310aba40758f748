"""What people may ask of scheduling, and how it says no."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django import Settings

from apps.core.models import AuditEntry, User
from apps.personas.models import Persona
from apps.scheduling import publishing, recovery, services
from apps.scheduling.models import Delivery, Post, SocialAccount
from apps.scheduling.publishers.base import Permanent, Unconfirmed
from tests.scheduling.conftest import NetworkOf
from tests.scheduling.conftest import Post as DuePost
from tests.scheduling.test_publishing import expire_lease, raising, state_of

pytestmark = pytest.mark.django_db(transaction=True)

State = Delivery.State
HOUR = timedelta(hours=1)


def draft(account: SocialAccount, **changes: Any) -> services.Draft:
    wanted: dict[str, Any] = {
        "persona": account.persona,
        "accounts": [account],
        "text": "Good morning",
        "scheduled_at": timezone.now() + HOUR,
    }
    return services.Draft(**(wanted | changes))


def codes(refusal: pytest.ExceptionInfo[services.Refused]) -> set[tuple[str, str]]:
    return {(field, code) for field, code, _ in refusal.value.problems}


# -- Scheduling ---------------------------------------------------------------------------------


def test_a_post_has_one_delivery_per_account_each_with_its_own_key(
    network: NetworkOf, account_on: Callable[[str], SocialAccount], kei: User
) -> None:
    network("keyed")
    accounts = [account_on("keyed"), account_on("listable")]
    post = services.schedule_post(draft(accounts[0], accounts=accounts), by=kei)
    rows = list(post.deliveries.all())
    assert {row.state for row in rows} == {State.SCHEDULED}
    assert len({row.key for row in rows}) == 2
    assert post.created_by == kei


def test_each_way_of_asking_for_the_impossible_names_its_field(
    network: NetworkOf, account_on: Callable[[str], SocialAccount], marlow: Persona
) -> None:
    network("keyed")
    account = account_on("keyed")
    his = SocialAccount.objects.create(persona=marlow, network="keyed", handle="marlow")
    cases: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"scheduled_at": timezone.now() - HOUR}, ("scheduled_at", "in_the_past")),
        ({"accounts": []}, ("accounts", "required")),
        ({"accounts": [account, account]}, ("accounts", "repeated")),
        ({"accounts": [his]}, ("accounts", "another_persona")),
        ({"text": "x" * 301}, ("text", "text_too_long")),
        ({"text": ""}, ("text", "empty")),
        ({"overrides": {"nobody": {"text": "x"}}}, ("overrides", "unknown_account")),
        ({"overrides": {str(account.pk): {"txt": "x"}}}, ("overrides", "unknown_field")),
        ({"overrides": {str(account.pk): {"text": "x" * 301}}}, ("overrides", "text_too_long")),
        ({"too_late_after": timedelta()}, ("too_late_after", "not_positive")),
    ]
    for changes, expected in cases:
        with pytest.raises(services.Refused) as refusal:
            services.schedule_post(draft(account, **changes), by=None)
        assert expected in codes(refusal), changes
    assert Post.objects.count() == 0


def test_a_post_due_at_once_wakes_a_worker_after_the_commit(
    account_on: Callable[[str], SocialAccount],
    network: NetworkOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network("keyed")
    woken: list[Any] = []
    monkeypatch.setattr("apps.scheduling.tasks.wake", lambda ids, at: woken.append(ids))
    post = services.schedule_post(draft(account_on("keyed"), scheduled_at=timezone.now()), by=None)
    assert woken == [[post.deliveries.get().pk]]
    services.schedule_post(draft(account_on("keyed")), by=None)
    assert len(woken) == 1


def test_a_wake_up_to_a_dead_broker_is_quick_and_fails_nothing(tmp_path: Path) -> None:
    program = (
        "import time, uuid; from apps.scheduling import tasks; started = time.monotonic();"
        "tasks.wake([uuid.uuid4()]); print('took', time.monotonic() - started)"
    )
    shell = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", program],
        env={**os.environ, "GATOR_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "gator.settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the sweep will find them" in shell.stderr
    # A person waits for this answer.
    assert float(shell.stdout.split()[-1]) < 2


# -- Changing -----------------------------------------------------------------------------------


def test_a_waiting_post_can_be_changed_and_a_published_one_cannot(due_post: DuePost) -> None:
    delivery = due_post("keyed")
    services.change_post(delivery.post, draft(delivery.account, text="Better"), by=None)
    Delivery.objects.update(due_at=timezone.now())
    publishing.publish()
    assert Delivery.objects.get().frozen["text"] == "Better"
    with pytest.raises(services.WrongState):
        services.change_post(delivery.post, draft(delivery.account), by=None)


def test_cancelling_keeps_it_from_going_out(due_post: DuePost, kei: User) -> None:
    delivery = due_post("keyed")
    services.cancel_post(delivery.post, by=kei)
    assert publishing.publish() == {}
    assert state_of(delivery) == State.CANCELLED
    assert AuditEntry.objects.get(action="cancel post").actor == kei
    with pytest.raises(services.WrongState):
        services.cancel_post(delivery.post, by=kei)


def test_publish_now_brings_it_forward(
    account_on: Callable[[str], SocialAccount], network: NetworkOf
) -> None:
    network("keyed")
    post = services.schedule_post(draft(account_on("keyed")), by=None)
    services.publish_now(post, by=None)
    publishing.publish()
    assert post.deliveries.get().state == State.PUBLISHED


def test_a_failed_delivery_is_sent_again_with_its_post_corrected(
    due_post: DuePost, network: NetworkOf
) -> None:
    delivery = due_post("keyed")
    network("keyed").behave = raising(Permanent("no"))
    publishing.publish()
    delivery.refresh_from_db()
    network("keyed").behave = lambda outgoing: None
    services.change_post(delivery.post, draft(delivery.account, text="Milder"), by=None)
    services.publish_now(delivery.post, by=None)
    publishing.publish()
    assert [text for _, text, _ in network("keyed").there] == ["Milder"]


@pytest.mark.parametrize(
    ("answer", "state", "posts"),
    [("posted", "published", 1), ("post_again", "scheduled", 1), ("leave", "cancelled", 1)],
)
def test_a_person_decides_what_no_network_can_tell(
    due_post: DuePost, network: NetworkOf, settings: Settings, answer: str, state: str, posts: int
) -> None:
    settings.PUBLISHING_SETTLE = timedelta()
    delivery = due_post("blind")
    network("blind").answer = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery.reconcile()
    services.resolve_delivery(delivery, answer=answer, by=None)
    assert state_of(delivery) == state
    assert len(network("blind").there) == posts
    with pytest.raises(services.WrongState):
        services.resolve_delivery(delivery, answer=answer, by=None)


# -- After a restore ----------------------------------------------------------------------------


def test_after_a_restore_nothing_goes_out_until_released(due_post: DuePost) -> None:
    delivery = due_post("keyed")
    services.hold_unfinished()
    assert state_of(delivery) == State.HELD
    assert publishing.publish() == {}


def test_releasing_after_a_restore_looks_first_and_never_doubles(
    due_post: DuePost, network: NetworkOf
) -> None:
    delivery = due_post("listable")
    publishing.publish()
    # The backup was made before it went out.
    delivery.attempts.all().delete()
    Delivery.objects.update(state=State.SCHEDULED, frozen={}, remote_url="", published_at=None)
    services.hold_unfinished()
    delivery.refresh_from_db()
    services.release_delivery(delivery, by=None)
    recovery.reconcile()
    assert state_of(delivery) == State.PUBLISHED
    assert len(network("listable").there) == 1


def test_releasing_a_future_post_simply_schedules_it(
    account_on: Callable[[str], SocialAccount], network: NetworkOf
) -> None:
    network("keyed")
    post = services.schedule_post(draft(account_on("keyed")), by=None)
    services.hold_unfinished()
    delivery = services.release_delivery(post.deliveries.get(), by=None)
    assert (delivery.state, delivery.maybe_sent) == (State.SCHEDULED, False)


def test_holding_twice_changes_nothing_more(due_post: DuePost) -> None:
    delivery = due_post("keyed")
    publishing._claim(Delivery.objects.all())
    expire_lease(delivery)
    services.hold_unfinished()
    services.hold_unfinished()
    assert state_of(delivery) == State.HELD
