"""Accounts and networks over HTTP; credentials go in and never come out."""

import logging
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.core.models import AuditEntry, ReplayableResponse
from apps.personas.models import Persona
from apps.scheduling.models import SocialAccount
from apps.scheduling.publishers.base import CredentialField, NeedsReconnect
from tests.scheduling.conftest import NetworkOf
from tests.scheduling.standin import StandIn

pytestmark = pytest.mark.django_db

ACCOUNTS = "/api/v1/accounts/"
SECRET = "hunter2-very-secret"
JSON = "application/json"


class Guarded(StandIn):
    """A network of many servers that asks for a password."""

    needs_server = True
    credential_fields = (
        CredentialField(name="password", label="App password"),
        CredentialField(name="note", label="Note", secret=False, required=False),
    )


@pytest.fixture(autouse=True)
def guarded(settings: Settings) -> None:
    settings.PUBLISHERS = {
        "wall": settings.PUBLISHERS["wall"],
        "guarded": {"BACKEND": "tests.scheduling.test_api_accounts.Guarded"},
    }


def body(luna: Persona, **changes: Any) -> dict[str, Any]:
    return {
        "persona": str(luna.pk),
        "network": "guarded",
        "handle": "luna",
        "server": "https://social.example/",
        "credentials": {"password": SECRET},
    } | changes


def test_credentials_go_in_and_never_come_out(
    as_kei: Client, luna: Persona, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = as_kei.post(ACCOUNTS, body(luna), content_type=JSON, HTTP_IDEMPOTENCY_KEY="connect")
    assert made.status_code == 201, made.content
    account = SocialAccount.objects.get()
    assert account.credentials.open() == {"password": SECRET}
    assert SECRET not in account.credentials.stored
    assert account.server == "https://social.example" and account.status == "untested"
    path = f"{ACCOUNTS}{account.pk}/"
    answers = [
        made,
        as_kei.get(path),
        as_kei.get(ACCOUNTS),
        as_kei.get(path, HTTP_ACCEPT="text/html"),
        as_kei.patch(path, {"credentials": {"password": SECRET, "x": SECRET}}, content_type=JSON),
        as_kei.patch(path, {"credentials": {"password": [SECRET]}}, content_type=JSON),
        as_kei.patch(path, {"credentials": SECRET}, content_type=JSON),
        as_kei.post(f"{path}test/"),
        as_kei.get("/api/v1/schema/?format=json"),
    ]
    assert all(SECRET.encode() not in answer.content for answer in answers)
    assert made.json()["has_credentials"] is True and "credentials" not in made.json()
    assert SECRET not in caplog.text
    assert SECRET not in str(list(AuditEntry.objects.values()))
    assert SECRET not in str(list(ReplayableResponse.objects.values()))


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"network": "myspace"}, 422, ("network", "unknown")),
        ({"network": None}, 400, ("network", "null")),
        ({"network": ["wall"]}, 400, ("network", "not_text")),
        ({"persona": "01890000-0000-7000-8000-000000000000"}, 400, ("persona", "unknown")),
        ({"handle": ""}, 400, ("handle", "blank")),
        ({"handle": "x" * 201}, 400, ("handle", "max_length")),
        ({"server": ""}, 422, ("server", "required")),
        ({"server": "not an address"}, 400, ("server", "invalid")),
        ({"credentials": {}}, 422, ("credentials.password", "required")),
        ({"credentials": {"password": 5}}, 422, ("credentials.password", "not_text")),
        ({"credentials": {"password": None}}, 400, ("credentials.password", "null")),
        ({"credentials": {"password": "x" * 9_000}}, 422, ("credentials.password", "not_text")),
        (
            {"credentials": {"password": "x", "user": "y"}},
            422,
            ("credentials.user", "unknown_field"),
        ),
        ({"credentials": []}, 400, ("credentials", "not_a_dict")),
        ({"status": "working"}, 400, ("status", "unknown_field")),
    ],
)
def test_a_wrong_account_is_refused_by_field(
    as_kei: Client, luna: Persona, changes: dict[str, Any], status: int, reason: tuple[str, str]
) -> None:
    answer = as_kei.post(ACCOUNTS, body(luna, **changes), content_type=JSON)
    assert answer.status_code == status, answer.content
    assert reason in {(each["field"], each["code"]) for each in answer.json()["errors"]}
    assert not SocialAccount.objects.exists()


def test_the_same_account_is_connected_once(as_kei: Client, luna: Persona) -> None:
    assert as_kei.post(ACCOUNTS, body(luna), content_type=JSON).status_code == 201
    again = as_kei.post(ACCOUNTS, body(luna), content_type=JSON)
    assert again.status_code == 422 and again.json()["errors"][0]["code"] == "taken"
    assert SocialAccount.objects.count() == 1


def test_a_test_tells_what_the_network_said(
    as_kei: Client, luna: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = as_kei.post(ACCOUNTS, body(luna), content_type=JSON).json()
    path = f"{ACCOUNTS}{made['id']}/test/"
    assert as_kei.post(path).json()["status"] == "working"

    def refuse(self: Any, account: Any) -> None:
        raise NeedsReconnect("The password was changed.")

    monkeypatch.setattr(Guarded, "test", refuse)
    answer = as_kei.post(path).json()
    assert answer["status"] == "reconnect" and "password was changed" in answer["status_detail"]


def test_an_account_is_paused_resumed_and_deleted(as_kei: Client, luna: Persona) -> None:
    made = as_kei.post(ACCOUNTS, body(luna), content_type=JSON).json()
    path = f"{ACCOUNTS}{made['id']}"
    for status in ("paused", "untested"):
        answer = as_kei.patch(path, {"status": status}, content_type=JSON)
        assert answer.json()["status"] == status
    refused = as_kei.patch(path, {"status": "working"}, content_type=JSON)
    assert refused.status_code == 400
    assert as_kei.patch(path, {"network": "wall"}, content_type=JSON).status_code == 400
    assert as_kei.delete(path).status_code == 204
    assert not SocialAccount.objects.exists()


def test_an_account_with_posts_stays(as_kei: Client, wall: SocialAccount) -> None:
    post = {
        "persona": str(wall.persona_id),
        "accounts": [str(wall.pk)],
        "text": "a",
        "scheduled_at": timezone.now().isoformat(),
    }
    assert as_kei.post("/api/v1/posts/", post, content_type=JSON).status_code == 201
    answer = as_kei.delete(f"{ACCOUNTS}{wall.pk}/")
    assert answer.status_code == 409 and "pause" in answer.json()["detail"]


def test_accounts_are_filtered(as_kei: Client, wall: SocialAccount, marlow: Persona) -> None:
    def count(query: str) -> int:
        return len(as_kei.get(f"{ACCOUNTS}?{query}").json()["results"])

    assert count("status=working") == 1 and count("status=paused") == 0
    assert count(f"persona={marlow.pk}") == 0 and count(f"persona={wall.persona_id}") == 1


def test_networks_say_what_they_take_and_what_they_ask_for(
    as_kei: Client, network: NetworkOf
) -> None:
    found = {each["name"]: each for each in as_kei.get("/api/v1/networks").json()}
    assert found["wall"]["safety"] == "keyed" and found["wall"]["limits"]["images"] == 10
    assert found["guarded"]["needs_server"] is True
    assert found["guarded"]["limits"]["characters"] == 300
    assert found["guarded"]["credential_fields"][0] == {
        "name": "password",
        "label": "App password",
        "help": "",
        "secret": True,
        "required": True,
    }
