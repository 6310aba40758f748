"""Personas, facts and holds over HTTP."""

from typing import Any

import pytest
from django.test import Client

from apps.core.models import AuditEntry
from apps.personas.models import Fact, Hold, Persona
from apps.scheduling.models import SocialAccount

pytestmark = pytest.mark.django_db

PERSONAS, FACTS, STOP = "/api/v1/personas/", "/api/v1/facts/", "/api/v1/studio/hold/"
JSON = "application/json"


def test_a_persona_is_made_changed_and_deleted(as_kei: Client) -> None:
    body = {"name": "Nova", "handle": "nova", "time_zone": "Europe/Oslo"}
    made = as_kei.post(PERSONAS, body, content_type=JSON)
    assert made.status_code == 201, made.content
    assert made.json()["hold"] is None and made.json()["is_active"] is True
    path = f"{PERSONAS}{made.json()['id']}"
    assert as_kei.patch(path, {"bio": "Hi"}, content_type=JSON).json()["bio"] == "Hi"
    put = as_kei.put(path, {"name": "Nova II", "handle": "nova"}, content_type=JSON)
    assert put.json()["name"] == "Nova II"
    assert as_kei.delete(path).status_code == 204
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"create persona", "change persona", "delete persona"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"handle": "luna"}, "handle"),
        ({"handle": "Nova!"}, "handle"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"language": "x" * 13}, "language"),
        ({"is_active": "perhaps"}, "is_active"),
        ({"is_active": {}}, "is_active"),
        ({"bio": "x" * 2_001}, "bio"),
        ({"created_at": "2020-01-01T00:00:00Z"}, "created_at"),
        ({"hold": None}, "hold"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_a_wrong_persona_is_refused_by_field(
    as_kei: Client, luna: Persona, changes: dict[str, Any], field: str
) -> None:
    body = {"name": "Nova", "handle": "nova"} | changes
    answer = as_kei.post(PERSONAS, body, content_type=JSON)
    assert answer.status_code == 400
    assert {each["field"] for each in answer.json()["errors"]} == {field}
    assert Persona.objects.count() == 1


def test_a_persona_with_accounts_stays(as_kei: Client, wall: SocialAccount) -> None:
    answer = as_kei.delete(f"{PERSONAS}{wall.persona_id}/")
    assert answer.status_code == 409 and answer.json()["code"] == "in_use"
    assert Persona.objects.count() == 1


def test_facts_belong_to_their_persona(as_kei: Client, luna: Persona, marlow: Persona) -> None:
    body = {"persona": str(luna.pk), "text": "She likes fog."}
    assert as_kei.post(FACTS, body, content_type=JSON).status_code == 201
    faq = body | {"kind": "faq"}
    refused = as_kei.post(FACTS, faq, content_type=JSON)
    assert refused.status_code == 400 and refused.json()["errors"][0]["field"] == "question"
    made = as_kei.post(FACTS, faq | {"question": "Why?"}, content_type=JSON).json()
    emptied = as_kei.patch(f"{FACTS}{made['id']}", {"question": ""}, content_type=JSON)
    assert emptied.status_code == 400
    assert len(as_kei.get(f"{FACTS}?persona={luna.pk}").json()["results"]) == 2
    assert as_kei.get(f"{FACTS}?persona={marlow.pk}").json()["results"] == []
    unknown = body | {"persona": "01890000-0000-7000-8000-000000000000"}
    answer = as_kei.post(FACTS, unknown, content_type=JSON)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == "persona"
    wrong: Any
    for wrong in (5, ["x"], {}, True, "luna"):
        answer = as_kei.post(FACTS, body | {"persona": wrong}, content_type=JSON)
        assert answer.status_code == 400, wrong
    assert Fact.objects.count() == 2


def test_a_persona_is_held_and_released(as_kei: Client, luna: Persona) -> None:
    path = f"{PERSONAS}{luna.pk}/"
    held = as_kei.post(f"{path}hold", {"reason": "A storm"}, content_type=JSON).json()
    assert held["hold"]["reason"] == "A storm" and held["hold"]["placed_by"] == "kei"
    again = as_kei.post(f"{path}hold/", {"reason": "Another"}, content_type=JSON).json()
    assert again["hold"] == held["hold"] == as_kei.get(path).json()["hold"]
    assert as_kei.post(f"{path}release/").json()["hold"] is None
    assert as_kei.post(f"{path}release/").status_code == 200
    assert not Hold.objects.exists()


def test_everything_is_stopped_and_let_go(as_kei: Client, luna: Persona) -> None:
    assert as_kei.get(STOP).json() == {"held": False, "hold": None}
    stopped = as_kei.post(STOP, {"reason": "Fire"}, content_type=JSON).json()
    assert stopped["held"] is True and stopped["hold"]["reason"] == "Fire"
    assert as_kei.get(STOP.rstrip("/")).json() == stopped
    assert as_kei.delete(STOP).status_code == 204
    assert as_kei.get(STOP).json()["held"] is False


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": 5}, {"reason": "x" * 301}])
def test_a_stop_needs_its_reason(as_kei: Client, body: dict[str, Any]) -> None:
    answer = as_kei.post(STOP, body, content_type=JSON)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == "reason"
    assert not Hold.objects.exists()
