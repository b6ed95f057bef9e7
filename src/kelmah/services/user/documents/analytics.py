"""What happened to people, for their figures: facts and first contacts, each told by one event of some service.

A fact's id is made of its event, so that events may arrive twice, late or in any order, and all of them may be
replayed: the figures come out the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument

from kelmah.contracts.common import Role
from kelmah.kit.mongo import session
from kelmah.services.user.documents.profiles import ProfileDocument

#: The most first contacts that a person's median is made of, the newest.
MAX_CONTACTS = 1000


class FactKind(StrEnum):
    """What happened, from the side of the person it is kept for."""

    REGISTERED = "registered"
    VIEWED = "viewed"
    JOB_PUBLISHED = "job_published"
    INVITED = "invited"
    APPLIED = "applied"
    HIRED = "hired"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FUNDED = "funded"
    EARNED = "earned"
    SPENT = "spent"


class FactDocument(Document):
    """One thing that happened to one person. Shard key: `user_id`, hashed.

    `is_first` is on one of the facts that an event makes, so that the platform's figures count the event once.
    `escrow_id` is on a ruling, whose event has no currency: the fact `funded:<escrow>` has it.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    user_id: str
    kind: FactKind
    at: datetime
    is_first: bool
    other_id: str | None = None
    amount: int = 0
    currency: str | None = None
    escrow_id: str | None = None

    class Settings:
        name = "facts"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user_id", ASCENDING), ("at", DESCENDING)], name="person"),
            IndexModel(
                [("user_id", ASCENDING), ("other_id", ASCENDING)],
                name="counterpart",
                partialFilterExpression={"kind": FactKind.HIRED.value},
            ),
            IndexModel(
                [("is_first", ASCENDING), ("at", DESCENDING)],
                name="platform",
                partialFilterExpression={"is_first": True},
            ),
        ]


class ContactDocument(Document):
    """When a person was first written to in a conversation, and first wrote there. Shard key: `user_id`, hashed."""

    id: str  # type: ignore[assignment]  # "<conversation>:<user>"
    user_id: str
    contacted_at: datetime | None = None
    answered_at: datetime | None = None

    class Settings:
        name = "contacts"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user_id", ASCENDING), ("contacted_at", DESCENDING)], name="person")
        ]


async def has_fact(fact_id: str) -> bool:
    found = await FactDocument.get_pymongo_collection().find_one({"_id": fact_id}, {"_id": 1}, session=session())
    return found is not None


async def are_counterparts(user_id: str, other_id: str) -> bool:
    """Whether there is, or was, a contract between the two."""
    query = {"user_id": user_id, "other_id": other_id, "kind": FactKind.HIRED.value}
    return await FactDocument.get_pymongo_collection().find_one(query, {"_id": 1}) is not None


def fact_update(fact: FactDocument) -> dict[str, Any]:
    """What keeps a fact that is new, and changes nothing if it is not."""
    return {"$setOnInsert": fact.model_dump(exclude={"id", "revision_id"}) | {"kind": fact.kind.value}}


async def add_fact(fact: FactDocument) -> bool:
    """Keep a fact. Returns whether it is new."""
    made = await FactDocument.get_pymongo_collection().update_one(
        {"_id": fact.id}, fact_update(fact), upsert=True, session=session()
    )
    return made.upserted_id is not None


def contact_updates(
    conversation_id: str, *, sender_id: str, recipient_ids: Sequence[str], at: datetime
) -> dict[str, dict[str, Any]]:
    """What keeps who was first written to, and who first wrote, by contact; later messages change nothing."""
    fields = dict.fromkeys(recipient_ids, "contacted_at") | {sender_id: "answered_at"}
    return {
        f"{conversation_id}:{user_id}": {"$min": {field: at}, "$setOnInsert": {"user_id": user_id}}
        for user_id, field in fields.items()
    }


async def note_message(updates: Mapping[str, dict[str, Any]]) -> list[str]:
    """Apply `contact_updates`; returns those for whom it is the first message, also when it is told again."""
    first = []
    for key, update in updates.items():
        row = await ContactDocument.get_pymongo_collection().find_one_and_update(
            {"_id": key}, update, upsert=True, return_document=ReturnDocument.AFTER
        )
        if row and all(row[field] == at for field, at in update["$min"].items()):
            first.append(row["user_id"])
    return first


async def contacts(user_id: str, *, since: datetime) -> list[tuple[datetime, datetime | None]]:
    """When others first wrote, and when the person answered: the newest, without conversations of the person's own."""
    rows = ContactDocument.get_pymongo_collection().find({"user_id": user_id, "contacted_at": {"$gte": since}})
    found = await rows.sort("contacted_at", DESCENDING).limit(MAX_CONTACTS).to_list()
    pairs = [(row["contacted_at"], row.get("answered_at")) for row in found]
    return [(asked, answered) for asked, answered in pairs if answered is None or answered > asked]


async def totals(since: datetime, *, user_id: str | None = None) -> list[tuple[FactKind, str | None, int, int]]:
    """(kind, currency, count, sum) of a person's facts, or of everybody's."""
    whose: dict[str, Any] = {"is_first": True} if user_id is None else {"user_id": user_id}
    rows = await _aggregate(
        [
            {"$match": whose | {"at": {"$gte": since}}},
            {
                "$group": {
                    "_id": {"kind": "$kind", "currency": "$currency", "escrow_id": "$escrow_id"},
                    "count": {"$sum": 1},
                    "sum": {"$sum": "$amount"},
                }
            },
        ]
    )
    currencies = await _currencies([row["_id"]["escrow_id"] for row in rows if row["_id"].get("escrow_id")])
    return [
        (
            FactKind(row["_id"]["kind"]),
            row["_id"].get("currency") or currencies.get(row["_id"].get("escrow_id")),
            row["count"],
            row["sum"],
        )
        for row in rows
    ]


async def views_by_day(user_id: str, since: datetime) -> list[tuple[str, int]]:
    """(day, count), in order."""
    rows = await _aggregate(
        [
            {"$match": {"user_id": user_id, "at": {"$gte": since}, "kind": FactKind.VIEWED.value}},
            {"$group": {"_id": {"$dateToString": {"date": "$at", "format": "%Y-%m-%d"}}, "count": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
    )
    return [(row["_id"], row["count"]) for row in rows]


async def viewers(user_id: str, since: datetime) -> int:
    """How many different people looked."""
    rows = await _aggregate(
        [
            {"$match": {"user_id": user_id, "at": {"$gte": since}, "kind": FactKind.VIEWED.value}},
            {"$group": {"_id": "$other_id"}},
            {"$count": "count"},
        ]
    )
    return int(rows[0]["count"]) if rows else 0


async def people(*, listed: bool) -> dict[str, int]:
    """How many people have each role; of the listed, those that searches find. Counted on an index."""
    field = "listed_as" if listed else "role"
    collection = ProfileDocument.get_pymongo_collection()
    return {role.value: await collection.count_documents({field: role.value}) for role in Role}


async def _currencies(escrow_ids: Sequence[str]) -> dict[str | None, str]:
    if not escrow_ids:
        return {}
    rows = FactDocument.get_pymongo_collection().find({"_id": {"$in": [f"funded:{one}" for one in escrow_ids]}})
    return {row["_id"].removeprefix("funded:"): row["currency"] for row in await rows.to_list()}


async def _aggregate(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return await (await FactDocument.get_pymongo_collection().aggregate(stages)).to_list()
