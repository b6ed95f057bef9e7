"""Background tasks that live as long as a block, started again should they fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger(__name__)

#: Seconds before a task that failed is started again.
RESTART_S = 1.0


@asynccontextmanager
async def running(**tasks: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run tasks by name until the block is left."""
    started = [asyncio.create_task(_supervise(name, task), name=name) for name, task in tasks.items()]
    try:
        yield
    finally:
        for one in started:
            one.cancel()
        await asyncio.gather(*started, return_exceptions=True)


async def _supervise(name: str, task: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await task()
        except Exception:
            log.exception("task.failed", task=name)
        await asyncio.sleep(RESTART_S)
