"""Queues: weekly slots by the persona's clock, each filled once, and posts that come back."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connections
from django.test import Client
from rest_framework.test import APIClient

from apps.core.models import Alert, User
from apps.personas.models import Persona
from apps.scheduling import services, slots, tasks
from apps.scheduling.models import Delivery, Evergreen, Post, QueueSlot, SocialAccount

pytestmark = pytest.mark.django_db

# A Tuesday, 08:00 in Lisbon.
TUESDAY = datetime(2026, 12, 1, 8, tzinfo=UTC)
State = Delivery.State


@pytest.fixture(autouse=True)
def clock() -> Any:
    """The time is TUESDAY until a test moves it."""
    with time_machine.travel(TUESDAY, tick=False) as traveller:
        yield traveller


@pytest.fixture
def queue(wall: SocialAccount) -> SocialAccount:
    """Luna's Wall with three slots a week: Tuesday 09:00 and 18:00, Friday 09:00."""
    for weekday, at in (("tue", "09:00"), ("tue", "18:00"), ("fri", "09:00")):
        QueueSlot.objects.create(account=wall, weekday=weekday, at=at)
    return wall


def body(*accounts: SocialAccount, text: str = "Whenever") -> dict[str, Any]:
    return {
        "persona": str(accounts[0].persona_id),
        "accounts": [str(each.pk) for each in accounts],
        "text": text,
    }


def put(api: APIClient, *accounts: SocialAccount, status: int = 201) -> Any:
    answer = api.post("/api/v1/posts/queue/", body(*accounts), format="json")
    assert answer.status_code == status, answer.json()
    return answer.json()


def times() -> list[str]:
    return [f"{each.scheduled_at:%m-%d %H:%M}" for each in Post.objects.order_by("scheduled_at")]


# -- Slots --------------------------------------------------------------------------------------


def test_an_accounts_slots_are_set_as_a_whole_and_the_next_free_one_is_said(
    api: APIClient, wall: SocialAccount
) -> None:
    path = f"/api/v1/accounts/{wall.pk}/slots/"
    setting = f"/api/v1/accounts/{wall.pk}/set-slots/"
    assert api.get(path).json()["next_free"] == {"at": None, "local": None}
    given = [{"weekday": "tue", "at": "09:00"}, {"weekday": "mon", "at": "07:30"}]
    answer = api.post(setting, {"slots": given}, format="json").json()
    assert answer["zone"] == "Europe/Lisbon"
    assert [each["weekday"] for each in answer["slots"]] == ["mon", "tue"]
    assert answer["next_free"]["local"] == "2026-12-01T09:00"
    answer = api.post(setting, {"slots": given[1:] * 2}, format="json").json()
    assert answer["slots"] == [{"weekday": "mon", "at": "07:30"}]
    for wrong in ({"weekday": "someday", "at": "09:00"}, {"weekday": "mon", "at": "25:00"}):
        assert api.post(setting, {"slots": [wrong]}, format="json").status_code == 400


def test_queued_posts_fill_one_free_slot_after_the_other(
    api: APIClient, queue: SocialAccount
) -> None:
    services.schedule_post(
        services.Draft(
            persona=queue.persona,
            accounts=[queue],
            text="By hand, in the very slot",
            scheduled_at=datetime(2026, 12, 1, 18, tzinfo=UTC),
        ),
        by=None,
    )
    for _ in range(3):
        put(api, queue)
    assert times() == ["12-01 09:00", "12-01 18:00", "12-04 09:00", "12-08 09:00"]


def test_each_account_has_a_queue_of_its_own(
    api: APIClient, queue: SocialAccount, luna: Persona
) -> None:
    other = SocialAccount.objects.create(persona=luna, network="wall", handle="luna2")
    answer = put(api, queue, other, status=422)
    assert answer["errors"][0]["code"] == "no_slot"
    assert times() == []
    QueueSlot.objects.create(account=other, weekday="thu", at="12:00")
    posts = put(api, queue, other)
    assert [post["scheduled_at"][:16] for post in posts] == ["2026-12-01T09:00", "2026-12-03T12:00"]
    assert [len(post["deliveries"]) for post in posts] == [1, 1]


def test_a_cancelled_or_moved_post_frees_its_slot(api: APIClient, queue: SocialAccount) -> None:
    first, second = put(api, queue)[0], put(api, queue)[0]
    api.post(f"/api/v1/posts/{first['id']}/cancel/")
    later = {"scheduled_at": "2026-12-03T12:00:00Z"}
    assert api.patch(f"/api/v1/posts/{second['id']}/", later, format="json").status_code == 200
    put(api, queue)
    put(api, queue)
    waiting = Post.objects.exclude(deliveries__state=State.CANCELLED).order_by("scheduled_at")
    assert [f"{each.scheduled_at:%m-%d %H:%M}" for each in waiting] == [
        "12-01 09:00", "12-01 18:00", "12-03 12:00",
    ]  # fmt: skip


def test_a_slot_keeps_its_wall_time_and_one_that_the_clocks_skip_comes_later(
    api: APIClient, wall: SocialAccount, clock: Any, kei: User
) -> None:
    QueueSlot.objects.create(account=wall, weekday="sun", at="01:30")
    clock.move_to(datetime(2027, 3, 20, tzinfo=UTC))
    api.force_login(kei)
    for _ in range(3):
        put(api, wall)
    assert times() == ["03-21 01:30", "03-28 01:30", "04-04 00:30"]


@pytest.mark.django_db(transaction=True)
def test_people_who_ask_at_the_same_moment_never_get_the_same_slot(queue: SocialAccount) -> None:
    start, failed = threading.Barrier(6), []
    draft = services.Draft(persona=queue.persona, accounts=[queue], text="Me", scheduled_at=TUESDAY)

    def work() -> None:
        try:
            start.wait()
            slots.queue_post(draft, by=None)
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert len(times()) == 6
    assert len(set(times())) == 6


def test_the_database_itself_refuses_a_second_post_in_a_slot(
    api: APIClient, queue: SocialAccount
) -> None:
    put(api, queue)
    put(api, queue)
    first, second = Delivery.objects.order_by("due_at")
    with pytest.raises(IntegrityError):
        Delivery.objects.filter(pk=second.pk).update(slot_at=first.slot_at)


# -- Evergreens ---------------------------------------------------------------------------------


@pytest.fixture
def evergreen(api: APIClient, queue: SocialAccount) -> Evergreen:
    """A post of this morning that comes back after ten days."""
    post = put(api, queue)[0]
    answer = api.post(
        "/api/v1/evergreens/",
        {"post": post["id"], "account": str(queue.pk), "distance": "P10D"},
        format="json",
    )
    assert answer.status_code == 201, answer.json()
    return Evergreen.objects.get()


def out() -> None:
    Delivery.objects.filter(state=State.SCHEDULED).update(state=State.PUBLISHED)


def test_an_evergreen_comes_back_in_the_first_slot_after_its_distance(
    evergreen: Evergreen, clock: Any
) -> None:
    tasks.requeue_evergreens()
    assert times() == ["12-01 09:00"], "it is not even out yet"
    out()
    tasks.requeue_evergreens()
    assert times() == ["12-01 09:00"], "its slot is more than a week ahead"
    clock.move_to(TUESDAY + timedelta(days=7))
    tasks.requeue_evergreens()
    tasks.requeue_evergreens()
    assert times() == ["12-01 09:00", "12-11 09:00"]
    evergreen.refresh_from_db()
    copy = evergreen.latest
    assert copy is not None
    assert (copy.text, copy.deliveries.get().slot_at) == ("Whenever", copy.scheduled_at)
    out()
    clock.move_to(TUESDAY + timedelta(days=20))
    tasks.requeue_evergreens()
    assert times()[-1] == "12-22 09:00", "ten days after the 11th is past: the next free one"


def test_a_resting_evergreen_stays_away(api: APIClient, evergreen: Evergreen, clock: Any) -> None:
    out()
    path = f"/api/v1/evergreens/{evergreen.pk}/"
    assert api.patch(path, {"is_active": False}, format="json").status_code == 200
    clock.move_to(TUESDAY + timedelta(days=7))
    tasks.requeue_evergreens()
    assert len(times()) == 1
    assert api.patch(path, {"distance": "PT1S"}, format="json").status_code == 422
    assert api.patch(path, {"post": str(evergreen.post_id)}, format="json").status_code == 422
    assert api.delete(path).status_code == 204


def test_an_evergreen_that_no_longer_fits_says_so(
    evergreen: Evergreen, queue: SocialAccount, clock: Any
) -> None:
    out()
    queue.status = SocialAccount.Status.PAUSED
    queue.save()
    clock.move_to(TUESDAY + timedelta(days=7))
    tasks.requeue_evergreens()
    evergreen.refresh_from_db()
    assert "is paused" in evergreen.problem
    assert Alert.objects.get(key=f"evergreen:{evergreen.pk}").body == evergreen.problem


def test_evergreens_that_need_approval_are_asked_about_once_a_round(
    api: APIClient, queue: SocialAccount, luna: Persona, clock: Any
) -> None:
    for post in put(api, queue) + put(api, queue):
        wanted = {"post": post["id"], "account": str(queue.pk), "distance": "P10D"}
        assert api.post("/api/v1/evergreens/", wanted, format="json").status_code == 201
    out()
    luna.needs_approval = True
    luna.save()
    clock.move_to(TUESDAY + timedelta(days=12))
    assert tasks.requeue_evergreens() == 2
    assert Post.objects.filter(approval=Post.Approval.IN_REVIEW).count() == 2
    [alert] = Alert.objects.filter(key__startswith="approval")
    assert alert.title == "For approval: 2 posts coming back"


def test_only_a_post_of_the_account_with_slots_can_come_back(
    api: APIClient, evergreen: Evergreen, luna: Persona
) -> None:
    other = SocialAccount.objects.create(persona=luna, network="wall", handle="luna2")
    post = {"post": str(evergreen.post_id), "distance": "P10D"}
    for given, code in (
        ({**post, "account": str(other.pk)}, "unknown"),
        ({**post, "account": str(evergreen.account_id)}, "taken"),
        ({**post, "account": str(evergreen.account_id), "distance": "PT5M"}, "out_of_range"),
    ):
        answer = api.post("/api/v1/evergreens/", given, format="json")
        assert answer.status_code == 422, answer.json()
        assert answer.json()["errors"][0]["code"] == code


# -- In the admin -------------------------------------------------------------------------------


def test_the_composer_offers_the_next_free_slot_and_fills_it(
    as_kei: Client, queue: SocialAccount
) -> None:
    add = "/admin/scheduling/post/add/"
    assert "Into the next free slot" in as_kei.get(add).content.decode()
    typed = {"text": "Whenever", "accounts": [str(queue.pk)], "zone": "Europe/Lisbon",
             "too_late": "86400", "queue": "1"}  # fmt: skip
    as_kei.post(add, typed)
    as_kei.post(add, typed)
    assert times() == ["12-01 09:00", "12-01 18:00"]


def test_an_evergreen_is_made_and_rested_by_hand(as_kei: Client, queue: SocialAccount) -> None:
    draft = services.Draft(
        persona=queue.persona, accounts=[queue], text="Whenever", scheduled_at=TUESDAY
    )
    post = slots.queue_post(draft, by=None)[0]
    add = "/admin/scheduling/evergreen/add/"
    typed = {"post": str(post.pk), "account": str(queue.pk), "days": "40", "is_active": "on"}
    as_kei.post(add, {**typed, "days": "0"})
    assert not Evergreen.objects.exists()
    as_kei.post(add, typed)
    row = Evergreen.objects.get()
    assert (row.distance, row.is_active) == (timedelta(days=40), True)
    as_kei.post(f"/admin/scheduling/evergreen/{row.pk}/change/", {"days": "50"})
    row.refresh_from_db()
    assert (row.distance, row.is_active) == (timedelta(days=50), False)
