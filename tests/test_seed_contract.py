"""The compatibility contract with Gator's first description, one table per kind of promise.

Apps that come later add their lines to these tables.
"""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from celery import current_app
from celery.result import EagerResult
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling.models import Delivery, SocialAccount
from gator import celery as gator_celery

# Every path that the first description names or that took the place of one: method, path, and the
# status that staff get for an empty request. Each answers with and without its trailing slash.
PATHS: list[tuple[str, str, int]] = [
    ("post", "/api/v1/auth/token", 400),
    ("post", "/api/v1/auth/token/refresh", 400),
    ("get", "/api/v1/personas", 200),
    ("get", "/api/v1/accounts", 200),
    ("get", "/api/v1/media", 200),
    ("get", "/api/v1/posts", 200),
    ("post", "/api/v1/posts", 400),
    ("post", "/api/v1/posts/schedule", 400),
    ("get", "/api/v1/deliveries", 200),
    ("post", "/api/v1/sentiment/analyze-text", 400),
    ("post", "/api/v1/sentiment/analyze-comments", 400),
    ("post", "/api/v1/sentiment/analyze-engagement", 400),
    ("get", f"/api/v1/sentiment/trends/{UUID(int=1)}", 404),
    ("post", "/api/v1/sentiment/compare-competitors", 400),
    ("get", "/api/v1/sentiment/health", 200),
    ("get", "/api/v1/docs", 200),
    ("get", "/api/v1/schema", 200),
]

# Task name, its parameters, and the arguments that may be left out.
TASKS: list[tuple[str, list[str], set[str]]] = [
    ("publish_scheduled_post", ["schedule_id", "post_data"], {"post_data"}),
    ("process_scheduled_posts", [], set()),
    ("batch_publish_content", ["content_ids", "platforms"], set()),
    ("cleanup_old_tasks", [], set()),
    ("create_automated_backup", ["job_id"], {"job_id"}),
    ("cleanup_old_backups", [], set()),
    ("restore_backup", ["path"], set()),
]

# What beat runs: task name, and how often or when.
SCHEDULES: list[tuple[str, timedelta | tuple[str, str]]] = [
    ("process_scheduled_posts", timedelta(seconds=2)),
    ("cleanup_old_tasks", ("02", "00")),
    ("create_automated_backup", ("02", "30")),
    ("cleanup_old_backups", ("05", "00")),
]

# Settings by their old names; None is "there, whatever its value".
SETTINGS: list[tuple[str, Any]] = [
    ("REDIS_URL", None),
    ("CELERY_BROKER_URL", None),
    ("CELERY_RESULT_BACKEND", None),
    ("BACKUP_DIR", None),
    ("CONTENT_STORAGE_PATH", None),
    ("BACKUP_RETENTION_DAYS", 30),
]

# Platforms of the first description that this studio publishes to.
PLATFORMS = ["custom"]

# Whatever has a public id.
PUBLIC_IDS = [User, Persona, SocialAccount, Delivery]

JSON: dict[str, Any] = {"content_type": "application/json"}


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_a_path_answers_in_both_forms(
    as_kei: Client, method: str, path: str, status: int, slash: str
) -> None:
    ask: Callable[..., Any] = getattr(as_kei, method)
    answer = ask(path + slash) if method == "get" else ask(path + slash, "{}", **JSON)
    assert answer.status_code == status, answer.content


@pytest.mark.parametrize(("name", "parameters", "optional"), TASKS)
def test_a_task_is_registered_with_its_signature(
    name: str, parameters: list[str], optional: set[str]
) -> None:
    current_app.loader.import_default_modules()
    signature = inspect.signature(gator_celery.tasks[name].run)
    assert list(signature.parameters) == parameters
    found = {each.name for each in signature.parameters.values() if each.default is not each.empty}
    assert found == optional


@pytest.mark.parametrize(("name", "parameters", "optional"), TASKS)
def test_a_tasks_result_can_be_asked_for(
    name: str, parameters: list[str], optional: set[str]
) -> None:
    assert gator_celery.tasks[name].ignore_result is False
    assert settings.CELERY_RESULT_EXPIRES == 86_400


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "when"), SCHEDULES)
def test_beat_runs_it(name: str, when: timedelta | tuple[str, str]) -> None:
    task = PeriodicTask.objects.get(task=name, enabled=True)
    if isinstance(when, timedelta):
        assert task.interval is not None
        assert timedelta(**{task.interval.period: task.interval.every}) == when
    else:
        assert task.crontab is not None
        assert (task.crontab.hour.zfill(2), task.crontab.minute.zfill(2)) == when


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_setting_keeps_its_name(name: str, value: Any) -> None:
    assert getattr(settings, name)
    assert value is None or getattr(settings, name) == value


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"])
def test_backups_are_for_those_who_look_after_the_studio(
    as_ada: Client, as_kei: Client, slash: str
) -> None:
    path = f"/api/v1/backups{slash}"
    assert (as_ada.get(path).status_code, as_kei.get(path).status_code) == (200, 403)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platform_keeps_its_name(platform: str) -> None:
    assert platform in settings.PUBLISHERS


@pytest.mark.parametrize("model", PUBLIC_IDS)
def test_a_public_id_is_a_uuid(model: Any) -> None:
    assert isinstance(model().pk, UUID)


@pytest.mark.django_db(transaction=True)
def test_a_post_request_names_its_schedules_and_a_schedule_publishes(
    as_kei: Client, wall: SocialAccount
) -> None:
    answer = as_kei.post(
        "/api/v1/posts/schedule",
        {
            "content": "Fog on the river.",
            "platforms": ["wall"],
            "caption": "Good morning, Lisbon.",
            "hashtags": ["#lisbon"],
            "schedule_time": timezone.now().isoformat(),
        },
        **JSON,
    )
    assert answer.status_code == 201, answer.content
    [schedule] = answer.json()["schedules"]
    assert schedule["platform"] == "wall"
    publish = gator_celery.tasks["publish_scheduled_post"]
    done: EagerResult[str] = publish.apply((schedule["schedule_id"], {"content": "ignored"}))
    assert (done.state, done.result) == ("SUCCESS", "published")
    assert Delivery.objects.get(pk=schedule["schedule_id"]).remote_url


@pytest.mark.django_db(transaction=True)
def test_a_publish_that_failed_is_not_success(as_kei: Client, wall: SocialAccount) -> None:
    answer = as_kei.post(
        "/api/v1/posts/schedule",
        {
            "content": "Later.",
            "platforms": ["wall"],
            "schedule_time": (timezone.now() + timedelta(days=1)).isoformat(),
        },
        **JSON,
    )
    [schedule] = answer.json()["schedules"]
    done = gator_celery.tasks["publish_scheduled_post"].apply((schedule["schedule_id"],))
    assert done.state == "FAILURE"
