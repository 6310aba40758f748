"""/metrics for Prometheus: requests counted in this process, everything else read from rows."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
from amqp.exceptions import ChannelError
from asgiref.sync import iscoroutinefunction
from celery import current_app
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Counter, GaugeMetricFamily, Histogram, Metric
from prometheus_client.registry import Collector

from apps.core.models import Lease
from apps.core.running import beat, workers

log = structlog.get_logger(__name__)

REQUESTS = Counter(
    "gator_http_requests", "Requests answered by this process.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "gator_http_request_seconds",
    "Time to answer a request.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@sync_and_async_middleware
def measure_requests(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware that counts and times requests by route, never by address: those are endless."""

    def note(request: HttpRequest, response: HttpResponse, started: float) -> HttpResponse:
        match = request.resolver_match
        route = match.route if match else "(none)"
        method = request.method if request.method in METHODS else "(other)"
        REQUESTS.labels(method, route, response.status_code).inc()
        SECONDS.labels(route).observe(time.perf_counter() - started)
        return response

    if iscoroutinefunction(get_response):
        answer: Callable[[HttpRequest], Awaitable[HttpResponse]] = get_response

        async def measured_async(request: HttpRequest) -> HttpResponse:
            started = time.perf_counter()
            return note(request, await answer(request), started)

        return measured_async

    def measured(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        return note(request, get_response(request), started)

    return measured


def of_the_floor() -> Iterator[Metric]:
    """Queues, workers and beat."""
    yield from _queue_lengths()
    unserved = GaugeMetricFamily("gator_queues_unserved", "Queues without a living worker.")
    unserved.add_metric([], len(workers.unserved_queues()))
    yield unserved
    age = GaugeMetricFamily("gator_beat_age_seconds", "Since beat last renewed its lease.")
    if lease := Lease.objects.filter(name=beat.LEASE).first():
        left = (lease.expires_at - timezone.now()).total_seconds()
        age.add_metric([], max(0.0, beat.LEASE_SECONDS - left))
    yield age


def _queue_lengths() -> Iterator[Metric]:
    lengths = GaugeMetricFamily("gator_queue_length", "Tasks that wait.", labels=["queue"])
    names = sorted({queue for queues, _ in settings.WORKERS.values() for queue in queues})
    with current_app.connection_for_read() as broker:
        channel: Any = broker.default_channel
        for name in names:
            try:
                waiting = channel.queue_declare(queue=name, passive=True).message_count
            except ChannelError:
                # A queue that nobody has used yet does not exist.
                waiting = 0
                channel = broker.channel()
            lengths.add_metric([name], waiting)
    yield lengths


class _Rows(Collector):
    """What settings.METRICS name; one that fails is counted and does not silence the others."""

    def collect(self) -> Iterator[Metric]:
        failed = GaugeMetricFamily(
            "gator_metrics_failed", "Sources that failed.", labels=["source"]
        )
        for path in settings.METRICS:
            try:
                yield from list(import_string(path)())
            except Exception as error:
                log.warning("metrics failed", source=path, error=str(error))
                failed.add_metric([path], 1)
        yield failed


_rows = CollectorRegistry()
_rows.register(_Rows())


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, for whoever shows METRICS_TOKEN."""
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        refusal = HttpResponse("Authorization: Bearer METRICS_TOKEN\n", "text/plain", status=401)
        refusal["WWW-Authenticate"] = "Bearer"
        return refusal
    return HttpResponse(
        generate_latest(REGISTRY) + generate_latest(_rows), content_type=CONTENT_TYPE_LATEST
    )
