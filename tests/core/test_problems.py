"""Errors of the API: always problem+json, always a code, never a page or a traceback."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.core.rest.problems import TITLES
from apps.personas.models import Persona
from apps.scheduling import services

pytestmark = pytest.mark.django_db

JSON = "application/json"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code and body["status"] == status
    assert body["type"] == f"urn:gator:problem:{code}"
    assert body["title"] and body["detail"]
    assert body["request_id"] == answer["X-Request-ID"]
    return body


def test_every_kind_of_refusal_is_a_problem(
    as_kei: Client, as_fan: Client, luna: Persona, settings: Settings
) -> None:
    personas = "/api/v1/personas/"
    problem(Client().get(personas), 401, "not_authenticated")
    problem(as_fan.get(personas), 403, "permission_denied")
    problem(as_kei.get(f"{personas}01890000-0000-7000-8000-000000000000/"), 404, "not_found")
    problem(as_kei.get(f"{personas}not-an-id/"), 404, "not_found")
    problem(as_kei.get("/api/v1/nothing/"), 404, "not_found")
    problem(as_kei.get("/api/"), 404, "not_found")
    problem(as_kei.put(personas, {}, content_type=JSON), 405, "method_not_allowed")
    problem(as_kei.get(personas, HTTP_ACCEPT="image/png"), 406, "not_acceptable")
    problem(as_kei.post(personas, "a=b", content_type="text/plain"), 415, "unsupported_media_type")
    problem(as_kei.post(personas, "{", content_type=JSON), 400, "parse_error")
    problem(as_kei.post(personas, "{}", content_type=JSON), 400, "invalid")
    problem(as_kei.get(personas, HTTP_HOST="evil.example"), 400, "bad_request")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    problem(as_kei.post(personas, "{" + " " * 200 + "}", content_type=JSON), 413, "too_large")


def test_wrong_fields_are_listed_each_with_its_reason(as_kei: Client, luna: Persona) -> None:
    body = {"handle": "Not Allowed", "time_zone": "Mars/Olympus", "colour": "red", "id": "x"}
    first = problem(as_kei.post("/api/v1/personas/", body, content_type=JSON), 400, "invalid")
    assert {(each["field"], each["code"]) for each in first["errors"]} == {
        ("colour", "unknown_field"),
        ("id", "read_only"),
    }
    del body["colour"], body["id"]
    second = problem(as_kei.post("/api/v1/personas/", body, content_type=JSON), 400, "invalid")
    assert {each["field"] for each in second["errors"]} == {"name", "handle", "time_zone"}


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_a_problem_without_a_traceback(
    as_kei: Client, monkeypatch: pytest.MonkeyPatch, settings: Settings, debug: bool
) -> None:
    settings.DEBUG = debug

    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr(services, "problems_of", broken)
    monkeypatch.setattr("apps.personas.api.PersonaViewSet.get_queryset", broken)
    answer = as_kei.get("/api/v1/personas/")
    problem(answer, 500, "error")
    assert b"secret" not in answer.content and b"Traceback" not in answer.content
    missing = as_kei.get("/api/v1/nothing/")
    assert b"urlpatterns" not in missing.content and b"<html" not in missing.content


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"name": "a", "name": "b"}', "given twice"),
        ('{"name": NaN}', "not a JSON number"),
        ('{"name": Infinity}', "not a JSON number"),
        ('{"name": "\\ud800"}', "lone surrogate"),
        ('{"\\ud800": 1}', "lone surrogate"),
        ('{"name": "a\\u0000b"}', "NUL"),
        ('{"a": ' * 30 + "1" + "}" * 30, "nested"),
        ("[" * 100_000, "nested"),
        ('{"name": ' + "9" * 5_000 + "}", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (" ", "not JSON"),
    ],
)
def test_a_body_that_cannot_be_kept_as_sent_is_refused(
    as_kei: Client, body: str | bytes, words: str
) -> None:
    answer = problem(as_kei.post("/api/v1/personas/", body, content_type=JSON), 400, "parse_error")
    assert words in answer["detail"]
    assert not Persona.objects.exists()


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true", "[[]]"])
def test_a_body_that_is_no_object_is_refused(as_kei: Client, body: str) -> None:
    problem(as_kei.post("/api/v1/personas/", body, content_type=JSON), 400, "invalid")


def test_the_browser_sees_the_problem_in_the_apis_own_page(as_fan: Client) -> None:
    answer = as_fan.get("/api/v1/personas/", HTTP_ACCEPT="text/html")
    assert answer.status_code == 403 and answer["Content-Type"].startswith("text/html")
    assert b"permission_denied" in answer.content


def test_every_code_is_in_the_guide() -> None:
    from pathlib import Path

    guide = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert [code for code in TITLES if f"`{code}`" not in guide] == []


def test_the_schema_and_its_page_are_open_and_errors_are_in_it(settings: Settings) -> None:
    schema = APIClient().get("/api/v1/schema?format=json").json()
    assert schema["openapi"].startswith("3.1")
    operation = schema["paths"]["/api/v1/posts/"]["post"]
    assert "default" in operation["responses"]
    assert any(each["name"] == "Idempotency-Key" for each in operation["parameters"])
    assert APIClient().get("/api/v1/docs").status_code == 200
