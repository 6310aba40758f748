"""A worker's sign of life: a lease that the worker's own loop renews."""

from typing import Any

import structlog
from celery import bootsteps, current_app
from django.conf import settings
from django.db import DatabaseError, connection

from apps.core.models import Lease
from apps.core.running import leases

log = structlog.get_logger(__name__)

EVERY_SECONDS = 10
LEASE_SECONDS = 30
PREFIX = "worker:"


class SignOfLife(bootsteps.StartStopStep):
    """Renews `worker:QUEUES@HOST:PID` from the loop that takes tasks: one that hangs falls silent.

    Every process has a lease of its own: behind a shared one a second worker of the same queues
    would be unseen, and whoever follows a killed one would wait for its ghost to expire.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._holder = leases.this_process()
        self._name = ""

    def start(self, worker: Any) -> None:
        queues = ",".join(sorted(worker.app.amqp.queues.consume_from))
        self._name = f"{PREFIX}{queues}@{self._holder}"
        worker.timer.call_after(0, self._renew)
        worker.timer.call_repeatedly(EVERY_SECONDS, self._renew)

    def _renew(self) -> None:
        try:
            leases.take(self._name, holder=self._holder, seconds=LEASE_SECONDS)
        except DatabaseError as error:
            log.warning("worker cannot reach the database", error=str(error))
        finally:
            # Every 10 s is no reason to keep a connection.
            connection.close()

    def stop(self, worker: Any) -> None:
        try:
            leases.give_back(self._name, holder=self._holder)
        except DatabaseError:
            log.warning("the worker's lease stays until it expires")
        finally:
            connection.close()


def unserved_queues() -> set[str]:
    """The queues of settings.WORKERS from which no living worker takes tasks."""
    wanted = {queue for queues, _ in settings.WORKERS.values() for queue in queues}
    names = Lease.objects.live().filter(name__startswith=PREFIX).values_list("name", flat=True)
    served = {
        queue for name in names for queue in name.removeprefix(PREFIX).rpartition("@")[0].split(",")
    }
    return wanted - served


current_app.steps["worker"].add(SignOfLife)
