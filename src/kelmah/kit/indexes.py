"""Builds the indexes of one service's database: those its documents declare, and those of the kit's collections."""

from collections.abc import AsyncIterator

from beanie import Document, init_beanie

from kelmah.kit import deadletters, events, idempotency, timers
from kelmah.kit.mongo import Mongo


async def build(mongo: Mongo, documents: tuple[type[Document], ...]) -> AsyncIterator[str]:
    """Build what is missing, and yield the name of each collection when it is done. Safe to run again."""
    for name, models in (events.INDEXES | timers.INDEXES | idempotency.INDEXES | deadletters.INDEXES).items():
        await mongo.collection(name).create_indexes(models)
        yield name
    for document in documents:
        await init_beanie(mongo.database, document_models=[document])
        yield document.get_collection_name()
