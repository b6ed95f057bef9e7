"""So many at once, and the others in line."""

import asyncio
from collections import deque


class Turns:
    """A semaphore, first in, first out: MongoDB's own pool lets a freed connection be retaken by whoever ran last.

    In place of asyncio's, which costs each request six calls where nobody waits.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    def try_take(self) -> bool:
        """Take a turn if one is free. None is while somebody waits."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def take(self) -> None:
        """Take a turn when it is one's own."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._line:
                self._line.remove(turn)
            elif not turn.cancelled():  # it was handed over at the same time
                self.give_back()
            raise

    def give_back(self) -> None:
        """Hand the turn to whoever waits the longest."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
