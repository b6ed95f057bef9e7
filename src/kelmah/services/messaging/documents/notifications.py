"""Notifications; shard key `user_id`. Texts are made when one is read: a row holds what happened, and no names."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument

from kelmah.contracts.messaging import NotificationKind
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session


class NotificationDocument(Document):
    """While a row is unread, `open_key` lets it take in further events of the same thing; `times` counts them.

    Where `in_app` is false the person chose not to see it, and the row is there for its deliveries.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    user_id: str
    kind: NotificationKind
    event_id: str
    data: dict[str, str]
    params: dict[str, str]
    times: int = 1
    open_key: str | None = None
    at: datetime
    read_at: datetime | None = None
    in_app: bool = True

    class Settings:
        name = "notifications"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING), ("event_id", ASCENDING)], unique=True, name="event"),
            IndexModel([("user_id", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="person"),
            IndexModel(
                [("user_id", ASCENDING), ("read_at", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="unread"
            ),
            IndexModel(
                [("user_id", ASCENDING), ("open_key", ASCENDING)],
                unique=True,
                name="open_key",
                partialFilterExpression={"open_key": {"$type": "string"}},
            ),
        ]


async def add(notification: NotificationDocument) -> None:
    """Store a notification in the open transaction."""
    await notification.insert(session=session())


async def collapse(
    user_id: str,
    *,
    open_key: str,
    kind: NotificationKind,
    event_id: str,
    data: dict[str, str],
    times: int,
    at: datetime,
    in_app: bool,
) -> tuple[NotificationDocument, bool]:
    """Let the unread row of `open_key` tell of this event too, or make that row. Joins the open transaction.

    The second value tells whether the row is new.
    """
    own_id = new_id()
    row = await NotificationDocument.get_pymongo_collection().find_one_and_update(
        {"user_id": user_id, "open_key": open_key},
        {
            "$setOnInsert": {"_id": own_id, "kind": kind.value, "params": {}, "read_at": None},
            "$set": {"event_id": event_id, "data": data, "times": times, "in_app": in_app},
            "$max": {"at": at},
        },
        upsert=True,
        return_document=ReturnDocument.AFTER,
        session=session(),
    )
    assert row is not None  # noqa: S101  # an upsert always returns the document
    return NotificationDocument.model_validate(row), row["_id"] == own_id


async def get(notification_id: str) -> NotificationDocument | None:
    """A notification of anybody, for what goes out of the app."""
    return await NotificationDocument.get(notification_id)


async def get_many(notification_ids: Collection[str]) -> dict[str, NotificationDocument]:
    """Notifications of anybody by id."""
    found = await NotificationDocument.find({"_id": {"$in": list(notification_ids)}}).to_list()
    return {one.id: one for one in found}


async def find(notification_id: str, *, user_id: str) -> NotificationDocument | None:
    """A notification of the person."""
    return await NotificationDocument.find_one({"_id": notification_id, "user_id": user_id})


async def list_for(
    user_id: str, *, after: tuple[datetime, str] | None, unread_only: bool, limit: int
) -> list[NotificationDocument]:
    """The person's notifications, newest first."""
    query: dict[str, Any] = {"user_id": user_id, "in_app": {"$ne": False}}
    if unread_only:
        query["read_at"] = None
    if after is not None:
        at, notification_id = after
        query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": notification_id}}]
    return await NotificationDocument.find(query).sort("-at", "-_id").limit(limit).to_list()


async def forget_person(user_id: str) -> None:
    """Remove a person's notifications."""
    await NotificationDocument.get_pymongo_collection().delete_many({"user_id": user_id})


async def count_unread(user_id: str) -> int:
    """How many the person has not read."""
    return await NotificationDocument.get_pymongo_collection().count_documents(
        {"user_id": user_id, "read_at": None, "in_app": {"$ne": False}}
    )


async def mark_read(user_id: str, *, ids: Collection[str], at: datetime) -> None:
    """Mark these as read."""
    await _mark({"user_id": user_id, "_id": {"$in": list(ids)}}, at)


async def mark_read_up_to(user_id: str, *, notification_id: str, at: datetime) -> bool:
    """Mark all that are not newer than one as read; False when the person has no such notification."""
    last = await NotificationDocument.find_one({"_id": notification_id, "user_id": user_id})
    if last is None:
        return False
    await _mark({"user_id": user_id, "at": {"$lte": last.at}}, at)
    return True


async def mark_read_key(user_id: str, *, open_key: str, at: datetime) -> None:
    """Mark the unread row of a thing as read. Joins the open transaction."""
    await _mark({"user_id": user_id, "open_key": open_key}, at)


async def _mark(query: dict[str, Any], at: datetime) -> None:
    await NotificationDocument.get_pymongo_collection().update_many(
        {**query, "read_at": None}, {"$set": {"read_at": at, "open_key": None}}, session=session()
    )
