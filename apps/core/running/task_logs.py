"""Every log line of a task carries its id and name, and the id of the request that asked for it."""

from typing import Any

import structlog
from celery.signals import before_task_publish, task_postrun, task_prerun

REQUEST_ID = "request_id"


@before_task_publish.connect
def _send_request_id(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    if request_id and headers is not None:
        headers[REQUEST_ID] = request_id


@task_prerun.connect
def _bind(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    structlog.contextvars.bind_contextvars(task_id=task_id, task_name=task.name)
    if request_id := task.request.get(REQUEST_ID):
        structlog.contextvars.bind_contextvars(request_id=request_id)


@task_postrun.connect
def _unbind(task: Any = None, **kwargs: Any) -> None:
    names = ["task_id", "task_name"]
    # A task called in place belongs to a request whose id goes on.
    if task.request.get(REQUEST_ID):
        names.append(REQUEST_ID)
    structlog.contextvars.unbind_contextvars(*names)
