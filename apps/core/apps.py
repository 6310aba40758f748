from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"
    label = "core"
    verbose_name = "Studio"

    def ready(self) -> None:
        # Each registers itself: system checks, Celery's signals, the workers' sign of life.
        from apps.core import checks  # noqa: F401
        from apps.core.running import task_logs, workers  # noqa: F401
