"""Logs carry neither secrets nor personal data."""

import json
import logging as std_logging
import sys

import pytest
import structlog

from kelmah.kit import logging
from kelmah.kit.logging import MAX_VALUE_CHARS, REDACTED, scrub


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
    """A worker's stderr: text alone, as dramatiq's pipe."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        self.lines.append(text)

    def flush(self) -> None:
        pass


def test_a_stream_without_a_buffer_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, before = Pipe(), structlog.get_config()
    root = std_logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "stderr", pipe)
    try:
        logging.configure("workers")
        structlog.get_logger("test").info("worker.started", user_email="ama@example.com")
    finally:
        structlog.configure(**before)
        root.handlers, root.level = handlers, level
    [line] = "".join(pipe.lines).splitlines()
    found = json.loads(line)
    assert (found["event"], found["service"], found["user_email"]) == ("worker.started", "workers", REDACTED)
