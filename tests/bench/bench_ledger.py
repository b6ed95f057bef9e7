"""Transfers a second and their p99, beside the bare MongoDB transaction that each needs.

nox -s bench -- ledger
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from kelmah.kit import indexes, mongo
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Mongo, session
from kelmah.services.payment.documents import DOCUMENTS, ledger
from kelmah.services.payment.documents.entries import Entry, Posting

TRANSFERS = 400
AT_ONCE = 8


@pytest.fixture
async def database(mongo_url: str, mongo_prefix: str) -> AsyncIterator[Mongo]:
    async with mongo.connect(mongo_url, f"{mongo_prefix}bench", DOCUMENTS) as made:
        async for _ in indexes.build(made, DOCUMENTS):
            pass
        yield made


async def measure(name: str, once: Callable[[int], Awaitable[None]]) -> None:
    took: list[float] = []
    numbers = iter(range(TRANSFERS))

    async def work() -> None:
        for number in numbers:
            began = time.perf_counter()
            await once(number)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    rate = TRANSFERS / (time.perf_counter() - began)
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    print(f"{name}: {rate:.0f}/s, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")


async def test_transfers_beside_bare_transactions(database: Mongo) -> None:
    pairs = [(f"wallet:{new_id()}:GHS", f"escrow:{new_id()}:GHS") for _ in range(TRANSFERS)]

    async def post(reference: str, one: str, other: str) -> None:
        entry = Entry(reference=reference, kind="bench", postings=(Posting(one, -1), Posting(other, 1)), facts={})

        async def body() -> None:
            await ledger.post(entry)

        await database.transact(body)

    async def transfer(number: int) -> None:
        await post(f"bench:{new_id()}", *pairs[number])

    async def bare(number: int) -> None:
        """The same documents: two balances changed and one row written."""

        async def body() -> None:
            rows = database.collection("bare_accounts")
            for key in pairs[number]:
                await rows.update_one({"_id": key}, {"$inc": {"balance": 1}}, upsert=True, session=session())
            await database.collection("bare_entries").insert_one({"_id": new_id()}, session=session())

        await database.transact(body)

    for number in range(TRANSFERS):
        await post(f"bench:{new_id()}", f"clearing:bench{number}:GHS", pairs[number][0])
    await measure("bare transactions", bare)
    await measure("ledger transfers", transfer)
