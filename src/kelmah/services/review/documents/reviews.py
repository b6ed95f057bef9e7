"""Reviews and the exchanges they are part of."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.review import Label, ReportReason, ReviewStatus, Suspicion
from kelmah.kit.mongo import change, session

Cursor = tuple[datetime, str]

#: What everybody may read.
PUBLIC = [ReviewStatus.REVEALED.value, ReviewStatus.EXCLUDED.value]
#: What reputations are made of.
_COUNTED = ["rating", "would_work_again", "revealed_at", "reviewer_is_hirer", "trade", "region", "suspicions"]


class ReplyPart(BaseModel):
    text: str
    replied_at: datetime


class DecisionPart(BaseModel):
    """What a moderator decided last."""

    moderator_id: str
    reason: str
    decided_at: datetime


class AppealPart(BaseModel):
    """The one appeal against a decision."""

    appellant_id: str
    text: str
    appealed_at: datetime


class ReviewDocument(Document):
    """One side's review. Text, private note and appeal are sealed by the key ring. Shard key: subject_id, hashed.

    The fingerprints are keyed (`KeyRing.blind_index`): of the words, and of address and device.
    """

    id: str  # type: ignore[assignment]  # Beanie's own is an ObjectId
    contract_id: str
    reviewer_id: str
    subject_id: str
    reviewer_is_hirer: bool = True
    trade: str | None = None
    region: str | None = None
    status: ReviewStatus
    rating: int
    criteria: dict[str, int] | None
    would_work_again: bool | None
    text: str
    private_note: str | None
    salt: str
    digest: str
    text_fingerprint: str | None = None
    device_fingerprint: str | None = None
    labels: list[Label] = Field(default_factory=list)
    suspicions: list[Suspicion] = Field(default_factory=list)
    submitted_at: datetime
    revealed_at: datetime | None = None
    reply: ReplyPart | None = None
    helpful_count: int = 0
    report_count: int = 0
    report_reasons: list[ReportReason] = Field(default_factory=list)
    queued_at: datetime | None = None
    decision: DecisionPart | None = None
    appeal: AppealPart | None = None

    class Settings:
        name = "reviews"
        indexes: ClassVar = [
            IndexModel([("contract_id", ASCENDING), ("reviewer_id", ASCENDING)], unique=True, name="one_a_side"),
            IndexModel(
                [("subject_id", ASCENDING), ("status", ASCENDING), ("revealed_at", DESCENDING), ("_id", DESCENDING)],
                name="of_subject",
            ),
            IndexModel([("reviewer_id", ASCENDING), ("submitted_at", DESCENDING), ("_id", DESCENDING)], name="by"),
            IndexModel([("revealed_at", DESCENDING)], name="revealed"),
            IndexModel([("submitted_at", DESCENDING)], name="submitted"),
            IndexModel(
                [("queued_at", ASCENDING), ("_id", ASCENDING)],
                name="queue",
                partialFilterExpression={"queued_at": {"$type": "date"}},
            ),
            IndexModel(
                [("text_fingerprint", ASCENDING)],
                name="words",
                partialFilterExpression={"text_fingerprint": {"$type": "string"}},
            ),
        ]


class ExchangeDocument(Document):
    """Both sides' reviews of one contract. Its update makes two submissions at once wait for each other.

    Shard key: _id (the contract), hashed.
    """

    id: str  # type: ignore[assignment]  # the contract's id
    reviewers: list[str]
    revealed_at: datetime | None = None

    class Settings:
        name = "exchanges"


class RulingDocument(Document):
    """That support ruled on money of a contract, which opens it for reviews. Shard key: _id (the contract), hashed."""

    id: str  # type: ignore[assignment]  # the contract's id
    ruled_at: datetime

    class Settings:
        name = "rulings"


async def find_review(review_id: str) -> ReviewDocument | None:
    return await ReviewDocument.find_one({"_id": review_id}, session=session())


async def find_by_side(contract_id: str, reviewer_id: str) -> ReviewDocument | None:
    return await ReviewDocument.find_one({"contract_id": contract_id, "reviewer_id": reviewer_id}, session=session())


async def insert_review(review: ReviewDocument) -> None:
    await review.insert(session=session())


async def insert_ruling(contract_id: str, at: datetime) -> None:
    await RulingDocument.get_pymongo_collection().update_one(
        {"_id": contract_id}, {"$setOnInsert": {"ruled_at": at}}, upsert=True, session=session()
    )


async def has_ruling(contract_id: str) -> bool:
    return await RulingDocument.get(contract_id) is not None


async def join_exchange(contract_id: str, reviewer_id: str) -> ExchangeDocument | None:
    """Add a side to the contract's exchange; None when it was opened before."""
    rows = ExchangeDocument.get_pymongo_collection()
    await rows.update_one(
        {"_id": contract_id}, {"$setOnInsert": {"reviewers": [], "revealed_at": None}}, upsert=True, session=session()
    )
    still_sealed = {"_id": contract_id, "revealed_at": None}
    return await change(ExchangeDocument, still_sealed, {"$addToSet": {"reviewers": reviewer_id}})


async def open_exchange(contract_id: str, at: datetime) -> list[ReviewDocument]:
    """The sealed reviews of a contract whose time has come; nothing when that was done before."""
    if not await change(ExchangeDocument, {"_id": contract_id, "revealed_at": None}, {"$set": {"revealed_at": at}}):
        return []
    sealed = {"contract_id": contract_id, "status": ReviewStatus.SEALED}
    return await ReviewDocument.find(sealed, session=session()).to_list()


async def reveal(
    review_id: str, status: ReviewStatus, at: datetime, suspicions: list[Suspicion], *, queue: bool
) -> ReviewDocument | None:
    """Take a review out of its seal."""
    values = {
        "status": status,
        "revealed_at": at if status in PUBLIC else None,
        "suspicions": suspicions,
        "queued_at": at if queue else None,
    }
    return await change(ReviewDocument, {"_id": review_id, "status": ReviewStatus.SEALED}, {"$set": values})


async def list_public(subject_id: str, after: Cursor | None, limit: int) -> list[ReviewDocument]:
    query: dict[str, Any] = {"subject_id": subject_id, "status": {"$in": PUBLIC}}
    return await _newest(query, "revealed_at", after, limit)


async def list_written(reviewer_id: str, after: Cursor | None, limit: int) -> list[ReviewDocument]:
    return await _newest({"reviewer_id": reviewer_id}, "submitted_at", after, limit)


async def _newest(query: dict[str, Any], field: str, after: Cursor | None, limit: int) -> list[ReviewDocument]:
    if after is not None:
        query["$or"] = [{field: {"$lt": after[0]}}, {field: after[0], "_id": {"$lt": after[1]}}]
    return await ReviewDocument.find(query).sort(f"-{field}", "-_id").limit(limit).to_list()


async def list_queue(after: Cursor | None, limit: int) -> list[ReviewDocument]:
    query: dict[str, Any] = {"queued_at": {"$type": "date"}}
    if after is not None:
        query = {
            "$and": [
                query,
                {"$or": [{"queued_at": {"$gt": after[0]}}, {"queued_at": after[0], "_id": {"$gt": after[1]}}]},
            ]
        }
    return await ReviewDocument.find(query).sort("queued_at", "_id").limit(limit).to_list()


async def set_reply(review_id: str, subject_id: str, reply: ReplyPart) -> ReviewDocument | None:
    """Answer a public review of oneself that has no reply yet."""
    return await change(
        ReviewDocument,
        {"_id": review_id, "subject_id": subject_id, "status": {"$in": PUBLIC}, "reply": None},
        {"$set": {"reply": reply.model_dump()}},
    )


async def count_helpful(review_id: str) -> ReviewDocument | None:
    return await change(ReviewDocument, {"_id": review_id, "status": {"$in": PUBLIC}}, {"$inc": {"helpful_count": 1}})


async def count_report(review_id: str, reason: ReportReason) -> ReviewDocument | None:
    return await change(
        ReviewDocument,
        {"_id": review_id, "status": {"$in": PUBLIC}},
        {"$inc": {"report_count": 1}, "$addToSet": {"report_reasons": reason}},
    )


async def queue_review(review_id: str, at: datetime) -> None:
    await change(ReviewDocument, {"_id": review_id, "queued_at": None}, {"$set": {"queued_at": at}})


async def decide(
    before: ReviewDocument, status: ReviewStatus, decision: DecisionPart, *, sources: Collection[ReviewStatus]
) -> ReviewDocument | None:
    """Take a queued review from the queue with a moderator's decision. Nobody decides on an appeal against oneself."""
    becomes_public = before.revealed_at is None and status in PUBLIC
    return await change(
        ReviewDocument,
        {
            "_id": before.id,
            "queued_at": {"$ne": None},
            "revealed_at": before.revealed_at,
            "status": {"$in": [one.value for one in sources]},
            "$or": [{"appeal": None}, {"decision.moderator_id": {"$ne": decision.moderator_id}}],
        },
        {
            "$set": {
                "status": status,
                "revealed_at": decision.decided_at if becomes_public else before.revealed_at,
                "decision": decision.model_dump(),
                "queued_at": None,
                "report_count": 0,
                "report_reasons": [],
            }
        },
    )


async def appeal(review_id: str, part: AppealPart, *, decided_after: datetime) -> ReviewDocument | None:
    """Put a decided review back into the queue for one of its sides, once."""
    by = part.appellant_id
    return await change(
        ReviewDocument,
        {
            "_id": review_id,
            "$or": [{"reviewer_id": by}, {"subject_id": by}],
            "decision.decided_at": {"$gt": decided_after},
            "appeal": None,
        },
        {"$set": {"appeal": part.model_dump(), "queued_at": part.appealed_at}},
    )


async def forget_person(user_id: str) -> None:
    """Erase the private notes that a person wrote; the reviews stay under the bare id."""
    await ReviewDocument.get_pymongo_collection().update_many(
        {"reviewer_id": user_id, "private_note": {"$ne": None}}, {"$set": {"private_note": None}}
    )


async def count_written(user_id: str) -> int:
    return await ReviewDocument.find({"reviewer_id": user_id}).count()


async def public_reviews_of(subject_id: str) -> AsyncIterator[dict[str, Any]]:
    """What a reputation is made of: some fields of each counting review."""
    rows = ReviewDocument.get_pymongo_collection().find(
        {"subject_id": subject_id, "status": ReviewStatus.REVEALED}, _COUNTED, session=session()
    )
    async for row in rows:
        yield row


async def subjects() -> AsyncIterator[str]:
    """Everybody of whom there ever was a public review."""
    pipeline: list[dict[str, Any]] = [
        {"$match": {"revealed_at": {"$type": "date"}}},
        {"$group": {"_id": "$subject_id"}},
    ]
    async for row in await ReviewDocument.get_pymongo_collection().aggregate(pipeline, allowDiskUse=True):
        yield row["_id"]
