"""Group commit: what is asked for while a run is under way is done together in the next one.

A round trip or a commit costs much the same for one as for many, so that many callers are served as fast as one.
Nobody waits for others to come.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from kelmah.kit.tasks import end

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
#: Does what is asked for, in its order; gives the outcome of each, or raises when it has done nothing at all.
Run = Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]]

#: Items of one run; as many as make one more cost nothing that can be measured.
MOST = 64


class Batches(Generic[ItemT, ResultT]):
    """One line of callers, served in the order in which they came. Its length is what its callers bound."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def do(self, item: ItemT, run: Run[ItemT, ResultT]) -> ResultT:
        """Have it done, in a run with others; all callers give a `run` that does the same.

        Where a run of several raises, each is done by itself, so that none fails for what is wrong with another.
        A caller that is cancelled may find it done all the same.
        """
        outcome: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if self._task is None:
            # Nothing of the caller's that came first may cling to what is done for the others.
            self._task = asyncio.create_task(self._work(run), context=Context())
        return await outcome

    async def aclose(self) -> None:
        """End what is under way; whoever waits is cancelled."""
        if self._task is not None:
            await end(self._task)
        for _, outcome in self._waiting:
            outcome.cancel()

    async def _work(self, run: Run[ItemT, ResultT]) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                try:
                    await _serve([one for one in taken if not one[1].done()], run)
                finally:
                    for _, outcome in taken:
                        outcome.cancel()  # where it has none
        finally:
            self._task = None


async def _serve(taken: Sequence[tuple[ItemT, asyncio.Future[ResultT]]], run: Run[ItemT, ResultT]) -> None:
    if not taken:
        return
    try:
        results = await run([item for item, _ in taken])
    except Exception as error:
        if len(taken) > 1:
            for one in taken:
                await _serve([one], run)
            return
        results = [error]
    for (_, outcome), result in zip(taken, results, strict=True):
        if outcome.done():  # whoever asked did not wait
            continue
        if isinstance(result, Exception):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)
