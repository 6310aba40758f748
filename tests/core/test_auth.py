"""Who gets in: tokens, their renewal and revocation, sessions, and what slows a guesser down."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken

from apps.core.models import Alert, AuditEntry, User
from apps.core.rest.auth import RefreshToken
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

TOKEN, REFRESH = "/api/v1/auth/token/", "/api/v1/auth/token/refresh/"
REVOKE = "/api/v1/auth/token/revoke/"


def sign_in(username: str = "kei", password: str = PASSWORD) -> Any:
    return APIClient().post(TOKEN, {"username": username, "password": password}, format="json")


def renew(refresh: str) -> Any:
    return APIClient().post(REFRESH, {"refresh": refresh}, format="json")


def works(access: str) -> bool:
    client = APIClient()
    status = client.get("/api/v1/posts/", HTTP_AUTHORIZATION=f"Bearer {access}").status_code
    assert status in (200, 401)
    return bool(status == 200)


def test_a_name_and_its_password_give_a_pair_that_works(kei: User) -> None:
    answer = sign_in()
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    assert answer["Cache-Control"] == "no-store"
    assert works(answer.json()["access"])
    kei.refresh_from_db()
    assert kei.last_login is not None


def test_a_fan_gets_a_token_too_but_not_the_studio(fan: User) -> None:
    access = sign_in("fan").json()["access"]
    answer = APIClient().get("/api/v1/posts/", HTTP_AUTHORIZATION=f"Bearer {access}")
    assert answer.status_code == 403


def test_unknown_wrong_and_inactive_are_refused_with_the_same_words(kei: User, sam: User) -> None:
    User.objects.filter(pk=sam.pk).update(is_active=False)
    answers = [sign_in("nobody"), sign_in(password="wrong"), sign_in("sam")]
    assert {answer.status_code for answer in answers} == {401}
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["code"] == "sign_in_failed"


def test_an_unknown_name_takes_as_long_as_a_known_one(kei: User, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    kei.set_password(PASSWORD)
    kei.save()

    def took(name: str) -> float:
        # The work done, not the clock: other tests run beside this one.
        start = time.thread_time()
        sign_in(name, "wrong")
        return time.thread_time() - start

    known, unknown = min(took("kei") for _ in range(3)), min(took("nobody") for _ in range(3))
    assert 0.5 < unknown / known < 2


def test_access_ends_after_a_quarter_of_an_hour_and_refresh_after_two_weeks(kei: User) -> None:
    pair = sign_in().json()
    now = timezone.now()
    with time_machine.travel(now + timedelta(minutes=14), tick=True):
        assert works(pair["access"])
    with time_machine.travel(now + timedelta(minutes=16), tick=True):
        assert not works(pair["access"])
    with time_machine.travel(now + timedelta(days=15), tick=True):
        assert renew(pair["refresh"]).status_code == 401


def test_a_refresh_token_works_once(kei: User) -> None:
    first = sign_in().json()
    second = renew(first["refresh"])
    assert second.status_code == 200 and works(second.json()["access"])
    again = renew(first["refresh"])
    assert again.status_code == 401 and again.json()["code"] == "token_not_valid"
    # At the same moment it may be a second tab; the new pair still works.
    assert renew(second.json()["refresh"]).status_code == 200


def test_a_refresh_token_used_again_later_signs_everybody_out_and_raises_an_alert(
    kei: User, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    stolen = sign_in().json()
    fresh = renew(stolen["refresh"]).json()
    with (
        time_machine.travel(timezone.now() + timedelta(minutes=1), tick=True),
        django_capture_on_commit_callbacks(execute=True),
    ):
        assert renew(stolen["refresh"]).status_code == 401
        assert not works(fresh["access"])
        assert renew(fresh["refresh"]).status_code == 401
    assert Alert.objects.filter(title__contains="used twice").exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_renewals_at_once_exactly_one_succeeds(kei: User) -> None:
    refresh = sign_in().json()["refresh"]
    statuses: list[int] = []
    gate = threading.Barrier(4)

    def go() -> None:
        gate.wait()
        statuses.append(renew(refresh).status_code)
        connections.close_all()

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 401, 401, 401]


def test_revoking_one_leaves_the_others(kei: User) -> None:
    one, other = sign_in().json(), sign_in().json()
    answer = APIClient().post(REVOKE, {"refresh": one["refresh"]}, format="json")
    assert answer.status_code == 204
    assert renew(one["refresh"]).status_code == 401
    assert renew(other["refresh"]).status_code == 200


def test_revoking_all_ends_every_token_at_once(kei: User) -> None:
    one, other = sign_in().json(), sign_in().json()
    body = {"refresh": one["refresh"], "all": True}
    assert APIClient().post(REVOKE, body, format="json").status_code == 204
    assert not works(one["access"]) and not works(other["access"])
    assert renew(other["refresh"]).status_code == 401
    assert AuditEntry.objects.filter(action="revoke tokens").count() == 1
    assert works(sign_in().json()["access"])


def test_a_new_password_and_a_deactivation_end_tokens(kei: User) -> None:
    pair = sign_in().json()
    kei.set_password("another long password")
    kei.save()
    assert not works(pair["access"]) and renew(pair["refresh"]).status_code == 401
    pair = sign_in(password="another long password").json()
    User.objects.filter(pk=kei.pk).update(is_active=False)
    assert not works(pair["access"]) and renew(pair["refresh"]).status_code == 401


@pytest.mark.parametrize("make", [str, lambda pair: pair["refresh"], lambda pair: "a.b.c"])
def test_what_is_no_access_token_is_refused(kei: User, make: Callable[[Any], str]) -> None:
    pair = sign_in().json()
    header = f"Bearer {make(pair).split(' ')[0]}"
    answer = APIClient().get("/api/v1/posts/", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401 and answer.json()["code"] == "token_not_valid"
    assert answer["WWW-Authenticate"].startswith("Bearer")


def _signed(algorithm: str = "HS256", key: str | None = None, **claims: Any) -> str:
    headers = claims.pop("headers", None)
    secret: Any = None if algorithm == "none" else key or settings.SECRET_KEY
    payload = {**AccessToken().payload, "iss": "gator", "user_id": "u", **claims}
    return jwt.encode(payload, secret, algorithm, headers=headers)


def _with(part: int, change: Callable[[str], str]) -> str:
    parts = _signed().split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


@pytest.mark.parametrize(
    ("make", "good"),
    [
        (_signed, True),
        (lambda: _signed(headers={"kid": "1"}), True),
        (lambda: _signed("HS512"), False),
        (lambda: _signed("none"), False),
        (lambda: _signed(key="somebody else's key, which is long enough"), False),
        (lambda: _signed(exp=1), False),
        (lambda: _signed(exp=None), False),
        (lambda: _signed(iss="others"), False),
        (lambda: _signed(token_type="refresh"), False),
        (lambda: str(RefreshToken()), False),
        (lambda: _with(1, lambda body: body[:-4] + "AAAA"), False),
        (lambda: _with(1, lambda body: body[:9]), False),
        (lambda: _with(2, lambda signature: signature[:-3]), False),
        (lambda: _with(2, lambda signature: signature[::-1]), False),
        (lambda: _with(2, lambda signature: ""), False),
        (lambda: _with(2, lambda signature: signature + "=="), False),
        (lambda: _with(0, lambda head: ""), False),
        (lambda: _signed() + ".x", False),
        (lambda: _signed().partition(".")[0], False),
        (lambda: "", False),
        (lambda: "ü.ü.x", False),
    ],
)
def test_a_bent_token_is_refused(make: Callable[[], str], good: bool) -> None:
    raw: Any = make()
    if good:
        assert AccessToken(raw)["user_id"] == "u"
        return
    with pytest.raises(TokenError):
        AccessToken(raw)


def test_an_access_token_does_not_renew(kei: User) -> None:
    assert renew(sign_in().json()["access"]).status_code == 401


@pytest.fixture
def still_clock() -> Iterator[None]:
    """Guesses are counted by the minute: none of these tests may cross into the next."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.mark.usefixtures("still_clock")
def test_guessing_is_slowed_by_name_whatever_the_address(kei: User) -> None:
    statuses = [
        APIClient(REMOTE_ADDR=f"192.0.2.{host}")
        .post(TOKEN, {"username": "KEI", "password": "wrong"}, format="json")
        .status_code
        for host in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


@pytest.mark.usefixtures("still_clock")
def test_guessing_is_slowed_by_address_whatever_the_name_and_the_forwarded_header(
    kei: User,
) -> None:
    answers = [
        APIClient().post(
            TOKEN,
            {"username": f"user{index}", "password": "wrong"},
            format="json",
            HTTP_X_FORWARDED_FOR=f"192.0.2.{index}",
        )
        for index in range(11)
    ]
    last = answers[-1]
    assert last.status_code == 429 and last.json()["code"] == "throttled"
    assert 1 <= int(last["Retry-After"]) <= 60
    assert last["RateLimit-Remaining"] == "0" and last["RateLimit-Limit"] == "10"


def test_a_session_works_and_needs_the_csrf_token(kei: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(kei)
    assert client.get("/api/v1/posts/").status_code == 200
    body = {"name": "Nova", "handle": "nova"}
    refused = client.post("/api/v1/personas/", body, content_type="application/json")
    assert refused.status_code == 403
    client.get("/admin/")
    token = client.cookies["csrftoken"].value
    made = client.post(
        "/api/v1/personas/", body, content_type="application/json", HTTP_X_CSRFTOKEN=token
    )
    assert made.status_code == 201


def test_answers_say_how_many_requests_are_left(as_kei: Client) -> None:
    first, second = as_kei.get("/api/v1/posts/"), as_kei.get("/api/v1/posts/")
    assert int(first["RateLimit-Remaining"]) == int(second["RateLimit-Remaining"]) + 1 == 1199


def test_a_studio_without_redis_still_answers(as_kei: Client, settings: Settings) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    assert as_kei.get("/api/v1/posts/").status_code == 200
