"""Documents on a bare database, without the service: for what is stored and read, to the last field."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from beanie import Document

from kelmah.kit import indexes
from kelmah.kit.mongo import Mongo, connect


@asynccontextmanager
async def bare(url: str, name: str, documents: tuple[type[Document], ...]) -> AsyncIterator[Mongo]:
    """A database with the indexes of these documents, which belong to it until the end."""
    async with connect(url, name, documents) as mongo:
        async for _ in indexes.build(mongo, documents):
            pass
        yield mongo


class Undo(Exception):
    """Ends a transaction that must leave no trace."""


async def undone(mongo: Mongo, body: Callable[[], Awaitable[object]]) -> None:
    """Run the body in a transaction that is undone."""

    async def run() -> None:
        await body()
        raise Undo

    with pytest.raises(Undo):
        await mongo.transact(run)
