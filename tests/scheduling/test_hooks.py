"""Webhooks are told of every outcome once it is true, and of nothing else."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.core import alerts
from apps.core.models import Alert, AuditEntry
from apps.personas.models import Persona
from apps.scheduling import digest, hooking, hooks, publishing, recovery, services
from apps.scheduling.models import Delivery, WebhookEndpoint, WebhookMessage
from apps.scheduling.publishers.base import Permanent, Temporary, Unconfirmed
from tests.scheduling.conftest import NetworkOf, Post

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver:
    """Somebody's server: answers what it is told to, keeps what it got."""

    def __init__(self) -> None:
        self.got: list[httpx.Request] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(204)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        return self.answer()

    def send(self) -> dict[str, int]:
        return hooks.send_due(transport=httpx.MockTransport(self))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def endpoint(db: None) -> WebhookEndpoint:
    return hooking.add_endpoint(name="Mine", url="https://hook.example/gator?t=1", by=None)[0]


def refuse(error: Exception) -> Callable[[Any], None]:
    def behave(outgoing: Any) -> None:
        raise error

    return behave


def events() -> list[str]:
    return list(WebhookMessage.objects.order_by("created_at").values_list("event", flat=True))


# -- What is told -------------------------------------------------------------------------------


def test_a_message_is_signed_as_the_standard_says(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post
) -> None:
    delivery = due_post("keyed")
    publishing.publish([delivery.pk])
    assert receiver.got == []
    assert receiver.send()["delivered"] == 1
    [request] = receiver.got
    body = json.loads(request.content)
    assert body["type"] == "delivery.published"
    assert body["data"]["id"] == str(delivery.pk)
    assert body["data"]["url"].startswith("https://example.org/")
    number, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    key = base64.b64decode(endpoint.secret.open()["secret"].removeprefix("whsec_"))
    signed = f"{number}.{stamp}.".encode() + request.content
    digest_ = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{digest_}"
    assert WebhookMessage.objects.get().state == "delivered"


def test_each_outcome_has_its_event(
    endpoint: WebhookEndpoint, due_post: Post, network: NetworkOf
) -> None:
    network("keyed").behave = refuse(Permanent("No."))
    publishing.publish([due_post("keyed").pk])
    network("blind").behave = refuse(Unconfirmed("Silence."))
    publishing.publish([due_post("blind").pk])
    Delivery.objects.filter(state="unconfirmed").update(due_at=timezone.now())
    recovery.reconcile()
    late = due_post("listable", scheduled_at=timezone.now())
    Delivery.objects.filter(pk=late.pk).update(too_late_at=timezone.now())
    recovery.reap()
    assert events() == ["delivery.failed", "delivery.needs_review", "delivery.missed"]
    failed = WebhookMessage.objects.get(event="delivery.failed")
    assert failed.body["data"]["error"] == "No."
    review = Delivery.objects.get(state="needs_review")
    services.resolve_delivery(review, answer="posted", url="https://there.example/", by=None)
    told = WebhookMessage.objects.get(event="delivery.published").body["data"]
    assert told["url"] == "https://there.example/"


def test_what_is_not_over_is_not_told(
    endpoint: WebhookEndpoint, due_post: Post, network: NetworkOf
) -> None:
    network("keyed").behave = refuse(Temporary("Later."))
    publishing.publish([due_post("keyed").pk])
    assert events() == []


def test_an_endpoint_hears_of_what_it_asked_for(
    due_post: Post, network: NetworkOf, marlow: Persona
) -> None:
    hooking.add_endpoint(name="M", url="https://m.example", persona=marlow, by=None)
    hooking.add_endpoint(name="F", url="https://f.example", events=["delivery.failed"], by=None)
    hooking.add_endpoint(name="Off", url="https://o.example", is_active=False, by=None)
    hooking.add_endpoint(name="All", url="https://a.example", by=None)
    publishing.publish([due_post("keyed").pk])
    assert WebhookMessage.objects.get().endpoint.name == "All"


def test_a_receiver_that_hangs_up_delays_no_post(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post
) -> None:
    def cut() -> httpx.Response:
        raise httpx.ReadError("cut")

    receiver.answer = cut
    publishing.publish([due_post("keyed").pk])
    assert receiver.send()["again"] == 1
    assert Delivery.objects.get().state == "published"
    message = WebhookMessage.objects.get()
    assert (message.state, message.tries, message.last_error) == ("waiting", 1, "ReadError")
    assert message.due_at > timezone.now()


def test_it_is_tried_again_ever_more_rarely_and_then_given_up(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post
) -> None:
    receiver.answer = lambda: httpx.Response(500)
    publishing.publish([due_post("keyed").pk])
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for wait in hooks.WAITS:
            receiver.send()
            assert WebhookMessage.objects.get().state == "waiting"
            assert receiver.send() == {"delivered": 0, "again": 0, "given_up": 0}
            clock.shift(wait * 1.1 + timedelta(seconds=1))
        assert receiver.send()["given_up"] == 1
    assert WebhookMessage.objects.get().state == "failed"
    ids = {request.headers["webhook-id"] for request in receiver.got}
    assert (len(receiver.got), len(ids)) == (len(hooks.WAITS) + 1, 1)


def test_one_that_is_gone_is_switched_off_and_people_are_told(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post
) -> None:
    receiver.answer = lambda: httpx.Response(410)
    publishing.publish([due_post("keyed").pk])
    receiver.send()
    endpoint.refresh_from_db()
    assert not endpoint.is_active
    assert "410" in endpoint.disabled_why
    alert = Alert.objects.get(key=f"webhook:{endpoint.pk}")
    assert alert.path == f"/admin/scheduling/webhookendpoint/{endpoint.pk}/change/"


def test_days_of_failure_switch_it_off_and_one_success_forgives(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post
) -> None:
    publishing.publish([due_post("keyed").pk])
    receiver.answer = lambda: httpx.Response(500)
    receiver.send()
    assert WebhookEndpoint.objects.exclude(failing_since=None).exists()
    receiver.answer = lambda: httpx.Response(200)
    WebhookMessage.objects.update(due_at=timezone.now())
    receiver.send()
    assert WebhookEndpoint.objects.filter(failing_since=None).exists()
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=4))
    receiver.answer = lambda: httpx.Response(500)
    hooking.replay(WebhookMessage.objects.get(), by=None)
    receiver.send()
    endpoint.refresh_from_db()
    assert not endpoint.is_active


def test_a_worker_that_died_leaves_a_message_that_is_taken_up_again(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post
) -> None:
    publishing.publish([due_post("keyed").pk])
    hooks._claim()
    assert receiver.send()["delivered"] == 0
    WebhookMessage.objects.update(lease_until=timezone.now())
    assert receiver.send()["delivered"] == 1


def test_a_replay_is_the_same_message_again(
    endpoint: WebhookEndpoint, receiver: Receiver, due_post: Post, api: APIClient
) -> None:
    publishing.publish([due_post("keyed").pk])
    message = WebhookMessage.objects.get()
    path = f"/api/v1/webhook-messages/{message.pk}/replay/"
    assert api.post(path).status_code == 409
    receiver.send()
    assert api.post(path).json()["state"] == "waiting"
    receiver.send()
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]
    assert receiver.got[0].content == receiver.got[1].content


# -- Through the doors --------------------------------------------------------------------------


def test_the_secret_is_shown_once(api: APIClient) -> None:
    given = {"name": "Mine", "url": "https://hook.example/", "events": ["delivery.failed"]}
    made = api.post("/api/v1/webhooks/", given, format="json")
    assert made.json()["secret"].startswith("whsec_")
    path = f"/api/v1/webhooks/{made.json()['id']}/"
    assert "secret" not in api.get(path).json()
    renewed = api.post(f"{path}renew-secret/").json()["secret"]
    row = WebhookEndpoint.objects.get()
    assert row.secret.open() == {"secret": renewed}
    assert renewed not in json.dumps(list(AuditEntry.objects.values("details")))
    test = api.post(f"{path}test/").json()
    assert (test["event"], test["state"]) == ("test", "waiting")
    off = api.patch(path, {"is_active": False}, format="json").json()
    assert off["is_active"] is False
    assert api.post(f"{path}test/").status_code == 409
    assert api.delete(path).status_code == 204


@pytest.mark.parametrize("url", ["http://hook.example/", "ftp://hook.example/", "x"])
def test_nothing_travels_in_the_clear(api: APIClient, url: str) -> None:
    answer = api.post("/api/v1/webhooks/", {"name": "M", "url": url}, format="json")
    assert answer.status_code in (400, 422)
    assert not WebhookEndpoint.objects.exists()


def test_the_admin_adds_one_and_shows_its_log(
    as_kei: Client, receiver: Receiver, due_post: Post
) -> None:
    given = {"name": "Mine", "url": "https://hook.example/", "is_active": "on"}
    page = as_kei.post(
        "/admin/scheduling/webhookendpoint/add/", given, follow=True
    ).content.decode()
    row = WebhookEndpoint.objects.get()
    assert row.secret.open()["secret"] in page
    change = f"/admin/scheduling/webhookendpoint/{row.pk}/change/"
    assert row.secret.open()["secret"] not in as_kei.get(change).content.decode()
    as_kei.post(change, {**given, "events": ["delivery.failed", "delivery.published"]})
    assert set(WebhookEndpoint.objects.get().events) == {"delivery.failed", "delivery.published"}
    clear = as_kei.post(change, {**given, "url": "http://hook.example/"}).content.decode()
    assert "Use https" in clear
    publishing.publish([due_post("keyed").pk])
    receiver.send()
    listed = as_kei.get("/admin/scheduling/webhookmessage/").content.decode()
    assert "Delivered" in listed
    chosen = {"action": "replay", "_selected_action": [str(WebhookMessage.objects.get().pk)]}
    as_kei.post("/admin/scheduling/webhookmessage/", chosen)
    assert WebhookMessage.objects.get().state == "waiting"


# -- The digest ---------------------------------------------------------------------------------


def test_the_digest_says_what_happened_and_what_is_next(
    due_post: Post, network: NetworkOf, settings: Settings
) -> None:
    assert digest.send() is False
    publishing.publish([due_post("keyed", "It went out").pk])
    network("keyed").behave = refuse(Permanent("Not like that."))
    publishing.publish([due_post("keyed", "It failed").pk])
    due_post("listable", "It is to come", scheduled_at=timezone.now() + timedelta(hours=2))
    review = due_post("blind", "Is it there?")
    Delivery.objects.filter(pk=review.pk).update(state="needs_review")
    settings.ALERT_EMAILS = ["ada@example.org"]
    assert digest.send() is True
    alerts.send(Alert.objects.get(key__startswith="digest:"))
    [sent] = mail.outbox
    assert sent.subject == "[Gator] 1 went out, 1 failed, 1 to come"
    for words in ("- keyed: 1", "Not like that.", "1 need a decision", "It is to come"):
        assert words in sent.body
