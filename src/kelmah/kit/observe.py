"""What stands around every app: trace ids, security headers, the access log, metrics, and a bounded line of waiting.

It wraps the whole app rather than being a Litestar middleware, because Litestar answers unknown routes without
running middleware.
"""

import asyncio
from collections.abc import Iterable

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kelmah.kit import clock, errors, problem
from kelmah.kit.context import DEADLINE_HEADER, current_principal, current_trace, set_deadline, trace_from

log = structlog.get_logger(__name__)

REQUEST_ID_HEADER = b"x-request-id"
CORRELATION_HEADER = b"x-correlation-id"
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


class Metrics:
    """The metrics of one app, in a registry of its own, so that seven apps can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        #: Requests being served; waiting in line or not.
        self.present = 0
        labels = ("method", "operation", "status")
        self.requests = Counter("kelmah_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "kelmah_request_seconds", "Seconds to answer.", ("method", "operation"), registry=self.registry
        )
        Gauge("kelmah_requests_in_flight", "Requests being served.", registry=self.registry).set_function(
            lambda: self.present
        )
        self.refused = Counter("kelmah_requests_refused", "Requests refused: line full.", registry=self.registry)
        # Looking a series up by its labels costs more than counting; the routes and statuses bound how many there are.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def record(self, method: str, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        found = self._series.get((method, operation, status))
        if found is None:
            found = self.requests.labels(method, operation, status), self.seconds.labels(method, operation)
            self._series[method, operation, status] = found
        found[0].inc()
        found[1].observe(seconds)


class Observer:
    """An ASGI app around another: see the module's first sentence."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, concurrent: int, waiting: int) -> None:
        self._app = app
        self._metrics = metrics
        # First in, first out: MongoDB's own pool lets a freed connection be retaken by whoever ran last.
        self._turns = asyncio.Semaphore(concurrent)
        self._room = concurrent + waiting
        self._present = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        trace = trace_from(
            _text(headers.get(REQUEST_ID_HEADER)),
            _text(headers.get(CORRELATION_HEADER)),
            _text(headers.get(b"traceparent")),
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
                add_headers(message, (*SECURITY_HEADERS, (REQUEST_ID_HEADER, request_id)))
            await send(message)

        self._metrics.present += 1
        try:
            if scope["path"] in _QUIET_PATHS:  # health answers even when every turn is taken
                await self._app(scope, receive, send_with_headers)
            elif self._present >= self._room:
                self._metrics.refused.inc()
                await problem.respond(send_with_headers, errors.Unavailable(retry_after_s=1))
            else:
                await self._take_turn(scope, receive, send_with_headers)
        finally:
            self._metrics.present -= 1
            self._record(scope, status, clock.monotonic() - started)

    async def _take_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._present += 1
        try:
            async with self._turns:
                await self._app(scope, receive, send)
        finally:
            self._present -= 1

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        handler = scope.get("route_handler")
        operation = getattr(handler, "operation_id", None) or "none"
        method = scope["method"] if operation != "none" else "any"  # unknown routes may carry any method
        self._metrics.record(method, operation, status, seconds)
        if scope["path"] not in _QUIET_PATHS:
            log.info(
                "http.request", method=scope["method"], path=scope["path"], operation=operation, status=status,
                duration_ms=round(seconds * 1000, 1),
            )  # fmt: skip


def add_headers(message: HTTPResponseStartEvent, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Add the headers that the answer does not set itself, and drop what tells of the software."""
    present = {name.lower() for name, _ in message["headers"]}
    kept = message["headers"]
    if b"server" in present or b"x-powered-by" in present:
        kept = [(name, value) for name, value in kept if name.lower() not in (b"server", b"x-powered-by")]
    message["headers"] = [*kept, *[pair for pair in headers if pair[0] not in present]]


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None
