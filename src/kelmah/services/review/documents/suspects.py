"""Looks for reviews that may not be what they seem."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from kelmah.contracts.review import ReviewStatus, Suspicion
from kelmah.kit.mongo import session
from kelmah.services.review.documents.reviews import PUBLIC, ReviewDocument

#: What happened, whether or not a moderator let it stand.
_OPEN = [*PUBLIC, ReviewStatus.HELD.value]


async def is_copied(review: ReviewDocument) -> bool:
    """Whether another open review by or of the same person has the same words; short ones are alike by chance."""
    if review.text_fingerprint is None:
        return False
    query: dict[str, Any] = {
        "text_fingerprint": review.text_fingerprint,
        "_id": {"$ne": review.id},
        "status": {"$in": _OPEN},
        "$or": [{"reviewer_id": review.reviewer_id}, {"subject_id": review.subject_id}],
    }
    return await ReviewDocument.find_one(query, session=session()) is not None


async def recent_of(subject_id: str, since: datetime) -> list[datetime]:
    """When the reviews of a person since then became public, the last first."""
    rows = ReviewDocument.get_pymongo_collection().find(
        {"subject_id": subject_id, "status": {"$in": PUBLIC}, "revealed_at": {"$gte": since}},
        {"revealed_at": 1},
        session=session(),
    )
    return sorted([row["revealed_at"] async for row in rows], reverse=True)


async def hired_by(hirer_id: str, since: datetime, limit: int) -> list[str]:
    """Whom a person has reviewed as their hirer since then, up to `limit`."""
    rows = ReviewDocument.get_pymongo_collection().find(
        {
            "reviewer_id": hirer_id,
            "submitted_at": {"$gte": since},
            "reviewer_is_hirer": True,
            "status": {"$in": _OPEN},
        },
        {"subject_id": 1},
        session=session(),
    )
    return sorted({row["subject_id"] async for row in rows.limit(limit)})


async def hirings(hirer_ids: Collection[str], worker_ids: Collection[str], since: datetime) -> list[tuple[str, str]]:
    """Contract and hirer of what some of these people have reviewed as the hirers of others of them since then."""
    query: dict[str, Any] = {
        "reviewer_id": {"$in": list(hirer_ids)},
        "submitted_at": {"$gte": since},
        "subject_id": {"$in": list(worker_ids)},
        "reviewer_is_hirer": True,
        "status": {"$in": _OPEN},
    }
    rows = ReviewDocument.get_pymongo_collection().find(query, {"contract_id": 1, "reviewer_id": 1}, session=session())
    return [(row["contract_id"], row["reviewer_id"]) async for row in rows]


async def flag_contracts(contract_ids: Collection[str], suspicion: Suspicion) -> set[str]:
    """Put a suspicion on all public reviews of these contracts; whom they are of."""
    reviews = ReviewDocument.get_pymongo_collection()
    query = {"contract_id": {"$in": list(contract_ids)}, "status": {"$in": PUBLIC}, "suspicions": {"$ne": suspicion}}
    subjects = {row["subject_id"] async for row in reviews.find(query, {"subject_id": 1}, session=session())}
    await reviews.update_many(query, {"$addToSet": {"suspicions": suspicion}}, session=session())
    return subjects


async def flag(subject_id: str, since: datetime, suspicion: Suspicion) -> None:
    """Put a suspicion on all public reviews of a person since then."""
    await ReviewDocument.get_pymongo_collection().update_many(
        {"subject_id": subject_id, "status": {"$in": PUBLIC}, "revealed_at": {"$gte": since}},
        {"$addToSet": {"suspicions": suspicion}},
        session=session(),
    )
