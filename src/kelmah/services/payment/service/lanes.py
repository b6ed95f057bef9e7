"""One line a wallet: movements of the same money wait for each other here instead of clashing in the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class Lanes:
    """First come, first served, by person, within this process.

    The database alone keeps the balance right, also between processes: a transaction that meets another on a wallet
    is undone and runs again. With hundreds at once nearly all of that work is thrown away, so they are lined up.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, *user_ids: str) -> AsyncIterator[None]:
        """Wait for one's turn at these persons' wallets, before the transaction is opened."""
        async with AsyncExitStack() as stack:
            for user_id in sorted(set(user_ids)):  # in one order everywhere, so that nobody waits in a circle
                lock = self._locks.setdefault(user_id, asyncio.Lock())
                await stack.enter_async_context(lock)
            yield
