"""Logs as JSON lines on standard error, each with the id of its request or task."""

from typing import Any

import structlog

CHATTY = ("celery.beat", "celery.worker.strategy", "celery.app.trace")


def configuration(*, level: str) -> dict[str, Any]:
    """Django's LOGGING: one handler, one format, for our own lines and those of the libraries."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(sort_keys=True),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # httpx logs every address it calls, and some networks carry tokens in addresses.
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            # uvicorn gives this one handlers of its own before it loads us; requests are for the
            # proxy's log and for /metrics.
            "uvicorn": {"handlers": [], "propagate": True},
            "uvicorn.access": {"level": "WARNING"},
            # Celery says every tick and every task twice; what a task did it says itself.
            **{name: {"level": "DEBUG" if level == "DEBUG" else "WARNING"} for name in CHATTY},
            "django.server": {"handlers": ["stderr"], "propagate": False},
        },
    }
