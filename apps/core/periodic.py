"""How an app's migration puts its periodic tasks into the database, where staff edit them."""

from typing import Any


def add_interval(apps: Any, *, name: str, task: str, every: int, queue: str, about: str) -> None:
    """Run `task` every so many seconds; a task of that name which staff changed is left alone."""
    schedule, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=every, period="seconds"
    )
    _add(apps, name=name, task=task, queue=queue, about=about, interval=schedule)


def add_daily(
    apps: Any,
    *,
    name: str,
    task: str,
    hour: int,
    minute: int,
    queue: str,
    about: str,
    weekday: str = "*",
) -> None:
    """Run `task` every day, or on one weekday, at this time in the studio's time zone."""
    from django.conf import settings

    schedule, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        hour=str(hour), minute=str(minute), day_of_week=weekday, timezone=settings.TIME_ZONE
    )
    _add(apps, name=name, task=task, queue=queue, about=about, crontab=schedule)


def _add(apps: Any, *, name: str, task: str, queue: str, about: str, **schedule: Any) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=name,
        defaults={
            "task": task,
            "queue": queue,
            "description": about,
            # A tick that waited out a stopped worker is worthless: the next one does the same.
            "expire_seconds": 60 if "interval" in schedule else None,
            **schedule,
        },
    )
