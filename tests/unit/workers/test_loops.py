"""Loops that fail wait longer each time, and say how often they failed in a row."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from kelmah.workers import loops, metrics


def failures(name: str) -> float | None:
    return metrics.registry.get_sample_value("kelmah_loop_failures", {"loop": name})


def _sleep_by(sleep: Callable[[float], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """For the loops alone: servers of other tests sleep on the same event loop."""
    monkeypatch.setattr(loops, "asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout))


async def test_failures_in_a_row_are_counted_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    seen: list[float | None] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)
        seen.append(failures("relay.test"))

    _sleep_by(sleep, monkeypatch)
    monkeypatch.setattr("random.uniform", lambda _, high: high)
    turns = iter([ConnectionError(), ConnectionError(), ConnectionError(), None])

    async def turn() -> bool:
        error = next(turns, asyncio.CancelledError())
        if error is not None:
            raise error
        return True

    with pytest.raises(asyncio.CancelledError):
        await loops.forever(turn, asyncio.Event(), name="relay.test")
    assert seen == [1, 2, 3]
    assert waited == [0.4, 0.8, 1.6]
    assert failures("relay.test") == 0


async def test_the_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    _sleep_by(sleep, monkeypatch)
    monkeypatch.setattr("random.uniform", lambda low, _: low)
    turns = iter([ConnectionError()] * 12)

    async def turn() -> bool:
        raise next(turns, asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        await loops.forever(turn, asyncio.Event(), name="relay.test")
    assert waited[-1] == loops.BACKOFF_MAX_S / 2
