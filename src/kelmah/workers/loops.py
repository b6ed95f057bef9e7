"""Work that never ends: takes a turn when there is something to do, and waits longer after each failure."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from kelmah.workers import metrics

log = structlog.get_logger(__name__)

#: Seconds between looks when nobody rings, in case a ring was missed.
POLL_S = 2.0
#: Seconds before another try after a failure, doubled each time up to the second, less up to half at random.
BACKOFF_S, BACKOFF_MAX_S = 0.2, 15.0


async def forever(turn: Callable[[], Awaitable[bool]], bell: asyncio.Event, *, name: str) -> None:
    """Take turns until cancelled: at once while a turn says there is more, else when the bell rings or to look."""
    failures = 0
    while True:
        bell.clear()
        try:
            more = await turn()
            failures = 0
            metrics.loop_failures.labels(name).set(0)
        except Exception as error:
            failures += 1
            await _pause(name, failures, error)
            continue
        if not more:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):  # wait_for of Python 3.11 can swallow a cancellation
                    await bell.wait()


async def ring(changes: Callable[[], AsyncIterator[str]], bells: Mapping[str, asyncio.Event], *, name: str) -> None:
    """Ring the bell of each collection that changes, until cancelled. What breaks is begun anew."""
    failures = 0
    while True:
        try:
            async for collection in changes():
                failures = 0
                metrics.loop_failures.labels(name).set(0)
                bells[collection].set()
        except Exception as error:
            failures += 1
            await _pause(name, failures, error)
        for bell in bells.values():  # something may have changed unseen
            bell.set()


async def _pause(name: str, failures: int, error: Exception) -> None:
    metrics.loop_failures.labels(name).set(failures)
    delay_s = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(failures, 10)) * random.uniform(0.5, 1)  # noqa: S311  # jitter
    log.warning("loop.failed", loop=name, error=_names(error), failures=failures, retry_in_s=round(delay_s, 2))
    await asyncio.sleep(delay_s)


def _names(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(sorted({_names(one) for one in error.exceptions}))
    return type(error).__name__
