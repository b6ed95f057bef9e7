"""Sessions: one a login, each a family of refresh tokens of which the newest alone is good."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.kit.mongo import change, session


class SessionDocument(Document):
    """One login. Shard key: `_id`, hashed: a refresh token names its session, so no refresh asks every shard."""

    id: str  # type: ignore[assignment]  # an id of ours, never an ObjectId
    account_id: str
    methods: list[str]
    address_sealed: str | None
    user_agent_sealed: str | None
    device_hash: str | None
    created_at: datetime
    #: When the person last proved who they are, where that was after the session began.
    authenticated_at: datetime | None = None
    last_seen_at: datetime
    #: However much it is used, the session ends here.
    expires_at: datetime
    #: Unless it is used before, the session ends here.
    idle_at: datetime
    refresh_hash: str
    #: The last rotation: which token was used, when, and the sealed successor for a twin that lost the race.
    used_hash: str | None = None
    used_at: datetime | None = None
    successor_sealed: str | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None

    class Settings:
        name = "sessions"
        indexes: ClassVar = [
            IndexModel([("account_id", ASCENDING), ("last_seen_at", DESCENDING)], name="account"),
            IndexModel(
                [("revoked_at", ASCENDING), ("_id", ASCENDING)],
                name="revoked",
                partialFilterExpression={"revoked_at": {"$type": "date"}},
            ),
            IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
        ]


def _live(now: datetime) -> dict[str, Any]:
    return {"revoked_at": None, "expires_at": {"$gt": now}, "idle_at": {"$gt": now}}


async def insert(document: SessionDocument) -> None:
    await document.insert(session=session())


async def by_id(session_id: str) -> SessionDocument | None:
    return await SessionDocument.find_one({"_id": session_id}, session=session())


async def is_live(session_id: str, *, now: datetime) -> bool:
    return await SessionDocument.find_one({"_id": session_id, **_live(now)}, session=session()) is not None


async def list_live(account_id: str, *, now: datetime, limit: int, skip: int = 0) -> list[SessionDocument]:
    """Newest use first."""
    found = SessionDocument.find({"account_id": account_id, **_live(now)}, session=session())
    return await found.sort("-last_seen_at", "-_id").skip(skip).limit(limit).to_list()


async def rotate(
    session_id: str, *, old_hash: str, new_hash: str, successor_sealed: str, now: datetime, idle_at: datetime
) -> SessionDocument | None:
    """Put the next refresh token in place of `old_hash`; None when that is not the good one of a live session."""
    return await change(
        SessionDocument,
        {"_id": session_id, "refresh_hash": old_hash, **_live(now)},
        {
            "$set": {
                "refresh_hash": new_hash,
                "used_hash": old_hash,
                "used_at": now,
                "successor_sealed": successor_sealed,
                "last_seen_at": now,
                "idle_at": idle_at,
            }
        },
    )


async def step_up(session_id: str, *, account_id: str, methods: list[str], now: datetime) -> SessionDocument | None:
    """Note that the person proved who they are once more; None when the session has ended."""
    return await change(
        SessionDocument,
        {"_id": session_id, "account_id": account_id, **_live(now)},
        {"$set": {"authenticated_at": now}, "$addToSet": {"methods": {"$each": methods}}},
    )


async def revoke(session_id: str, *, account_id: str, reason: str, now: datetime) -> bool:
    """Whether the session was live and ended now."""
    result = await SessionDocument.get_pymongo_collection().update_one(
        {"_id": session_id, "account_id": account_id, **_live(now)},
        {"$set": {"revoked_at": now, "revoked_reason": reason}},
        session=session(),
    )
    return result.modified_count == 1


async def remove_all(account_id: str) -> None:
    """Erase what the sessions of a person told of the person; they stay as bare ids, so that gateways still hear of
    their end."""
    await SessionDocument.get_pymongo_collection().update_many(
        {"account_id": account_id},
        {"$set": {"address_sealed": None, "user_agent_sealed": None, "device_hash": None, "successor_sealed": None}},
        session=session(),
    )


async def live_ids(account_id: str, *, now: datetime, but: str | None) -> list[str]:
    rows = SessionDocument.get_pymongo_collection().find(
        {"account_id": account_id, "_id": {"$ne": but}, **_live(now)}, {"_id": 1}, session=session()
    )
    return [row["_id"] async for row in rows]


async def revoked_since(since: datetime, *, limit: int) -> Sequence[tuple[str, datetime]]:
    """Ids of sessions with the instant they ended early, oldest first."""
    rows = (
        SessionDocument.get_pymongo_collection()
        .find({"revoked_at": {"$gt": since}}, {"revoked_at": 1}, session=session())
        .sort([("revoked_at", ASCENDING), ("_id", ASCENDING)])
        .limit(limit)
    )
    return [(row["_id"], row["revoked_at"]) async for row in rows]
