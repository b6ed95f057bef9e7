"""The documents of the review service and every query on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.review import ReportReason, ReviewStatus
from kelmah.kit.mongo import change, session

Cursor = tuple[datetime, str]


class ReplyPart(BaseModel):
    text: str
    replied_at: datetime


class ReviewDocument(Document):
    """One side's review. Text and private note are sealed by the key ring. Shard key: subject_id, hashed."""

    id: str  # type: ignore[assignment]  # Beanie's own is an ObjectId
    contract_id: str
    reviewer_id: str
    subject_id: str
    status: ReviewStatus
    rating: int
    criteria: dict[str, int] | None
    would_work_again: bool | None
    text: str
    private_note: str | None
    salt: str
    digest: str
    submitted_at: datetime
    revealed_at: datetime | None = None
    reply: ReplyPart | None = None
    helpful_count: int = 0
    report_count: int = 0
    report_reasons: list[ReportReason] = Field(default_factory=list)
    queued_at: datetime | None = None

    class Settings:
        name = "reviews"
        indexes: ClassVar = [
            IndexModel([("contract_id", ASCENDING), ("reviewer_id", ASCENDING)], unique=True, name="one_a_side"),
            IndexModel(
                [("subject_id", ASCENDING), ("status", ASCENDING), ("revealed_at", DESCENDING), ("_id", DESCENDING)],
                name="of_subject",
            ),
            IndexModel([("reviewer_id", ASCENDING), ("submitted_at", DESCENDING), ("_id", DESCENDING)], name="by"),
            IndexModel(
                [("queued_at", ASCENDING), ("_id", ASCENDING)],
                name="queue",
                partialFilterExpression={"queued_at": {"$type": "date"}},
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


class MarkDocument(Document):
    """That a person found a review helpful, or reported it: `<kind>:<review>:<person>`. Shard key: _id, hashed."""

    id: str  # type: ignore[assignment]  # see above
    text: str = ""
    at: datetime

    class Settings:
        name = "marks"


class ReputationDocument(Document):
    """What a person's reputation is made of. Shard key: _id (the person), hashed."""

    id: str  # type: ignore[assignment]  # the person's id
    stars: dict[str, int]
    yes: int
    no: int
    updated_at: datetime

    class Settings:
        name = "reputations"


DOCUMENTS: tuple[type[Document], ...] = (ReviewDocument, ExchangeDocument, MarkDocument, ReputationDocument)


async def find_review(review_id: str) -> ReviewDocument | None:
    return await ReviewDocument.find_one({"_id": review_id}, session=session())


async def find_by_side(contract_id: str, reviewer_id: str) -> ReviewDocument | None:
    return await ReviewDocument.find_one({"contract_id": contract_id, "reviewer_id": reviewer_id}, session=session())


async def insert_review(review: ReviewDocument) -> None:
    await review.insert(session=session())


async def join_exchange(contract_id: str, reviewer_id: str) -> ExchangeDocument | None:
    """Add a side to the contract's exchange; None when it was revealed before."""
    rows = ExchangeDocument.get_pymongo_collection()
    await rows.update_one(
        {"_id": contract_id}, {"$setOnInsert": {"reviewers": [], "revealed_at": None}}, upsert=True, session=session()
    )
    still_sealed = {"_id": contract_id, "revealed_at": None}
    return await change(ExchangeDocument, still_sealed, {"$addToSet": {"reviewers": reviewer_id}})


async def reveal_exchange(contract_id: str, at: datetime) -> list[ReviewDocument]:
    """Open both reviews of a contract; nothing when that was done before."""
    if not await change(ExchangeDocument, {"_id": contract_id, "revealed_at": None}, {"$set": {"revealed_at": at}}):
        return []
    sealed = {"contract_id": contract_id, "status": ReviewStatus.SEALED}
    reviews = await ReviewDocument.find(sealed, session=session()).to_list()
    await ReviewDocument.find(sealed, session=session()).update(
        {"$set": {"status": ReviewStatus.REVEALED, "revealed_at": at}}, session=session()
    )
    return [review.model_copy(update={"status": ReviewStatus.REVEALED, "revealed_at": at}) for review in reviews]


async def list_revealed(subject_id: str, after: Cursor | None, limit: int) -> list[ReviewDocument]:
    query: dict[str, Any] = {"subject_id": subject_id, "status": ReviewStatus.REVEALED}
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
    """Answer a revealed review of oneself that has no reply yet."""
    return await change(
        ReviewDocument,
        {"_id": review_id, "subject_id": subject_id, "status": ReviewStatus.REVEALED, "reply": None},
        {"$set": {"reply": reply.model_dump()}},
    )


async def count_helpful(review_id: str) -> ReviewDocument | None:
    return await change(
        ReviewDocument, {"_id": review_id, "status": ReviewStatus.REVEALED}, {"$inc": {"helpful_count": 1}}
    )


async def count_report(review_id: str, reason: ReportReason) -> ReviewDocument | None:
    return await change(
        ReviewDocument,
        {"_id": review_id, "status": ReviewStatus.REVEALED},
        {"$inc": {"report_count": 1}, "$addToSet": {"report_reasons": reason}},
    )


async def queue_review(review_id: str, at: datetime) -> None:
    await change(ReviewDocument, {"_id": review_id, "queued_at": None}, {"$set": {"queued_at": at}})


async def decide(review_id: str, status: ReviewStatus) -> ReviewDocument | None:
    """Take a queued review from the queue with a moderator's decision."""
    return await change(
        ReviewDocument,
        {"_id": review_id, "queued_at": {"$ne": None}},
        {"$set": {"status": status, "queued_at": None, "report_count": 0, "report_reasons": []}},
    )


async def insert_mark(mark: MarkDocument) -> bool:
    """False when this person made this mark before."""
    if await MarkDocument.find_one({"_id": mark.id}, session=session()):
        return False
    await mark.insert(session=session())
    return True


async def tally(subject_id: str, at: datetime) -> ReputationDocument:
    """Count a person's revealed reviews and keep the result."""
    stars, answers = dict.fromkeys("12345", 0), {True: 0, False: 0, None: 0}
    rows = ReviewDocument.get_pymongo_collection().find(
        {"subject_id": subject_id, "status": ReviewStatus.REVEALED},
        {"rating": 1, "would_work_again": 1},
        session=session(),
    )
    async for row in rows:
        stars[str(row["rating"])] += 1
        answers[row["would_work_again"]] += 1
    reputation = ReputationDocument(id=subject_id, stars=stars, yes=answers[True], no=answers[False], updated_at=at)
    await ReputationDocument.get_pymongo_collection().replace_one(
        {"_id": subject_id}, {**reputation.model_dump(exclude={"id"})}, upsert=True, session=session()
    )
    return reputation


async def find_reputation(user_id: str) -> ReputationDocument | None:
    return await ReputationDocument.get(user_id)


async def count_written(user_id: str) -> int:
    return await ReviewDocument.find({"reviewer_id": user_id}).count()


async def months_of(subject_id: str) -> Sequence[dict[str, Any]]:
    """Revealed reviews a month: {_id: "2026-11", count, stars, replied}."""
    cursor = await ReviewDocument.get_pymongo_collection().aggregate(
        [
            {"$match": {"subject_id": subject_id, "status": ReviewStatus.REVEALED}},
            {
                "$group": {
                    "_id": {"$dateToString": {"date": "$revealed_at", "format": "%Y-%m"}},
                    "count": {"$sum": 1},
                    "stars": {"$sum": "$rating"},
                    "replied": {"$sum": {"$cond": [{"$ifNull": ["$reply", False]}, 1, 0]}},
                }
            },
            {"$sort": {"_id": 1}},
        ]
    )
    return await cursor.to_list()


async def reviews_by_id(ids: Sequence[str]) -> list[ReviewDocument]:
    return await ReviewDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def sides_of(contract_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Contract and reviewer of what was written about these contracts."""
    rows = ReviewDocument.get_pymongo_collection().find(
        {"contract_id": {"$in": list(contract_ids)}}, {"contract_id": 1, "reviewer_id": 1}, session=session()
    )
    return {(row["contract_id"], row["reviewer_id"]) async for row in rows}


async def close_exchange(contract_id: str, reviewer_id: str, at: datetime) -> None:
    """Note a review of the old system; nothing sealed follows it."""
    await ExchangeDocument.get_pymongo_collection().update_one(
        {"_id": contract_id},
        {"$addToSet": {"reviewers": reviewer_id}, "$min": {"revealed_at": at}},
        upsert=True,
        session=session(),
    )
