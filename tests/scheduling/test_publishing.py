"""Never lost, never twice, never early: what holds between a due row and its network."""

import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.core.models import Alert
from apps.personas import services as personas
from apps.personas.models import Publication
from apps.scheduling import publishing, recovery, sending
from apps.scheduling.models import Attempt, Delivery, SocialAccount
from apps.scheduling.publishers.base import (
    NeedsReconnect,
    Outgoing,
    Permanent,
    Receipt,
    Temporary,
    Unconfirmed,
)
from tests.scheduling.conftest import NetworkOf, Post

pytestmark = pytest.mark.django_db(transaction=True)

State = Delivery.State
HOUR = timedelta(hours=1)


def raising(error: Exception) -> Callable[[Outgoing], None]:
    def behave(outgoing: Outgoing) -> None:
        raise error

    return behave


def state_of(delivery: Delivery) -> str:
    delivery.refresh_from_db()
    return str(delivery.state)


def outcomes(delivery: Delivery) -> list[str]:
    return list(delivery.attempts.values_list("outcome", flat=True))


def expire_lease(delivery: Delivery) -> None:
    """As if the worker had been killed and its lease had run out."""
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=timezone.now() - HOUR)


# -- The ordinary way ---------------------------------------------------------------------------


def test_a_due_post_goes_out_once_and_its_persona_remembers_it(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("keyed")
    assert publishing.publish() == {delivery.pk: State.PUBLISHED}
    assert publishing.publish() == {}
    assert state_of(delivery) == State.PUBLISHED
    assert delivery.remote_url == f"https://example.org/{delivery.key}"
    assert len(network("keyed").there) == 1
    assert outcomes(delivery) == ["published"]
    assert Publication.objects.get().text == "Good morning"


def test_a_post_is_never_early(due_post: Post, network: NetworkOf) -> None:
    delivery = due_post("keyed", scheduled_at=timezone.now() + HOUR)
    assert publishing.publish([delivery.pk]) == {}
    assert network("keyed").calls == []


def test_a_wake_up_a_little_early_waits_for_the_moment(due_post: Post, network: NetworkOf) -> None:
    due_at = timezone.now() + timedelta(milliseconds=300)
    delivery = due_post("keyed", scheduled_at=due_at)
    publishing.publish([delivery.pk])
    assert state_of(delivery) == State.PUBLISHED
    assert delivery.attempts.get().started_at >= due_at


def test_a_network_that_hangs_holds_up_no_other(due_post: Post, network: NetworkOf) -> None:
    hung, asked = threading.Event(), threading.Event()

    def hang(outgoing: Outgoing) -> None:
        asked.set()
        hung.wait(20)

    network("blind").behave = hang
    slow = sending.in_thread(publishing.publish, [due_post("blind").pk])
    assert asked.wait(5)
    quick = due_post("keyed")
    assert publishing.publish([quick.pk]) == {quick.pk: State.PUBLISHED}
    assert not slow.done()
    hung.set()
    assert list(slow.result().values()) == [State.PUBLISHED]


def test_two_workers_claiming_at_once_send_once(due_post: Post, network: NetworkOf) -> None:
    deliveries = [due_post("keyed", text=f"Post {number}") for number in range(20)]
    barrier = threading.Barrier(4)

    def worker() -> None:
        barrier.wait()
        sending.in_thread(publishing.publish).result()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(network("keyed").calls) == 20
    assert {state_of(delivery) for delivery in deliveries} == {State.PUBLISHED}


def test_one_slow_account_does_not_hold_up_the_others_records(
    due_post: Post, network: NetworkOf
) -> None:
    fast, slow = due_post("keyed"), due_post("listable")
    seen: list[str] = []

    def wait_for_the_other(outgoing: Outgoing) -> None:
        for _ in range(100):
            seen.append(state_of(fast))
            if seen[-1] == State.PUBLISHED:
                return
            threading.Event().wait(0.02)

    network("listable").behave = wait_for_the_other
    publishing.publish()
    assert seen[-1] == State.PUBLISHED
    assert state_of(slow) == State.PUBLISHED


# -- What networks say --------------------------------------------------------------------------


def test_a_temporary_failure_is_tried_again_later(due_post: Post, network: NetworkOf) -> None:
    delivery = due_post("keyed")
    network("keyed").behave = raising(Temporary("refused", retry_after=40))
    publishing.publish()
    assert state_of(delivery) == State.SCHEDULED
    assert delivery.due_at > timezone.now() + timedelta(seconds=30)
    assert (delivery.retries, delivery.error) == (1, "refused")
    assert outcomes(delivery) == ["temporary"]


def test_a_rate_limit_makes_the_whole_account_wait(due_post: Post, network: NetworkOf) -> None:
    first, second = due_post("keyed", text="one"), due_post("keyed", text="two")
    Delivery.objects.filter(pk=second.pk).update(due_at=timezone.now() + HOUR)
    network("keyed").behave = raising(Temporary("slow down", retry_after=60, whole_account=True))
    publishing.publish()
    network("keyed").behave = lambda outgoing: None
    Delivery.objects.update(due_at=timezone.now())
    assert publishing.publish() == {}
    SocialAccount.objects.update(wait_until=timezone.now())
    publishing.publish()
    assert (state_of(first), state_of(second)) == (State.PUBLISHED, State.PUBLISHED)


def test_a_refusal_is_final_says_the_networks_words_and_tells_people(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("keyed")
    network("keyed").behave = raising(Permanent("The words of the network", code="rejected"))
    publishing.publish()
    assert state_of(delivery) == State.FAILED
    assert (delivery.error, delivery.error_code) == ("The words of the network", "rejected")
    alert = Alert.objects.get()
    assert str(delivery.pk) in alert.path
    assert alert.body == "The words of the network"


def test_refused_credentials_stop_the_account_and_its_posts_wait(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("keyed")
    network("keyed").behave = raising(NeedsReconnect("token revoked"))
    publishing.publish()
    assert state_of(delivery) == State.SCHEDULED
    assert delivery.account.status == SocialAccount.Status.RECONNECT
    assert publishing.publish() == {}
    assert Alert.objects.get().level == "critical"


def test_a_text_that_no_longer_fits_is_refused_before_the_call(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("keyed", text="x" * 300)
    network("keyed").characters = 299
    publishing.publish()
    assert state_of(delivery) == State.FAILED
    assert delivery.error_code == "text_too_long"
    assert network("keyed").calls == []


# -- Lost answers -------------------------------------------------------------------------------


def settle(settings: Settings) -> None:
    settings.PUBLISHING_SETTLE = timedelta()


def test_keyed_network_lost_answer_the_same_key_again_is_one_post(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("keyed")
    network("keyed").answer = raising(Unconfirmed("connection reset"))
    publishing.publish()
    assert state_of(delivery) == State.UNCONFIRMED
    network("keyed").answer = lambda outgoing: None
    recovery.reconcile()
    assert state_of(delivery) == State.SCHEDULED
    publishing.publish()
    assert state_of(delivery) == State.PUBLISHED
    first, second = network("keyed").calls
    assert first == second
    assert len(network("keyed").there) == 1
    assert outcomes(delivery) == ["unconfirmed", "published"]


def test_listable_network_lost_answer_the_post_is_found_and_not_sent_again(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("listable")
    network("listable").answer = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery.reconcile()
    assert state_of(delivery) == State.PUBLISHED
    assert len(network("listable").calls) == 1
    assert outcomes(delivery) == ["unconfirmed", "found"]
    assert Publication.objects.count() == 1


def test_listable_network_lost_request_the_post_is_absent_and_sent_again(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("listable")
    network("listable").behave = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery.reconcile()
    network("listable").behave = lambda outgoing: None
    publishing.publish()
    assert state_of(delivery) == State.PUBLISHED
    assert len(network("listable").there) == 1
    assert outcomes(delivery) == ["unconfirmed", "absent", "published"]


def test_blind_network_lost_answer_waits_for_a_person_and_is_never_resent(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("blind")
    network("blind").answer = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery.reconcile()
    assert state_of(delivery) == State.NEEDS_REVIEW
    publishing.publish()
    recovery.reconcile()
    assert len(network("blind").calls) == 1
    assert "Is it there?" in Alert.objects.get().title


def test_a_network_that_will_not_list_our_posts_leaves_it_to_a_person(
    due_post: Post, network: NetworkOf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(settings)
    delivery = due_post("listable")
    network("listable").answer = raising(Unconfirmed("timeout"))
    publishing.publish()

    def find(account: object, outgoing: Outgoing, since: object) -> None:
        raise Permanent("Listing needs a higher plan.")

    monkeypatch.setattr(type(network("listable")), "find", staticmethod(find))
    recovery.reconcile()
    assert state_of(delivery) == State.NEEDS_REVIEW
    assert "Listing needs a higher plan." in Alert.objects.get().body
    assert len(network("listable").calls) == 1


def test_what_an_unclear_answer_did_say_is_there_when_the_post_is_looked_for(
    due_post: Post, network: NetworkOf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(settings)
    delivery = due_post("listable")
    network("listable").answer = raising(Unconfirmed("processing", progress={"ticket": "7"}))
    publishing.publish()
    seen: list[dict[str, str]] = []

    def find(account: object, outgoing: Outgoing, since: object) -> Receipt:
        seen.append(dict(outgoing.progress))
        return Receipt(remote_id="7")

    monkeypatch.setattr(type(network("listable")), "find", staticmethod(find))
    recovery.reconcile()
    assert seen == [{"ticket": "7"}]
    assert state_of(delivery) == State.PUBLISHED


def test_nobody_looks_before_a_request_under_way_had_time_to_arrive(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("listable")
    network("listable").behave = raising(Unconfirmed("timeout"))
    publishing.publish()
    assert recovery.reconcile() == {}
    assert state_of(delivery) == State.UNCONFIRMED


def test_a_fault_in_an_adapter_counts_as_unconfirmed(due_post: Post, network: NetworkOf) -> None:
    delivery = due_post("keyed")
    network("keyed").behave = raising(ZeroDivisionError("a bug"))
    publishing.publish()
    assert state_of(delivery) == State.UNCONFIRMED


def test_a_refusal_after_a_lost_answer_is_not_called_failed(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("keyed")
    network("keyed").answer = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery.reconcile()
    Delivery.objects.update(due_at=timezone.now())
    network("keyed").behave = raising(Permanent("account suspended"))
    publishing.publish()
    assert state_of(delivery) == State.NEEDS_REVIEW


# -- Dead workers -------------------------------------------------------------------------------


def test_a_worker_that_died_while_uploading_leaves_a_scheduled_post(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("uploading")

    def die(outgoing: Outgoing) -> None:
        assert state_of(delivery) == State.CLAIMED
        assert recovery.reap()["released"] == 0
        expire_lease(delivery)
        assert recovery.reap()["released"] == 1

    network("uploading").upload = die
    # It comes back to life afterwards: its claim is lost, so it sends nothing.
    assert publishing.publish() == {}
    assert network("uploading").calls == []
    assert state_of(delivery) == State.SCHEDULED


def test_a_worker_that_died_while_sending_leaves_an_unconfirmed_post(due_post: Post) -> None:
    delivery = due_post("keyed")
    publishing._claim(Delivery.objects.all())
    expire_lease(delivery)
    recovery.reap()
    assert state_of(delivery) == State.UNCONFIRMED
    assert outcomes(delivery) == ["unconfirmed"]


def test_a_worker_whose_claim_another_took_does_not_send(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("uploading")

    def lose(outgoing: Outgoing) -> None:
        Delivery.objects.filter(pk=delivery.pk).update(claim=uuid4())

    network("uploading").upload = lose
    assert publishing.publish() == {}
    assert network("uploading").calls == []


def test_a_worker_that_slept_too_long_does_not_send(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    delivery = due_post("keyed")
    settings.PUBLISHING_LEASE = timedelta(0)
    assert publishing.publish() == {delivery.pk: State.SCHEDULED}
    assert network("keyed").calls == []
    assert outcomes(delivery) == ["temporary"]


def test_a_receipt_that_comes_after_the_reaper_is_believed(
    due_post: Post, network: NetworkOf
) -> None:
    delivery = due_post("blind")

    def outlive_the_lease(outgoing: Outgoing) -> None:
        expire_lease(delivery)
        recovery.reap()

    network("blind").answer = outlive_the_lease
    publishing.publish()
    assert state_of(delivery) == State.PUBLISHED
    assert outcomes(delivery) == ["published"]


def test_a_reconciler_that_died_gives_way_to_the_next(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("listable")
    network("listable").answer = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery._claim()
    assert recovery.reconcile() == {}
    expire_lease(delivery)
    recovery.reconcile()
    assert state_of(delivery) == State.PUBLISHED


# -- Holds, and what comes too late -------------------------------------------------------------


@pytest.mark.parametrize("whole_studio", [True, False])
def test_nothing_goes_out_while_held_and_everything_after(
    due_post: Post, network: NetworkOf, whole_studio: bool
) -> None:
    delivery = due_post("keyed")
    persona = None if whole_studio else delivery.post.persona
    personas.hold(persona=persona, reason="think first", by=None)
    assert publishing.publish() == {}
    personas.release(persona=persona, by=None)
    publishing.publish()
    assert state_of(delivery) == State.PUBLISHED


def test_another_personas_hold_changes_nothing(due_post: Post, marlow: object) -> None:
    delivery = due_post("keyed")
    personas.hold(persona=marlow, reason="his own matter", by=None)  # type: ignore[arg-type]
    publishing.publish()
    assert state_of(delivery) == State.PUBLISHED


def test_what_waited_past_its_limit_is_missed_and_says_why(due_post: Post) -> None:
    delivery = due_post("keyed", too_late_after=timedelta(minutes=5))
    personas.hold(persona=None, reason="storm", by=None)
    Delivery.objects.update(too_late_at=timezone.now())
    assert recovery.reap()["missed"] == 1
    assert state_of(delivery) == State.MISSED
    assert publishing.publish() == {}
    assert "storm" in Alert.objects.get().body


def test_what_may_be_live_is_looked_for_before_it_is_called_missed(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    settle(settings)
    delivery = due_post("keyed", too_late_after=timedelta(minutes=5))
    network("keyed").answer = raising(Unconfirmed("timeout"))
    publishing.publish()
    recovery.reconcile()
    Delivery.objects.update(too_late_at=timezone.now())
    recovery.reap()
    assert state_of(delivery) == State.UNCONFIRMED
    recovery.reconcile()
    assert state_of(delivery) == State.PUBLISHED
    assert len(network("keyed").there) == 1


def test_the_ledger_outlives_everything(due_post: Post, network: NetworkOf) -> None:
    delivery = due_post("keyed")
    network("keyed").behave = raising(Temporary("no"))
    for _ in range(3):
        Delivery.objects.update(due_at=timezone.now())
        publishing.publish()
    assert Attempt.objects.filter(delivery=delivery).count() == 3
