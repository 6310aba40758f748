"""Idempotency-Key: what is asked twice is done once."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from PIL import Image

from apps.core.models import ReplayableResponse, User
from apps.personas.models import Persona
from apps.personas.services import hold
from apps.scheduling.models import Media, Post, SocialAccount
from tests.conftest import ApiOf

pytestmark = pytest.mark.django_db

PERSONAS = "/api/v1/personas/"


def nova(client: Any, *, key: str = "k1", path: str = PERSONAS, **changes: Any) -> Any:
    body = {"name": "Nova", "handle": "nova"} | changes
    return client.post(
        path, json.dumps(body), content_type="application/json", HTTP_IDEMPOTENCY_KEY=key
    )


def test_the_same_request_is_done_once_and_answered_twice(as_kei: Client) -> None:
    first, second = nova(as_kei), nova(as_kei)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert "Idempotency-Replayed" not in first and second["Idempotency-Replayed"] == "true"
    assert Persona.objects.count() == 1


def test_a_refusal_is_kept_as_well(as_kei: Client) -> None:
    first, second = nova(as_kei, handle="NO"), nova(as_kei, handle="NO")
    assert first.status_code == second.status_code == 400
    assert second["Idempotency-Replayed"] == "true"
    assert second["Content-Type"] == "application/problem+json"
    assert first.json() == second.json()


def test_the_key_of_another_request_is_refused(as_kei: Client) -> None:
    assert nova(as_kei).status_code == 201
    other = nova(as_kei, name="Another")
    assert other.status_code == 422 and other.json()["code"] == "idempotency_key_reused"
    elsewhere = nova(as_kei, path=f"{PERSONAS}?x=1")
    assert elsewhere.status_code == 422


def test_keys_belong_to_users(as_kei: Client, as_ada: Client) -> None:
    assert nova(as_kei).status_code == 201
    assert nova(as_ada, handle="other").status_code == 201


def test_a_request_that_still_runs_is_not_run_again(as_kei: Client) -> None:
    first = nova(as_kei)
    ReplayableResponse.objects.update(status=None)
    second = nova(as_kei)
    assert first.status_code == 201
    assert second.status_code == 409 and second.json()["code"] == "still_running"


def test_a_key_left_by_a_crash_is_free_again_later(as_kei: Client, kei: User) -> None:
    nova(as_kei)
    Persona.objects.all().delete()
    ReplayableResponse.objects.update(status=None, started_at=timezone.now() - timedelta(minutes=6))
    again = nova(as_kei)
    assert again.status_code == 201 and "Idempotency-Replayed" not in again


def test_an_answer_is_forgotten_after_a_day(as_kei: Client) -> None:
    assert nova(as_kei).status_code == 201
    ReplayableResponse.objects.update(started_at=timezone.now() - timedelta(days=2))
    assert nova(as_kei, handle="second").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "ä"])
def test_a_key_that_cannot_be_kept_is_refused(as_kei: Client, key: str) -> None:
    answer = nova(as_kei, key=key)
    assert answer.status_code == 400 and answer.json()["code"] == "idempotency_key_invalid"
    assert not Persona.objects.exists()


def test_what_was_not_let_in_leaves_no_key(as_sam: Client) -> None:
    assert nova(as_sam).status_code == 403
    assert not ReplayableResponse.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_bug_leaves_neither_its_work_nor_its_key(
    as_kei: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("apps.core.audit.record", broken)
        assert nova(as_kei).status_code == 500
    assert not Persona.objects.exists() and not ReplayableResponse.objects.exists()
    assert nova(as_kei).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_answer_is_kept_undoes_the_work(
    as_kei: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def crash(*args: Any) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("apps.core.rest.idempotency._keep", crash)
        with pytest.raises(Killed):
            nova(as_kei)
    assert not Persona.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_one_runs(kei: User, api_of: ApiOf) -> None:
    clients = [api_of(kei) for _ in range(6)]
    answers: list[Any] = []
    gate = threading.Barrier(len(clients))

    def go(client: Any) -> None:
        gate.wait()
        answers.append(nova(client))
        connections.close_all()

    threads = [threading.Thread(target=go, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ran = [
        answer
        for answer in answers
        if answer.status_code == 201 and "Idempotency-Replayed" not in answer
    ]
    assert len(ran) == 1 and Persona.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


def test_an_upload_counts_as_the_same_whatever_its_boundary(as_kei: Client) -> None:
    def upload(colour: str, boundary: str) -> Any:
        content = BytesIO()
        Image.new("RGB", (4, 4), colour).save(content, "PNG")
        body = (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
                "Content-Type: image/png\r\n\r\n"
            ).encode()
            + content.getvalue()
            + f"\r\n--{boundary}--\r\n".encode()
        )
        return as_kei.post(
            "/api/v1/media/",
            body,
            content_type=f"multipart/form-data; boundary={boundary}",
            HTTP_IDEMPOTENCY_KEY="u1",
        )

    first, second, other = upload("red", "aaaa"), upload("red", "bbbb"), upload("blue", "cccc")
    assert first.status_code == second.status_code == 201, first.content
    assert second["Idempotency-Replayed"] == "true" and first.json() == second.json()
    assert other.status_code == 422
    assert Media.objects.count() == 1


def test_every_unsafe_method_replays(as_kei: Client, wall: SocialAccount) -> None:
    def call(method: str, path: str, body: Any = None) -> list[Any]:
        ask: Callable[..., Any] = getattr(as_kei, method)
        return [
            ask(path, body, content_type="application/json", HTTP_IDEMPOTENCY_KEY=f"{method}{path}")
            for _ in range(2)
        ]

    account = f"/api/v1/accounts/{wall.pk}/"
    for method, path, body in [
        ("patch", account, {"status": "paused"}),
        ("put", account, {"handle": "luna2"}),
        ("post", f"{account}test/", None),
        ("delete", account, None),
        ("delete", "/api/v1/studio/hold/", None),
    ]:
        first, second = call(method, path, body)
        assert first.status_code == second.status_code in (200, 204), (path, first.content)
        assert second["Idempotency-Replayed"] == "true"
        assert first.content == second.content


def test_a_replay_survives_what_changed_meanwhile(as_kei: Client, kei: User) -> None:
    first = nova(as_kei)
    hold(persona=Persona.objects.get(), reason="storm", by=kei)
    assert nova(as_kei).json() == first.json()
    assert not Post.objects.exists()


def test_the_row_tells_nobody_what_was_sent(as_kei: Client, wall: SocialAccount) -> None:
    body = {"handle": "luna", "credentials": {"password": "hunter2secret"}}
    as_kei.put(
        f"/api/v1/accounts/{wall.pk}/",
        body,
        content_type="application/json",
        HTTP_IDEMPOTENCY_KEY="c",
    )
    row = ReplayableResponse.objects.get()
    assert "hunter2secret" not in json.dumps(row.body) + row.fingerprint
