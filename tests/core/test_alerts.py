"""Alerts reach people once, by every channel, with a link to where it is dealt with."""

import base64
import hashlib
import hmac
import json

import httpx
import pytest
from django.core import mail
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.core import alerts
from apps.core.models import Alert

pytestmark = pytest.mark.django_db


@pytest.fixture
def channels(settings: Settings) -> None:
    settings.GATOR_PUBLIC_URL = "https://studio.example.org"
    settings.ALERT_EMAILS = ["kei@example.org"]
    settings.ALERT_NTFY_URL = "https://ntfy.example.org/gator"
    settings.ALERT_TELEGRAM_TOKEN, settings.ALERT_TELEGRAM_CHAT = "123:abc", "42"
    settings.ALERT_WEBHOOK_URL = "https://hooks.example.org/gator"
    settings.ALERT_WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"shared").decode()


def raised() -> Alert:
    alerts.alert(key="k", title="Failed: Größe\r\nBcc: x", body="why", path="/admin/there/")
    return Alert.objects.get()


def test_the_same_thing_within_an_hour_counts_instead_of_repeating() -> None:
    for _ in range(5):
        alerts.alert(key="failed:1", title="Failed")
    alerts.alert(key="failed:2", title="Failed")
    assert sorted(Alert.objects.values_list("key", "repeats")) == [("failed:1", 4), ("failed:2", 0)]


def test_every_channel_gets_the_words_and_the_link(channels: None) -> None:
    calls: dict[str, httpx.Request] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        calls[request.url.host] = request
        return httpx.Response(200)

    row = raised()
    assert alerts.send(row, transport=httpx.MockTransport(answer)) == {}
    link = "https://studio.example.org/admin/there/"
    assert link in mail.outbox[0].body
    assert "\n" not in mail.outbox[0].subject
    ntfy = json.loads(calls["ntfy.example.org"].content)
    assert (ntfy["topic"], ntfy["click"]) == ("gator", link)
    assert link in json.loads(calls["api.telegram.org"].content)["text"]
    hook = calls["hooks.example.org"]
    signed = f"{row.pk}.{hook.headers['webhook-timestamp']}.".encode() + hook.content
    digest = base64.b64encode(hmac.new(b"shared", signed, hashlib.sha256).digest()).decode()
    assert hook.headers["webhook-signature"] == f"v1,{digest}"


def test_a_channel_that_fails_is_named_and_leaks_no_token(channels: None) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(500))
    failures = alerts.send(raised(), transport=transport)
    assert failures.keys() == {"ntfy", "telegram", "webhook"}
    assert "123:abc" not in str(failures)


def test_an_alert_is_queued_only_after_the_commit(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        alerts.alert(key="k", title="t")
    assert len(callbacks) == 1
