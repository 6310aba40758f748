"""Wiring only: settings, Celery, ASGI and URLs. What Gator does lives in apps/."""

from gator.celery import app as celery

__all__ = ["celery"]
