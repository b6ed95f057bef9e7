"""Counts of reviews, for one person and for the platform."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kelmah.contracts.review import ReviewStatus
from kelmah.services.review.documents.reviews import PUBLIC, ReviewDocument


async def months_of(subject_id: str) -> Sequence[dict[str, Any]]:
    """A person's counting reviews a month: {_id: "2026-11", count, stars, replied}."""
    return await _months({"subject_id": subject_id, "status": ReviewStatus.REVEALED})


async def months(since: datetime) -> Sequence[dict[str, Any]]:
    """The platform's public reviews a month, since then."""
    return await _months({"status": {"$in": PUBLIC}, "revealed_at": {"$gte": since}})


async def _months(wanted: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return await _aggregate(
        {"$match": wanted},
        {
            "$group": {
                "_id": {"$dateToString": {"date": "$revealed_at", "format": "%Y-%m"}},
                "count": {"$sum": 1},
                "stars": {"$sum": "$rating"},
                "replied": {"$sum": {"$cond": [{"$ifNull": ["$reply", False]}, 1, 0]}},
            }
        },
        {"$sort": {"_id": 1}},
    )


async def criteria_of(subject_id: str) -> Mapping[str, tuple[int, int]]:
    """Count and sum of each criterion over a person's counting reviews."""
    rows = await _aggregate(
        {"$match": {"subject_id": subject_id, "status": ReviewStatus.REVEALED, "criteria": {"$type": "object"}}},
        {"$project": {"criterion": {"$objectToArray": "$criteria"}}},
        {"$unwind": "$criterion"},
        {"$group": {"_id": "$criterion.k", "count": {"$sum": 1}, "stars": {"$sum": "$criterion.v"}}},
        {"$sort": {"_id": 1}},
    )
    return {row["_id"]: (row["count"], row["stars"]) for row in rows}


async def platform_counts(field: str, since: datetime) -> dict[str, int]:
    """How many of the reviews written since then have each value of `status`, `labels` or `suspicions`.

    Of a sealed one only that it is there is told.
    """
    match: dict[str, Any] = {"submitted_at": {"$gte": since}}
    if field != "status":
        match["status"] = {"$ne": ReviewStatus.SEALED}
    rows = await _aggregate(
        {"$match": match},
        {"$unwind": f"${field}"},
        {"$group": {"_id": f"${field}", "count": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    )
    return {row["_id"]: row["count"] for row in rows}


async def queue_state() -> tuple[int, datetime | None]:
    """How many reviews wait for a moderator, and since when the first does."""
    waiting: dict[str, Any] = {"queued_at": {"$type": "date"}}
    first = await ReviewDocument.find(waiting).sort("queued_at").first_or_none()
    return await ReviewDocument.find(waiting).count(), first.queued_at if first else None


async def _aggregate(*stages: dict[str, Any]) -> Sequence[dict[str, Any]]:
    cursor = await ReviewDocument.get_pymongo_collection().aggregate(list(stages))
    return await cursor.to_list()
