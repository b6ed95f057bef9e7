"""What stands around every app: trace ids, security headers, the access log, metrics, and a bounded line of waiting.

It wraps the whole app rather than being a Litestar middleware, because Litestar answers unknown routes without
running middleware.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from operator import add

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from kelmah.kit import clock, errors, problem
from kelmah.kit.context import DEADLINE_HEADER, current_principal, current_trace, set_deadline, trace_from
from kelmah.kit.logging import RequestLine, log_request
from kelmah.kit.turns import Turns

REQUEST_ID_HEADER = b"x-request-id"
CORRELATION_HEADER = b"x-correlation-id"
_TRACING = frozenset({REQUEST_ID_HEADER, CORRELATION_HEADER, b"traceparent"})
_QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
#: OWASP Secure Headers, for an API: nothing is framed, sniffed, cached by default or run.
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
    (b"cache-control", b"no-store"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
)
#: Seconds; the library's own steps, which dashboards know.
_BOUNDS_S = Histogram.DEFAULT_BUCKETS[:-1]
_TELLTALES = frozenset({b"server", b"x-powered-by"})
_ADDED = frozenset({REQUEST_ID_HEADER, *(name for name, _ in SECURITY_HEADERS)})


class _Answers(Collector):
    """How many answers there were and how long they took: plain numbers, made into metrics when somebody asks.

    For one event loop; the library's own counters take a lock for each of the three numbers of an answer. The routes
    and statuses bound how many series there are.
    """

    def __init__(self) -> None:
        #: By method, operation and status: answers in each bucket, and seconds in all.
        self._series: dict[tuple[str, str, int], tuple[list[int], list[float]]] = {}

    def record(self, method: str, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        found = self._series.get((method, operation, status))
        if found is None:
            found = self._series[method, operation, status] = [0] * (len(_BOUNDS_S) + 1), [0.0]
        found[0][bisect_left(_BOUNDS_S, seconds)] += 1
        found[1][0] += seconds

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        requests = CounterMetricFamily(
            "kelmah_requests", "Requests answered.", labels=("method", "operation", "status")
        )
        took = HistogramMetricFamily("kelmah_request_seconds", "Seconds to answer.", labels=("method", "operation"))
        seconds: dict[tuple[str, str], tuple[list[int], float]] = {}
        for (method, operation, status), (counts, (total,)) in self._series.items():
            requests.add_metric((method, operation, str(status)), sum(counts))
            others, other_total = seconds.get((method, operation), ([0] * len(counts), 0.0))
            seconds[method, operation] = [*map(add, counts, others)], total + other_total
        for labels, (counts, total) in seconds.items():
            bounds = (*map(floatToGoString, _BOUNDS_S), "+Inf")
            took.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        yield requests
        yield took


class Metrics:
    """The metrics of one app, in a registry of its own, so that seven apps can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        #: Requests being served; waiting in line or not.
        self.present = 0
        self._answers = _Answers()
        self.registry.register(self._answers)
        Gauge("kelmah_requests_in_flight", "Requests being served.", registry=self.registry).set_function(
            lambda: self.present
        )
        self.refused = Counter("kelmah_requests_refused", "Requests refused: line full.", registry=self.registry)
        self.record = self._answers.record


class Observer:
    """An ASGI app around another: see the module's first sentence."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, concurrent: int, waiting: int) -> None:
        self._app = app
        self._metrics = metrics
        self._turns = Turns(concurrent)
        self._room = concurrent + waiting
        self._present = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        trace = (
            trace_from(None, None, None)
            if _TRACING.isdisjoint(headers)
            else trace_from(
                _text(headers.get(REQUEST_ID_HEADER)),
                _text(headers.get(CORRELATION_HEADER)),
                _text(headers.get(b"traceparent")),
            )
        )
        current_trace.set(trace)
        current_principal.set(None)
        set_deadline(_text(headers.get(DEADLINE_HEADER)))
        if scope["type"] == ScopeType.HTTP:
            await self._http(scope, receive, send, trace.request_id.encode())
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: HTTPScope, receive: Receive, send: Send, request_id: bytes) -> None:
        started, status = clock.monotonic(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(message, request_id)
            await send(message)

        self._metrics.present += 1
        try:
            if scope["path"] in _QUIET_PATHS:  # health answers even when every turn is taken
                await self._app(scope, receive, send_with_headers)
            elif self._present >= self._room:
                self._metrics.refused.inc()
                await problem.respond(send_with_headers, errors.Unavailable(retry_after_s=1))
            else:
                self._present += 1
                try:
                    if not self._turns.try_take():
                        await self._turns.take()
                    try:
                        await self._app(scope, receive, send_with_headers)
                    finally:
                        self._turns.give_back()
                finally:
                    self._present -= 1
        finally:
            self._metrics.present -= 1
            self._record(scope, status, clock.monotonic() - started)

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        handler = scope.get("route_handler")
        operation = getattr(handler, "operation_id", None) or "none"
        method = scope["method"] if operation != "none" else "any"  # unknown routes may carry any method
        self._metrics.record(method, operation, status, seconds)
        if scope["path"] not in _QUIET_PATHS:
            duration_ms = round(seconds * 1000, 1)
            line = RequestLine(
                method=scope["method"], path=scope["path"], operation=operation, status=status, duration_ms=duration_ms
            )
            log_request(line)


def add_headers(message: HTTPResponseStartEvent, request_id: bytes) -> None:
    """Add what every answer has, where it does not say so itself, and drop what tells of the software."""
    present = {name.lower() for name, _ in message["headers"]}
    kept = message["headers"]
    if not present.isdisjoint(_TELLTALES):
        kept = [(name, value) for name, value in kept if name.lower() not in _TELLTALES]
    added = [*SECURITY_HEADERS, (REQUEST_ID_HEADER, request_id)]
    if not present.isdisjoint(_ADDED):
        added = [pair for pair in added if pair[0] not in present]
    message["headers"] = [*kept, *added]


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None
