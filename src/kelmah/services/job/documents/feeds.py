"""Private addresses of calendars: the document and its queries."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class CalendarFeedDocument(Document):
    """A person's calendar feed; `token_hash` is the SHA-256 of what its address holds. Shard key: hashed `_id`."""

    id: str  # type: ignore[assignment]  # the person
    token_hash: bytes
    created_at: datetime

    class Settings:
        name = "calendar_feeds"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("token_hash", ASCENDING)], unique=True, name="token")]


async def open_feed(user_id: str, token_hash: bytes, *, at: datetime) -> None:
    """Give a person this feed, in place of the one before."""
    await CalendarFeedDocument.get_pymongo_collection().replace_one(
        {"_id": user_id}, {"token_hash": token_hash, "created_at": at}, upsert=True
    )


async def close_feed(user_id: str) -> bool:
    """End a person's feed. Returns whether there was one."""
    result = await CalendarFeedDocument.get_pymongo_collection().delete_one({"_id": user_id})
    return result.deleted_count == 1


async def owner_of(token_hash: bytes) -> str | None:
    """Whose calendar this is."""
    feed = await CalendarFeedDocument.find_one({"token_hash": token_hash})
    return None if feed is None else feed.id
