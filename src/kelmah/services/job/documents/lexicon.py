"""The words of jobs, so that searches can complete and correct what people type."""

from collections.abc import Collection
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel
from pymongo.errors import BulkWriteError

_DUPLICATE_KEY = 11000


class WordDocument(Document):
    """A folded word. `deletes` holds it with each one of its letters left out: words that share one are alike."""

    id: str  # type: ignore[assignment]  # the word
    deletes: list[str]

    class Settings:
        name = "words"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("deletes", ASCENDING)], name="deletes")]


def deletes(word: str) -> list[str]:
    """The word, and the word with each one letter left out."""
    return list(dict.fromkeys([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))]))


async def learn(words: Collection[str]) -> None:
    """Keep the words that are new. Not in a transaction: a word too many does no harm, and twins may race."""
    collection = WordDocument.get_pymongo_collection()
    known = {row["_id"] async for row in collection.find({"_id": {"$in": list(words)}}, {"_id": 1})}
    rows = [{"_id": word, "deletes": deletes(word)} for word in words if word not in known]
    if not rows:
        return
    try:
        await collection.insert_many(rows, ordered=False)
    except BulkWriteError as error:
        if any(one["code"] != _DUPLICATE_KEY for one in error.details["writeErrors"]):
            raise


async def beginning_with(start: str, *, limit: int) -> list[str]:
    """Words that begin so, in the order of the alphabet."""
    query = {"_id": {"$gte": start, "$lt": start + "\U0010ffff"}}
    rows = WordDocument.get_pymongo_collection().find(query, {"_id": 1}, sort=[("_id", ASCENDING)], limit=limit)
    return [row["_id"] async for row in rows]


async def like(word: str, *, limit: int) -> list[str]:
    """Words that are one slip of the finger away, some of them two."""
    rows = WordDocument.get_pymongo_collection().find({"deletes": {"$in": deletes(word)}}, {"_id": 1}, limit=limit)
    return [row["_id"] async for row in rows]
