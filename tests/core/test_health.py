"""What monitoring sees when parts are missing, and what it may not see."""

from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.core.models import Lease
from apps.core.running import health, leases, workers
from apps.core.running.workers import PREFIX, SignOfLife


@pytest.fixture(autouse=True)
def _look_anew() -> Iterator[None]:
    health._report.forget()
    yield
    health._report.forget()


def _everything_lives() -> None:
    leases.take("beat", holder="a test", seconds=60)
    for name, (queues, _) in settings.WORKERS.items():
        leases.take(f"{PREFIX}{','.join(queues)}@host", holder=name, seconds=60)


@pytest.mark.django_db
def test_ready_when_every_part_lives(client: Client) -> None:
    _everything_lives()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


@pytest.mark.django_db
def test_a_dead_worker_and_a_dead_beat_are_named(client: Client) -> None:
    _everything_lives()
    Lease.objects.filter(name__contains="publishing").update(expires_at="2020-01-01T00:00Z")
    Lease.objects.filter(name="beat").delete()
    answer = client.get("/readyz/")
    assert answer.status_code == 503
    assert answer.json()["parts"]["workers"] == {"ok": False, "why": "no worker for: publishing"}
    assert answer.json()["parts"]["beat"] == {"ok": False, "why": "nobody ticks"}


@pytest.mark.django_db
def test_who_follows_a_killed_worker_is_alive_before_its_ghost_has_gone(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _everything_lives()
    Lease.objects.filter(name__contains="publishing").delete()
    # In a worker's own process it closes its connection; here that is the test's.
    monkeypatch.setattr(workers, "connection", Mock())
    for holder in ("host:1", "host:2"):
        monkeypatch.setattr(leases, "this_process", lambda holder=holder: holder)
        timer = Mock(call_after=lambda _, work: work())
        worker = Mock(timer=timer, **{"app.amqp.queues.consume_from": ["publishing"]})
        SignOfLife(worker).start(worker)
    Lease.objects.filter(holder="host:1").update(expires_at="2020-01-01T00:00Z")
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_broken_redis_is_told_without_its_address(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str) -> bool:
        raise ConnectionError("redis://:hush@10.0.0.5:6379 refused")

    _everything_lives()
    monkeypatch.setattr(cache, "has_key", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["redis"] == {"ok": False, "why": "ConnectionError"}


@pytest.mark.django_db
def test_a_missing_migration_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    known = health._known_migrations() | {("core", "9999_tomorrow")}
    monkeypatch.setattr(health, "_known_migrations", lambda: known)
    parts = client.get("/readyz").json()["parts"]
    assert parts["migrations"] == {"ok": False, "why": "not applied: core.9999_tomorrow"}


@pytest.mark.django_db
def test_many_polls_ask_the_database_once(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/readyz")
    with django_assert_num_queries(0):
        for _ in range(20):
            client.get("/readyz")


def test_the_process_is_healthy_without_a_database(client: Client) -> None:
    # No django_db mark: a query would fail the test.
    assert client.get("/healthz/").content == b"ok\n"
    assert client.post("/healthz").status_code == 405


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Bearer ", "Basic x"])
def test_metrics_need_the_token(client: Client, given: str) -> None:
    assert client.get("/metrics", headers={"Authorization": given}).status_code == 401


@pytest.mark.django_db
def test_metrics_tell_of_requests_queues_and_deliveries(client: Client) -> None:
    _everything_lives()
    client.get("/healthz")
    client.get("/no/such/address")
    token = {"Authorization": f"Bearer {settings.METRICS_TOKEN}"}
    text = client.get("/metrics/", headers=token).content.decode()
    for line in (
        'gator_http_requests_total{method="GET",route="^healthz/?$",status="200"}',
        'gator_http_requests_total{method="GET",route="(none)",status="404"}',
        'gator_queue_length{queue="publishing"} 0.0',
        "gator_queues_unserved 0.0",
        "gator_beat_age_seconds",
        'gator_deliveries{state="needs_review"} 0.0',
        "gator_deliveries_overdue 0.0",
    ):
        assert line in text
    assert "gator_metrics_failed{" not in text
    assert "/no/such/address" not in text
