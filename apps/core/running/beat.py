"""django-celery-beat's scheduler behind a lease: two beats must not tick twice."""

import time
from typing import Any

import structlog
from django.db import DatabaseError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler

from apps.core.running import leases

log = structlog.get_logger(__name__)

LEASE = "beat"
LEASE_SECONDS = 15
RENEW_SECONDS = 3
WAIT_SECONDS = 0.5


class LeasedScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Ticks only while it holds the lease; the lease is also the heartbeat that /readyz reads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._holder = leases.this_process()
        self._renew_at = 0.0
        super().__init__(*args, **kwargs)

    def _holds_lease(self) -> bool:
        now = time.monotonic()
        if now < self._renew_at:
            return True
        try:
            held = leases.take(LEASE, holder=self._holder, seconds=LEASE_SECONDS)
            if not held:
                # A beat that was killed and restarted here need not wait for its own ghost.
                leases.bury_the_dead(LEASE)
        except DatabaseError as error:
            # Without the database nobody can tell who holds the lease, so nobody ticks.
            log.warning("beat cannot reach the database", error=str(error))
            close_old_connections()
            return False
        if held:
            if not self._renew_at:
                log.info("this beat ticks; others wait until it ends")
            self._renew_at = now + RENEW_SECONDS
        return held

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self._holds_lease():
            return WAIT_SECONDS
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        super().close()
        try:
            leases.give_back(LEASE, holder=self._holder)
        except DatabaseError:
            log.warning("beat's lease stays until it expires")
