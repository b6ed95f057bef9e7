"""Background tasks and their end."""

import asyncio

import pytest

from kelmah.kit import tasks


async def test_a_task_that_swallowed_a_cancellation_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the database's client does when a write completes at the moment of the cancellation."""
    monkeypatch.setattr(tasks, "ASK_AGAIN_S", 0.01)
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard += 1
        raise asyncio.CancelledError

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await tasks.end(task)
    assert task.cancelled()
    assert heard == 2


async def test_ending_nothing_and_what_has_ended_returns_at_once() -> None:
    async def fails() -> None:
        raise ValueError("kept")

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    await tasks.end()
    await tasks.end(task)
    assert str(task.exception()) == "kept"
