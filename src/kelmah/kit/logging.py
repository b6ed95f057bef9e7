"""Structured logs, one JSON object a line, with secrets and personal data taken out."""

import logging
import re
import sys
from collections.abc import MutableMapping
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


_PLAIN_KEYS = frozenset({"event", "level", "timestamp", "service", "request_id", "trace_id", "duration_ms", "status"})


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
    as_bytes: Any = _to_bytes
    # Our own lines go to stderr at once. By way of the standard library each would cost four times as much.
    structlog.configure(
        processors=[*shared, renderer, as_bytes],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        cache_logger_on_first_use=True,
    )
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
