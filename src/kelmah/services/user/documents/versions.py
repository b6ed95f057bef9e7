"""How a person's own fields read before each edit: the document and its queries."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import DESCENDING, IndexModel

from kelmah.kit.mongo import session

#: How many versions of a profile back its edits are kept.
KEPT = 500


class ProfileVersionDocument(Document):
    """An edit: `sealed` holds the fields as they were before it, and what it made of them. Shard key: `user_id`."""

    id: str  # type: ignore[assignment]  # person and version
    user_id: str
    version: int
    replaced_at: datetime
    sealed: str

    class Settings:
        name = "profile_versions"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("user_id", 1), ("version", DESCENDING)], name="person")]


async def keep(user_id: str, version: int, *, sealed: str, at: datetime) -> None:
    """Keep an edit, in the open transaction, and forget those that are too old."""
    row = ProfileVersionDocument(
        id=f"{user_id}:{version}", user_id=user_id, version=version, replaced_at=at, sealed=sealed
    )
    await row.insert(session=session())
    await ProfileVersionDocument.get_pymongo_collection().delete_many(
        {"user_id": user_id, "version": {"$lte": version - KEPT}}, session=session()
    )


async def find(user_id: str, version: int) -> ProfileVersionDocument | None:
    return await ProfileVersionDocument.find_one({"_id": f"{user_id}:{version}"})


async def of_person(user_id: str, *, before: int | None, limit: int) -> list[ProfileVersionDocument]:
    """A person's edits, the last first; those before a version if one is given."""
    query = {"user_id": user_id} | ({"version": {"$lt": before}} if before is not None else {})
    return await ProfileVersionDocument.find(query).sort("-version").limit(limit).to_list()


async def forget_person(user_id: str) -> None:
    """Remove all edits of a person, in the open transaction."""
    await ProfileVersionDocument.get_pymongo_collection().delete_many({"user_id": user_id}, session=session())
