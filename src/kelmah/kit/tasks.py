"""Background tasks that live as long as a block, started again should they fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: Seconds before a task that failed is started again.
RESTART_S = 1.0
#: Seconds before a task that did not end is cancelled once more.
ASK_AGAIN_S = 1.0


@asynccontextmanager
async def running(**tasks: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run tasks by name until the block is left."""
    started = [asyncio.create_task(_supervise(name, task), name=name) for name, task in tasks.items()]
    try:
        yield
    finally:
        await end(*started)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until each has ended; what they raised stays in them.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, through which MongoDB's client writes, swallows a
    cancellation that comes as the write completes (python/cpython#86296).
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=ASK_AGAIN_S)


async def _supervise(name: str, task: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await task()
        except Exception:
            log.exception("task.failed", task=name)
        await asyncio.sleep(RESTART_S)
