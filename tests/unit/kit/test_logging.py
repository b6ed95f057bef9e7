"""Logs carry neither secrets nor personal data."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from kelmah.kit import context
from kelmah.kit import logging as kit_logging
from kelmah.kit.logging import MAX_VALUE_CHARS, REDACTED, RequestLine, configure, log_request, scrub


@pytest.mark.parametrize("key", ["password", "refreshToken", "Authorization", "email", "phone_number", "api_key"])
def test_a_value_is_hidden_by_the_name_of_its_key(key: str) -> None:
    assert scrub("anything", key) == REDACTED
    assert scrub({"a": [{key: "anything"}]}) == {"a": [{key: REDACTED}]}


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("sent to ama@example.com now", "sent to [redacted] now"),
        ("call +233 20 123 4567", "call [redacted]"),
        ("card 4242 4242 4242 4242 declined", "card [redacted] declined"),
        ("Bearer eyJhbGciOi.eyJzdWIi.c2ln", "Bearer [redacted]"),
        ("amqp://guest:secret@host:5672/", "amqp://[redacted]@host:5672/"),
    ],
)
def test_a_value_is_hidden_by_its_look(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize("text", ["0190f7d0c3c57e0b8e7a", "job.created", "took 1234 ms", "2026-11-22"])
def test_what_is_neither_stays(text: str) -> None:
    assert scrub(text) == text


def test_a_long_value_is_cut() -> None:
    assert scrub("x" * (MAX_VALUE_CHARS + 1)) == "x" * MAX_VALUE_CHARS


class Pipe:
    """What Dramatiq puts in the place of a worker's stderr: text only, each write one message."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)

    def flush(self) -> None: ...


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    root, before, request_lines = logging.getLogger(), structlog.get_config(), kit_logging._request_lines
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**before)
    kit_logging._request_lines = request_lines


@pytest.mark.usefixtures("logging_as_it_was")
def test_a_worker_of_dramatiq_logs_by_its_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe)
    configure("workers")
    structlog.get_logger("one").info("job.done", email="ama@example.com")
    logging.getLogger("two").warning("by %s", "a library")
    lines = [json.loads(text) for text in "".join(pipe.written).splitlines()]
    assert [(one["event"], one["service"], one.get("email")) for one in lines] == [
        ("job.done", "workers", REDACTED),
        ("by a library", "workers", None),
    ]


class Terminal:
    """A stderr with a buffer of bytes."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()


@pytest.mark.usefixtures("logging_as_it_was")
async def test_requests_are_logged_a_turn_of_the_loop_later_without_personal_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure("gateway")
    context.current_trace.set(context.trace_from("request-1", None, f"00-{'a' * 32}-{'b' * 16}-01"))
    for path in ("/api/v1/jobs/9", "/api/v1/users/ama@example.com"):
        log_request(RequestLine(method="GET", path=path, operation="one", status=200, duration_ms=1.5))
    assert terminal.buffer.getvalue() == b""
    await asyncio.sleep(0)
    lines = [json.loads(line) for line in terminal.buffer.getvalue().splitlines()]
    assert [line.pop("timestamp")[-1] for line in lines] == ["Z", "Z"]
    assert [line.pop("path") for line in lines] == ["/api/v1/jobs/9", f"/api/v1/users/{REDACTED}"]
    same = {
        "event": "http.request", "level": "info", "service": "gateway", "method": "GET", "operation": "one",
        "status": 200, "duration_ms": 1.5, "request_id": "request-1", "trace_id": "a" * 32,
    }  # fmt: skip
    assert lines == [same, same]


@pytest.mark.usefixtures("logging_as_it_was")
async def test_requests_are_not_logged_below_their_level(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure("gateway", level="WARNING")
    log_request(RequestLine(method="GET", path="/", operation="one", status=200, duration_ms=1.5))
    await asyncio.sleep(0)
    assert terminal.buffer.getvalue() == b""


@pytest.mark.usefixtures("logging_as_it_was")
def test_what_is_logged_neither_breaks_lines_nor_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe)
    configure("workers")
    forged = 'x\r\n{"event": "auth.logged_in"}\x00", "level": "error'
    structlog.get_logger("one").info("seen", path=forged)
    [line] = "".join(pipe.written).splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["path"]) == ("seen", "info", forged)
