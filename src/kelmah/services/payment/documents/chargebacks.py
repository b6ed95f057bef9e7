"""Chargebacks: deposits that a payer's bank took back, for now or for good."""

from datetime import datetime
from typing import ClassVar, Final, Literal

from beanie import Document
from pymongo import ASCENDING, IndexModel

from kelmah.kit import clock, mongo
from kelmah.kit.mongo import session

OPEN: Final = "open"


class ChargebackDocument(Document):
    """A chargeback; `id` is `<provider>:<its id there>`. `from_wallet` was held, the platform lost the rest."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    provider: str
    provider_ref: str
    deposit_id: str
    user_id: str
    amount: int
    currency: str
    from_wallet: int
    status: Literal["open", "won", "lost"] = OPEN
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "chargebacks"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("deposit_id", ASCENDING)], name="deposit"),
            IndexModel([("status", ASCENDING)], name="status"),
        ]


async def insert_chargeback(chargeback: ChargebackDocument) -> None:
    """Write a new chargeback; a twin raises DuplicateKeyError."""
    await chargeback.insert(session=session())


async def find_chargeback(chargeback_id: str) -> ChargebackDocument | None:
    """A chargeback."""
    return await ChargebackDocument.get(chargeback_id, session=session())


async def close_chargeback(chargeback_id: str, status: str) -> ChargebackDocument | None:
    """End an open chargeback. None when it is over already."""
    return await mongo.change(
        ChargebackDocument,
        {"_id": chargeback_id, "status": OPEN},
        {"$set": {"status": status, "updated_at": clock.now()}},
    )


async def take_back(chargeback: ChargebackDocument, amount: int) -> None:
    """Note that so much more of it came from the payer, in the open transaction."""
    await ChargebackDocument.get_pymongo_collection().update_one(
        {"_id": chargeback.id},
        {"$inc": {"from_wallet": amount}, "$set": {"updated_at": clock.now()}},
        session=session(),
    )


async def open_by_currency() -> dict[str, int]:
    """What open chargebacks hold, by currency."""
    cursor = await ChargebackDocument.get_pymongo_collection().aggregate(
        [{"$match": {"status": OPEN}}, {"$group": {"_id": "$currency", "sum": {"$sum": "$amount"}}}], session=session()
    )
    return {row["_id"]: row["sum"] for row in await cursor.to_list()}
