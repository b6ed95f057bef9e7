"""API keys, kept as hashes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.auth import Scope
from kelmah.kit.mongo import session


class ApiKeyDocument(Document):
    """One key of one person. Shard key: `_id`, hashed: a key names its id, so no check asks every shard."""

    id: str  # type: ignore[assignment]  # an id of ours, never an ObjectId
    account_id: str
    name: str
    scopes: list[Scope]
    key_hash: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    #: When a use was last made an event.
    told_at: datetime | None = None
    revoked_at: datetime | None = None

    class Settings:
        name = "api_keys"
        indexes: ClassVar = [
            IndexModel([("account_id", ASCENDING), ("created_at", DESCENDING)], name="account"),
            IndexModel(
                [("revoked_at", ASCENDING), ("_id", ASCENDING)],
                name="revoked",
                partialFilterExpression={"revoked_at": {"$type": "date"}},
            ),
            IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
        ]


def _live(now: datetime) -> dict[str, Any]:
    return {"revoked_at": None, "expires_at": {"$gt": now}}


async def insert(key: ApiKeyDocument) -> None:
    await key.insert(session=session())


async def find(key_id: str, *, key_hash: str, now: datetime) -> ApiKeyDocument | None:
    return await ApiKeyDocument.find_one({"_id": key_id, "key_hash": key_hash, **_live(now)}, session=session())


async def find_own(key_id: str, *, account_id: str, now: datetime) -> ApiKeyDocument | None:
    return await ApiKeyDocument.find_one({"_id": key_id, "account_id": account_id, **_live(now)}, session=session())


async def list_live(account_id: str, *, now: datetime, limit: int) -> list[ApiKeyDocument]:
    """Newest first."""
    found = ApiKeyDocument.find({"account_id": account_id, **_live(now)}, session=session())
    return await found.sort("-created_at", "-_id").limit(limit).to_list()


async def note_use(key_id: str, *, before: datetime, at: datetime) -> None:
    """Write down that the key was used, unless that was done after `before`."""
    await ApiKeyDocument.get_pymongo_collection().update_one(
        {"_id": key_id, "$or": [{"last_used_at": None}, {"last_used_at": {"$lt": before}}]},
        {"$set": {"last_used_at": at}},
        session=session(),
    )


async def tell_use(key_id: str, *, before: datetime, at: datetime) -> bool:
    """Whether this use is to be an event: none was since `before`."""
    result = await ApiKeyDocument.get_pymongo_collection().update_one(
        {"_id": key_id, "$or": [{"told_at": None}, {"told_at": {"$lt": before}}]},
        {"$set": {"told_at": at}},
        session=session(),
    )
    return result.modified_count == 1


async def shorten(key_id: str, *, account_id: str, expires_at: datetime, now: datetime) -> bool:
    """Let the key end at this instant at the latest; whether there is such a live key of the person."""
    result = await ApiKeyDocument.get_pymongo_collection().update_one(
        {"_id": key_id, "account_id": account_id, **_live(now)},
        {"$min": {"expires_at": expires_at}},
        session=session(),
    )
    return result.matched_count == 1


async def revoke(account_id: str, *, key_id: str | None, now: datetime) -> list[str]:
    """End this key, or every one; gives those that were live until now."""
    query = {"account_id": account_id, **_live(now)} | ({} if key_id is None else {"_id": key_id})
    collection = ApiKeyDocument.get_pymongo_collection()
    ended = [row["_id"] async for row in collection.find(query, {"_id": 1}, session=session())]
    if ended:
        await collection.update_many(
            {"_id": {"$in": ended}, "revoked_at": None}, {"$set": {"revoked_at": now}}, session=session()
        )
    return ended


async def revoked_since(since: datetime, *, limit: int) -> Sequence[tuple[str, datetime]]:
    """Ids of keys with the instant they were revoked, oldest first."""
    rows = (
        ApiKeyDocument.get_pymongo_collection()
        .find({"revoked_at": {"$gt": since}}, {"revoked_at": 1}, session=session())
        .sort([("revoked_at", ASCENDING), ("_id", ASCENDING)])
        .limit(limit)
    )
    return [(row["_id"], row["revoked_at"]) async for row in rows]


async def remove_all(account_id: str) -> None:
    """Erase the names that a person gave; the bare rows stay until they expire, so that gateways still hear of their
    end."""
    await ApiKeyDocument.get_pymongo_collection().update_many(
        {"account_id": account_id}, {"$set": {"name": ""}}, session=session()
    )
