"""The floor's addresses: what monitoring asks for."""

from django.urls import re_path

from apps.core import health, metrics

urlpatterns = [
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    re_path(r"^metrics/?$", metrics.metrics, name="metrics"),
]
