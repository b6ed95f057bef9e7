"""What reputations are made of, kept so that reading one costs one look."""

from datetime import datetime
from typing import ClassVar, NamedTuple

from beanie import Document
from pymongo import ASCENDING, IndexModel

from kelmah.kit.mongo import session


class ReputationDocument(Document):
    """The counted reviews of a person. Shard key: _id (the person), hashed.

    `months` holds the number of reviews with each number of stars, by month (UTC, "2026-11"); `flagged` the same of
    suspicious ones, by suspicion. `rating_milli` is as of `updated_at`, for comparison with others.
    """

    id: str  # type: ignore[assignment]  # the person's id
    months: dict[str, dict[str, int]]
    yes: int
    no: int
    flagged: dict[str, dict[str, dict[str, int]]]
    trade: str | None
    region: str | None
    rating_milli: int
    updated_at: datetime

    class Settings:
        name = "reputations"
        indexes: ClassVar = [
            IndexModel([("trade", ASCENDING), ("region", ASCENDING), ("rating_milli", ASCENDING)], name="standing")
        ]


class Rank(NamedTuple):
    """How many people have a rating, and how many of them a lower one."""

    people: int
    below: int


async def save_reputation(reputation: ReputationDocument) -> None:
    await ReputationDocument.get_pymongo_collection().replace_one(
        {"_id": reputation.id}, reputation.model_dump(exclude={"id"}), upsert=True, session=session()
    )


async def find_reputation(user_id: str) -> ReputationDocument | None:
    return await ReputationDocument.find_one({"_id": user_id}, session=session())


async def standing_of(trade: str, region: str, rating_milli: int) -> Rank:
    """Where a rating stands among those of a trade and region."""
    among = {"trade": trade, "region": region}
    people = await ReputationDocument.find(among).count()
    return Rank(people, await ReputationDocument.find({**among, "rating_milli": {"$lt": rating_milli}}).count())
