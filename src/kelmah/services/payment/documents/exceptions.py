"""Differences between what we, the providers and the bank hold true, in a queue until somebody resolved them."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel

from kelmah.contracts.payment import ExceptionKind
from kelmah.kit import clock, mongo
from kelmah.kit.mongo import session

OPEN, RESOLVED = "open", "resolved"


class ExceptionDocument(Document):
    """A difference. `id` names it, so that it is queued once however often it is found.

    `amount` minor units are in question; with `is_suspense` they lie in the suspense account (negative: are missing
    there).
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    kind: ExceptionKind
    provider: str
    reference: str
    amount: int
    currency: str
    is_suspense: bool = False
    status: str = OPEN
    reason: str | None = None
    resolved_by: str | None = None
    created_at: datetime
    resolved_at: datetime | None = None

    class Settings:
        name = "exceptions"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("status", ASCENDING), ("_id", ASCENDING)], name="status"),
            IndexModel([("provider", ASCENDING), ("reference", ASCENDING)], name="reference"),
        ]


async def insert_exception(exception: ExceptionDocument) -> bool:
    """Queue a difference. Whether it is new."""
    row = exception.model_dump(by_alias=True)
    done = await ExceptionDocument.get_pymongo_collection().update_one(
        {"_id": row.pop("_id")}, {"$setOnInsert": row}, upsert=True, session=session()
    )
    return done.upserted_id is not None


async def find_exception(exception_id: str) -> ExceptionDocument | None:
    """A difference."""
    return await ExceptionDocument.get(exception_id, session=session())


async def list_exceptions(status: str, *, after: str | None, limit: int) -> list[ExceptionDocument]:
    """Differences in a state, by name."""
    query: dict[str, Any] = {"status": status}
    if after is not None:
        query["_id"] = {"$gt": after}
    return await ExceptionDocument.find(query).sort("_id").limit(limit).to_list()


async def resolve_exception(exception_id: str, *, reason: str, by: str) -> ExceptionDocument | None:
    """Take a difference out of the queue. None when it is not in it."""
    return await mongo.change(
        ExceptionDocument,
        {"_id": exception_id, "status": OPEN},
        {"$set": {"status": RESOLVED, "reason": reason, "resolved_by": by, "resolved_at": clock.now()}},
    )


async def close_matched(provider: str, references: list[str], *, by: str) -> int:
    """Take differences out of the queue that are none any more. How many."""
    done = await ExceptionDocument.get_pymongo_collection().update_many(
        {"status": OPEN, "provider": provider, "reference": {"$in": references}, "is_suspense": False},
        {"$set": {"status": RESOLVED, "reason": "matched", "resolved_by": by, "resolved_at": clock.now()}},
        session=session(),
    )
    return int(done.modified_count)


async def unreconciled() -> dict[str, tuple[int, datetime]]:
    """What open differences are about, in minor units by currency, and since when the oldest is open."""
    cursor = await ExceptionDocument.get_pymongo_collection().aggregate(
        [
            {"$match": {"status": OPEN}},
            {"$group": {"_id": "$currency", "sum": {"$sum": {"$abs": "$amount"}}, "first": {"$min": "$created_at"}}},
        ],
        session=session(),
    )
    return {row["_id"]: (row["sum"], row["first"]) for row in await cursor.to_list()}
