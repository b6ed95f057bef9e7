"""Trace ids go on when they are well-formed and are made anew when not."""

import pytest

from kelmah.kit import clock
from kelmah.kit.context import remaining_s, set_deadline, trace_from

TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def test_good_ids_go_on_with_a_span_of_our_own() -> None:
    trace = trace_from("request-1", "corr-0001", TRACEPARENT)
    assert (trace.request_id, trace.correlation_id) == ("request-1", "corr-0001")
    version, trace_id, span, flags = trace.traceparent.split("-")
    assert (version, trace_id, flags) == ("00", "a" * 32, "01")
    assert span != "b" * 16
    assert len(span) == 16


@pytest.mark.parametrize("bad", [None, "", "short", "x" * 65, "with space", "new\nline-"])
def test_bad_ids_are_made_anew(bad: str | None) -> None:
    trace = trace_from(bad, bad, bad)
    assert trace.request_id != bad
    assert trace.correlation_id == trace.request_id
    assert len(trace.traceparent) == 55


@pytest.mark.parametrize(
    "bad", ["00-" + "0" * 32 + "-" + "b" * 16 + "-01", "01-" + TRACEPARENT[3:], TRACEPARENT + "\n"]
)
def test_an_invalid_traceparent_starts_a_new_trace(bad: str) -> None:
    assert trace_from(None, None, bad).traceparent[:35] != bad[:35]


def test_a_deadline_shortens_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kelmah.kit.context.monotonic", lambda: 100.0)
    set_deadline("1500")
    assert remaining_s(3.0) == 1.5
    assert remaining_s(1.0) == 1.0
    set_deadline(None)
    assert remaining_s(3.0) == 3.0
    set_deadline("nonsense")
    assert remaining_s(3.0) == 3.0
    assert clock.monotonic() > 0
