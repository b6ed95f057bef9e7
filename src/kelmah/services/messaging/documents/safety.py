"""Blocks, reports, people who may not write, and pairs who have a contract."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.messaging import ReportReason, ReportStatus
from kelmah.kit.mongo import change, session


class BlockDocument(Document):
    """`id` is `<who blocked>:<whom>`. Shard key `user_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    user_id: str
    blocked_id: str
    at: datetime

    class Settings:
        name = "blocks"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="person")
        ]


class PairDocument(Document):
    """Two people who have, or had, a contract in force. `id` is both, sorted. Shard key `_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId

    class Settings:
        name = "pairs"


class RestrictionDocument(Document):
    """A person who may not write. Shard key `_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    until: datetime

    class Settings:
        name = "restrictions"


class ReportDocument(Document):
    """`note` is sealed. One report a person and message. Shard key `_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    reporter_id: str
    conversation_id: str
    message_id: str
    sequence: int
    sender_id: str
    reason: ReportReason
    note: str
    status: ReportStatus = ReportStatus.OPEN
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_note: str | None = None
    restricted_until: datetime | None = None

    class Settings:
        name = "reports"
        indexes: ClassVar = [
            IndexModel([("reporter_id", ASCENDING), ("message_id", ASCENDING)], unique=True, name="once"),
            IndexModel([("status", ASCENDING), ("created_at", ASCENDING), ("_id", ASCENDING)], name="queue"),
        ]


def pair_id(one: str, other: str) -> str:
    return ":".join(sorted((one, other)))


async def block(row: BlockDocument) -> None:
    """Store a block; one that is there stays."""
    values = row.model_dump(exclude={"id", "revision_id"})
    await BlockDocument.get_pymongo_collection().update_one({"_id": row.id}, {"$setOnInsert": values}, upsert=True)


async def unblock(user_id: str, blocked_id: str) -> bool:
    """Take a block back; False when there is none."""
    result = await BlockDocument.get_pymongo_collection().delete_one({"_id": f"{user_id}:{blocked_id}"})
    return result.deleted_count == 1


async def forget_blocks(user_id: str) -> None:
    """Remove the blocks that a person made."""
    await BlockDocument.get_pymongo_collection().delete_many({"user_id": user_id})


async def list_blocks(user_id: str, *, after: tuple[datetime, str] | None, limit: int) -> list[BlockDocument]:
    """Whom a person blocked, newest first."""
    query: dict[str, Any] = {"user_id": user_id}
    if after is not None:
        at, block_id = after
        query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": block_id}}]
    return await BlockDocument.find(query).sort("-at", "-_id").limit(limit).to_list()


async def blocked_between(user_id: str, others: Collection[str]) -> set[str]:
    """Those among the others who blocked the person or whom the person blocked."""
    return (await blocked_among({user_id: others}))[user_id]


async def blocked_among(others: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """For each person those among the others whom a block, by either, stands between."""
    pairs = {(one, other) for one, several in others.items() for other in several if other != one}
    ids = {block_id for one, other in pairs for block_id in (f"{one}:{other}", f"{other}:{one}")}
    found: dict[str, set[str]] = {one: set() for one in others}
    if ids:
        for row in await BlockDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list():
            for one, other in ((row.user_id, row.blocked_id), (row.blocked_id, row.user_id)):
                if (one, other) in pairs:
                    found[one].add(other)
    return found


async def add_pair(one: str, other: str) -> None:
    """Note that two people have a contract. Joins the open transaction."""
    pair = pair_id(one, other)
    await PairDocument.get_pymongo_collection().update_one(
        {"_id": pair}, {"$setOnInsert": {"_id": pair}}, upsert=True, session=session()
    )


async def is_pair(one: str, other: str) -> bool:
    return await PairDocument.get_pymongo_collection().find_one({"_id": pair_id(one, other)}) is not None


async def restricted_until(user_id: str, *, at: datetime) -> datetime | None:
    """Until when the person may not write; None for anybody who may."""
    row = await RestrictionDocument.get(user_id)
    return row.until if row is not None and row.until > at else None


async def restrict(user_id: str, *, until: datetime) -> None:
    """Keep a person from writing; never for less long than before. Joins the open transaction."""
    await RestrictionDocument.get_pymongo_collection().update_one(
        {"_id": user_id}, {"$max": {"until": until}}, upsert=True, session=session()
    )


async def add_report(report: ReportDocument) -> bool:
    """Store a report in the open transaction; False when the person reported the message before."""
    try:
        await report.insert(session=session())
    except DuplicateKeyError:
        return False
    return True


async def find_report(reporter_id: str, message_id: str) -> ReportDocument | None:
    return await ReportDocument.find_one({"reporter_id": reporter_id, "message_id": message_id})


async def get_report(report_id: str) -> ReportDocument | None:
    return await ReportDocument.get(report_id)


async def list_reports_of(reporter_id: str, *, after: str, limit: int) -> list[ReportDocument]:
    """What a person reported, by the messages' ids from beyond `after`."""
    query = {"reporter_id": reporter_id, "message_id": {"$gt": after}}
    return await ReportDocument.find(query).sort("+message_id").limit(limit).to_list()


async def list_reports(status: ReportStatus, *, after: tuple[datetime, str] | None, limit: int) -> list[ReportDocument]:
    """The queue, oldest first."""
    query: dict[str, Any] = {"status": status.value}
    if after is not None:
        at, report_id = after
        query["$or"] = [{"created_at": {"$gt": at}}, {"created_at": at, "_id": {"$gt": report_id}}]
    return await ReportDocument.find(query).sort("created_at", "_id").limit(limit).to_list()


async def decide(report_id: str, values: dict[str, Any]) -> ReportDocument | None:
    """Rule on an open report; None when it is not open."""
    return await change(ReportDocument, {"_id": report_id, "status": ReportStatus.OPEN.value}, {"$set": values})
