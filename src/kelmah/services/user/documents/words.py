"""The words that profiles are found by, for searches with typing errors."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError

#: Words looked at for one typed word.
MAX_CANDIDATES = 200
_DUPLICATE = 11000


class WordDocument(Document):
    """A word. `near` holds it with each letter left out, so that one look-up finds what is a typing error away.

    Words are never removed: one that nobody uses any more finds nobody. Shard key: `_id`, hashed.
    """

    id: str  # type: ignore[assignment]  # the word
    near: list[str]

    class Settings:
        name = "words"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("near", ASCENDING)], name="near")]


async def learn(words: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Keep words with their variants. Others may learn the same at this moment."""
    writes = [UpdateOne({"_id": word}, {"$setOnInsert": {"near": list(near)}}, upsert=True) for word, near in words]
    if not writes:
        return
    try:
        await WordDocument.get_pymongo_collection().bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        if any(one["code"] != _DUPLICATE for one in error.details["writeErrors"]):
            raise


async def known(words: Sequence[str]) -> set[str]:
    """Those of the words that are kept."""
    rows = WordDocument.get_pymongo_collection().find({"_id": {"$in": list(words)}}, {"_id": 1})
    return {row["_id"] for row in await rows.to_list()}


async def near(variants: Sequence[str]) -> list[str]:
    """Words that share a variant."""
    rows = WordDocument.get_pymongo_collection().find({"near": {"$in": list(variants)}}, {"_id": 1})
    return [row["_id"] for row in await rows.limit(MAX_CANDIDATES).to_list()]
