"""Logs carry neither secrets nor personal data."""

import pytest

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
