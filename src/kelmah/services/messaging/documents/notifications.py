"""Notifications; shard key `user_id`. Texts are made when one is read: a row holds what happened, and no names."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.messaging import NotificationKind
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session

#: States of the mail that goes with a notification.
NO_MAIL, MAIL_DUE, MAIL_SENT, MAIL_SKIPPED, MAIL_REFUSED = "none", "due", "sent", "skipped", "refused"


class NotificationDocument(Document):
    """While a row is unread, `open_key` lets it take in further events of the same thing; `times` counts them."""

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
    mail: str = NO_MAIL
    mail_at: datetime | None = None

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
) -> None:
    """Let the unread row of `open_key` tell of this event too, or make that row. Joins the open transaction."""
    await NotificationDocument.get_pymongo_collection().update_one(
        {"user_id": user_id, "open_key": open_key},
        {
            "$setOnInsert": {
                "_id": new_id(), "kind": kind.value, "params": {}, "read_at": None, "mail": NO_MAIL, "mail_at": None
            },
            "$set": {"event_id": event_id, "data": data, "times": times},
            "$max": {"at": at},
        },
        upsert=True,
        session=session(),
    )  # fmt: skip


async def get(notification_id: str) -> NotificationDocument | None:
    """A notification of anybody, for the mail that goes with it."""
    return await NotificationDocument.get(notification_id)


async def list_for(
    user_id: str, *, after: tuple[datetime, str] | None, unread_only: bool, limit: int
) -> list[NotificationDocument]:
    """The person's notifications, newest first."""
    query: dict[str, Any] = {"user_id": user_id}
    if unread_only:
        query["read_at"] = None
    if after is not None:
        at, notification_id = after
        query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": notification_id}}]
    return await NotificationDocument.find(query).sort("-at", "-_id").limit(limit).to_list()


async def count_unread(user_id: str) -> int:
    """How many the person has not read."""
    return await NotificationDocument.get_pymongo_collection().count_documents({"user_id": user_id, "read_at": None})


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


async def set_mail(notification_id: str, *, state: str, at: datetime) -> None:
    """Write down how the mail went, once."""
    await NotificationDocument.get_pymongo_collection().update_one(
        {"_id": notification_id, "mail": MAIL_DUE}, {"$set": {"mail": state, "mail_at": at}}
    )
