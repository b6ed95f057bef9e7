"""Bookmarks: whom a person wants to find again."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.kit.mongo import session


class BookmarkDocument(Document):
    """One person's bookmark of another. Shard key: `user_id`, hashed, so that a person's list is on one shard."""

    id: str  # type: ignore[assignment]  # "<user>:<target>", so that a target is bookmarked once
    user_id: str
    target_id: str
    created_at: datetime

    class Settings:
        name = "bookmarks"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user_id", ASCENDING), ("created_at", DESCENDING), ("target_id", ASCENDING)], name="list")
        ]


async def add(user_id: str, target_id: str, *, at: datetime) -> bool:
    """Bookmark the target. Returns whether it is new."""
    added = await BookmarkDocument.get_pymongo_collection().update_one(
        {"_id": f"{user_id}:{target_id}"},
        {"$setOnInsert": {"user_id": user_id, "target_id": target_id, "created_at": at}},
        upsert=True,
        session=session(),
    )
    return added.upserted_id is not None


async def find(user_id: str, target_id: str) -> BookmarkDocument | None:
    return await BookmarkDocument.find_one({"_id": f"{user_id}:{target_id}"}, session=session())


async def remove(user_id: str, target_id: str) -> bool:
    removed = await BookmarkDocument.get_pymongo_collection().delete_one(
        {"_id": f"{user_id}:{target_id}"}, session=session()
    )
    return removed.deleted_count == 1


async def owners() -> AsyncIterator[str]:
    """Whose each bookmark is."""
    async for row in BookmarkDocument.get_pymongo_collection().find({}, {"user_id": 1}):
        yield row["user_id"]


async def remove_person(user_id: str) -> None:
    """Remove the bookmarks of a person."""
    await BookmarkDocument.get_pymongo_collection().delete_many({"user_id": user_id}, session=session())


async def page(user_id: str, *, after: tuple[datetime, str] | None, limit: int) -> list[BookmarkDocument]:
    """Newest first."""
    query: dict[str, Any] = {"user_id": user_id}
    if after is not None:
        at, target_id = after
        query |= {
            "created_at": {"$lte": at},
            "$or": [{"created_at": {"$lt": at}}, {"target_id": {"$gt": target_id}}],
        }
    return await BookmarkDocument.find(query).sort("-created_at", "target_id").limit(limit).to_list()
