"""Queries of the move out of the old database."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from kelmah.kit.mongo import session
from kelmah.services.review.documents.reviews import ExchangeDocument, ReviewDocument


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


async def replied_since(since: datetime) -> AsyncIterator[str]:
    """Ids of reviews with a reply of since. Reads all: nothing else asks for them so."""
    wanted = {"reply.replied_at": {"$gte": since}}
    async for row in ReviewDocument.get_pymongo_collection().find(wanted, {"_id": 1}):
        yield row["_id"]
