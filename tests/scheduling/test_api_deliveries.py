"""Deliveries over HTTP: the ledger, and what a person may decide."""

from typing import Any

import pytest
from django.test import Client

from apps.personas.models import Publication
from apps.scheduling import publishing
from apps.scheduling.models import Delivery
from apps.scheduling.publishers.base import Permanent
from tests.scheduling.conftest import NetworkOf
from tests.scheduling.conftest import Post as DuePost

pytestmark = pytest.mark.django_db(transaction=True)

JSON = "application/json"


def at(delivery: Delivery, verb: str = "") -> str:
    return f"/api/v1/deliveries/{delivery.pk}/{verb}"


def test_a_failed_delivery_shows_why_and_is_retried(
    as_kei: Client, due_post: DuePost, network: NetworkOf
) -> None:
    delivery = due_post("keyed")

    def refuse(outgoing: Any) -> None:
        raise Permanent("Not like this.", code="spam")

    network("keyed").behave = refuse
    publishing.publish([delivery.pk])
    shown = as_kei.get(at(delivery)).json()
    assert shown["state"] == "failed" and shown["error_code"] == "spam"
    assert [each["outcome"] for each in shown["attempts"]] == ["permanent"]
    assert as_kei.post(at(delivery, "retry/")).json()["state"] == "scheduled"
    again = as_kei.post(at(delivery, "retry"))
    assert again.status_code == 409 and again.json()["code"] == "wrong_state"


def test_a_delivery_is_held_and_released(as_kei: Client, due_post: DuePost) -> None:
    delivery = due_post("keyed")
    assert as_kei.post(at(delivery, "hold")).json()["state"] == "held"
    assert as_kei.post(at(delivery, "hold/")).status_code == 409
    assert as_kei.post(at(delivery, "release")).json()["state"] == "scheduled"
    assert as_kei.post(at(delivery, "release/")).status_code == 409


@pytest.mark.parametrize(
    ("answer", "state"),
    [("posted", "published"), ("post_again", "scheduled"), ("leave", "cancelled")],
)
def test_a_person_settles_what_nothing_else_could(
    as_kei: Client, due_post: DuePost, answer: str, state: str
) -> None:
    delivery = due_post("blind")
    Delivery.objects.update(state="needs_review", maybe_sent=True, frozen=_frozen(delivery))
    body = {"answer": answer, "url": "https://example.org/1"}
    shown = as_kei.post(at(delivery, "resolve/"), body, content_type=JSON)
    assert shown.status_code == 200, shown.content
    assert shown.json()["state"] == state and len(shown.json()["attempts"]) == 1
    assert Publication.objects.count() == (1 if answer == "posted" else 0)
    assert as_kei.post(at(delivery, "resolve/"), body, content_type=JSON).status_code == 409


def _frozen(delivery: Delivery) -> dict[str, Any]:
    return {
        "text": "Good morning",
        "link": "",
        "hashtags": [],
        "language": "en",
        "created_at": delivery.due_at.isoformat(),
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "answer"),
        ({"answer": "perhaps"}, "answer"),
        ({"answer": ["posted"]}, "answer"),
        ({"answer": "posted", "url": "nowhere"}, "url"),
        ({"answer": "posted", "link": "x"}, "link"),
    ],
)
def test_an_unclear_decision_is_refused(
    as_kei: Client, due_post: DuePost, body: dict[str, Any], field: str
) -> None:
    delivery = due_post("blind")
    Delivery.objects.update(state="needs_review")
    answer = as_kei.post(at(delivery, "resolve/"), body, content_type=JSON)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field
    delivery.refresh_from_db()
    assert delivery.state == "needs_review"


def test_deliveries_are_filtered(as_kei: Client, due_post: DuePost) -> None:
    delivery = due_post("keyed")
    due_post("listable")
    queries = {
        "": 2,
        "state=scheduled": 2,
        "state=failed&state=scheduled": 2,
        "state=published": 0,
        "network=keyed": 1,
        f"account={delivery.account_id}": 1,
        f"post={delivery.post_id}": 1,
        f"persona={delivery.account.persona_id}": 2,
    }
    found = {
        query: len(as_kei.get(f"/api/v1/deliveries?{query}").json()["results"]) for query in queries
    }
    assert found == queries


def test_deliveries_are_not_made_by_hand(as_kei: Client, due_post: DuePost) -> None:
    assert as_kei.post("/api/v1/deliveries/", {}, content_type=JSON).status_code == 405
    assert as_kei.delete(at(due_post("keyed"))).status_code == 405
