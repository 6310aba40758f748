"""A client that repeats its request under the same key schedules one post, whatever is killed."""

import random
import threading
import time
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from apps.core.models import ReplayableResponse, User
from apps.personas.models import Persona
from apps.scheduling.models import Post, SocialAccount
from tests.conftest import PASSWORD
from tests.faults.processes import House

pytestmark = pytest.mark.faults

CLIENTS, POSTS_EACH = 4, 25


class Client(threading.Thread):
    """Schedules its posts one after the other, each again and again until it has an answer."""

    def __init__(self, house: House, number: int, persona: Persona, account: SocialAccount):
        super().__init__(daemon=True)
        self.number, self.body = number, {"persona": str(persona.pk), "accounts": [str(account.pk)]}
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{house.web_port}/api/v1/", trust_env=False, timeout=5
        )
        self.repeats, self.answers, self.refusals = 0, 0, list[str]()

    def run(self) -> None:
        with self.http:
            self._schedule_all()

    def _schedule_all(self) -> None:
        token = ""
        at = (timezone.now() + timedelta(hours=1)).isoformat()
        while self.answers < POSTS_EACH:
            text = f"Post {self.answers} of client {self.number}"
            try:
                if not token:
                    credentials = {"username": "ada", "password": PASSWORD}
                    token = self.http.post("auth/token/", json=credentials).json()["access"]
                answer = self.http.post(
                    "posts/",
                    json={**self.body, "text": text, "scheduled_at": at},
                    headers={"Authorization": f"Bearer {token}", "Idempotency-Key": text},
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 201:
                self.answers += 1
                time.sleep(0.02)
                continue
            if answer is not None and answer.status_code not in (409, 500, 502, 503):
                self.refusals.append(answer.text)
                return
            self.repeats += 1
            time.sleep(0.1)


def test_a_repeated_request_is_one_post_while_the_web_is_killed(
    house: House, ada: User, luna: Persona, kills: int
) -> None:
    house.valkey()
    web = house.web()
    account = SocialAccount.objects.create(persona=luna, network="keyed", handle="luna")
    clients = [Client(house, number, luna, account) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    killed = 0
    wanted = max(10, kills // 10)
    patience = time.monotonic() + 240
    while any(client.is_alive() for client in clients):
        assert time.monotonic() < patience, house.tails()
        time.sleep(random.uniform(1.5, 4))
        if killed < wanted:
            web.kill()
            web.start()
            killed += 1
        # As if five minutes had passed: no request of a killed web process can still be running.
        ReplayableResponse.objects.filter(
            status=None, started_at__lt=timezone.now() - timedelta(seconds=6)
        ).update(started_at=timezone.now() - timedelta(minutes=10))
    repeats = sum(client.repeats for client in clients)
    print(f"\n{killed} kills of the web, {repeats} repeated requests, {Post.objects.count()} posts")
    for client in clients:
        client.join()
    assert [client.refusals for client in clients] == [[]] * CLIENTS
    assert Post.objects.count() == CLIENTS * POSTS_EACH
    assert Post.objects.values("text").distinct().count() == CLIENTS * POSTS_EACH
