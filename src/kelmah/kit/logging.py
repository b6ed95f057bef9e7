"""Structured logs, one JSON object a line, with secrets and personal data taken out."""

import asyncio
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from kelmah.kit.context import current_trace

_SECRET_KEYS = re.compile(
    r"pass(word|phrase)|secret|token|authorization|cookie|api_?key|signature|otp|cvc|card|iban|account_number"
    r"|e_?mail|phone|address|first_name|last_name|date_of_birth",
    re.IGNORECASE,
)
_SECRET_VALUES = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+"  # a JWT
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"  # an e-mail address
    r"|(?<![\w-])(?!\d{4}-\d\d-\d\d)\+?\d[\d -]{7,18}\d(?![\w-])"  # a phone or card number, not a date
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # credentials inside a URL
)
REDACTED = "[redacted]"
#: Values longer than this are cut: a log line is not a place for documents.
MAX_VALUE_CHARS = 4_000


def scrub(value: Any, key: str = "") -> Any:
    """The value without secrets and personal data, by the name of its key and by its look."""
    if key and _is_secret(key):
        return REDACTED
    if isinstance(value, str):
        return _SECRET_VALUES.sub(REDACTED, value[:MAX_VALUE_CHARS])
    if isinstance(value, dict):
        return {name: scrub(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


_PLAIN_KEYS = frozenset(
    {"event", "level", "timestamp", "service", "request_id", "trace_id", "duration_ms", "status", "method", "operation"}
)


def _scrub_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key not in _PLAIN_KEYS:
            event[key] = scrub(value, key)
    return event


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (trace := current_trace.get()) is not None:
        event.setdefault("request_id", trace.request_id)
        event.setdefault("trace_id", trace.traceparent.split("-")[1])
    return event


def _render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _to_bytes(_: Any, __: str, line: str) -> bytes:
    return line.encode(errors="backslashreplace")


class RequestLine(msgspec.Struct, kw_only=True):
    """What the access log says of one request."""

    method: str
    path: str
    operation: str
    status: int
    duration_ms: float
    event: str = "http.request"
    level: str = "info"
    service: str = ""
    timestamp: datetime | None = None
    request_id: str = ""
    trace_id: str = ""


class _RequestLines:
    """Writes the lines of all requests that were answered in one turn of the event loop at its end."""

    def __init__(self, service: str, write: Callable[[bytes], object]) -> None:
        self._service = service
        self._write = write
        self._encode = msgspec.json.Encoder().encode
        self._waiting: list[bytes] = []

    def add(self, line: RequestLine) -> None:
        line.service, line.timestamp = self._service, datetime.now(UTC)
        line.path = scrub(line.path)
        if (trace := current_trace.get()) is not None:
            line.request_id, line.trace_id = trace.request_id, trace.traceparent[3:35]
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(self._encode(line))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._write(b"\n".join(waiting))


_request_lines: _RequestLines | None = None


def log_request(line: RequestLine) -> None:
    """Log a request that was answered. By way of structlog each would cost as much as the routing of it."""
    if _request_lines is not None:
        _request_lines.add(line)
    else:
        structlog.get_logger(__name__).info(
            line.event, method=line.method, path=line.path, operation=line.operation, status=line.status,
            duration_ms=line.duration_ms,
        )  # fmt: skip


def configure(service: str, *, level: str = "INFO", human: bool = False) -> None:
    """Set up logging for this process, libraries included. `human` prints coloured lines instead of JSON."""

    def add_service(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        add_service,
        _add_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if human else _render
    # Our own lines go to stderr at once: by way of the standard library each would cost four times as much. Not in a
    # worker of Dramatiq: its stderr is a pipe to the parent, of whole messages, and its writers need one lock.
    binary: Any = getattr(sys.stderr, "buffer", None)
    as_bytes: Any = _to_bytes
    by_library: Any = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    structlog.configure(
        processors=[*shared, by_library] if binary is None else [*shared, renderer, as_bytes],
        logger_factory=structlog.stdlib.LoggerFactory() if binary is None else structlog.BytesLoggerFactory(binary),
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        cache_logger_on_first_use=True,
    )
    global _request_lines
    is_plain = binary is not None and not human and logging.getLevelName(level) <= logging.INFO
    _request_lines = _RequestLines(service, structlog.BytesLogger(binary).msg) if is_plain else None
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("pymongo", "aiormq", "aio_pika", "pika", "httpx", "httpx2", "stripe", "_granian"):
        logging.getLogger(noisy).setLevel("WARNING")
