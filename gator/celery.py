"""The Celery application: `celery -A gator worker|beat|flower`."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gator.settings")

app = Celery("gator")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _use_our_logging(**kwargs: Any) -> None:
    """Somebody answers this signal, so Celery leaves the loggers alone."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
