"""Deposits: each is written before the provider is asked, and settled once."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.payment import DepositStatus
from kelmah.kit import clock, mongo
from kelmah.kit.mongo import session
from kelmah.services.payment.errors import DepositUnresolved

#: The legal steps. A declined payment may still succeed: with 3-D Secure the payer can try again at the provider.
TRANSITIONS: dict[DepositStatus, frozenset[DepositStatus]] = {
    DepositStatus.PENDING: frozenset(
        {
            DepositStatus.REQUIRES_ACTION,
            DepositStatus.UNKNOWN,
            DepositStatus.SUCCEEDED,
            DepositStatus.DECLINED,
            DepositStatus.CANCELED,
            DepositStatus.MISMATCHED,
        }
    ),
    DepositStatus.REQUIRES_ACTION: frozenset(
        {
            DepositStatus.UNKNOWN,
            DepositStatus.SUCCEEDED,
            DepositStatus.DECLINED,
            DepositStatus.CANCELED,
            DepositStatus.MISMATCHED,
        }
    ),
    DepositStatus.UNKNOWN: frozenset(
        {
            DepositStatus.REQUIRES_ACTION,
            DepositStatus.SUCCEEDED,
            DepositStatus.DECLINED,
            DepositStatus.CANCELED,
            DepositStatus.MISMATCHED,
        }
    ),
    DepositStatus.DECLINED: frozenset({DepositStatus.SUCCEEDED, DepositStatus.MISMATCHED}),
    DepositStatus.SUCCEEDED: frozenset(),
    DepositStatus.CANCELED: frozenset(),
    DepositStatus.MISMATCHED: frozenset(),
}
#: Nobody knows yet whether money moved.
UNSURE = (DepositStatus.PENDING, DepositStatus.UNKNOWN)
#: Not settled: the provider is asked again.
OPEN = frozenset({DepositStatus.PENDING, DepositStatus.REQUIRES_ACTION, DepositStatus.UNKNOWN})


class DepositDocument(Document):
    """A payment into a wallet. `provider_ref` is stored before the provider is told to charge.

    `method` and `customer` are the provider's names, encrypted. `escrow_id` is what it is meant to fund. While a first
    try is `UNSURE` its `claim` keeps the same person from paying the same amount beside it.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    request_id: str
    user_id: str
    provider: str
    amount: int
    currency: str
    method_id: str | None
    escrow_id: str | None = None
    claim: str | None = None
    method: str
    customer: str | None
    status: DepositStatus
    provider_ref: str | None = None
    failure_code: str | None = None
    requeries: int = 0
    refunded: int = 0
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "deposits"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("request_id", ASCENDING)], unique=True, name="request"),
            IndexModel(
                [("provider", ASCENDING), ("provider_ref", ASCENDING)],
                unique=True,
                name="provider_ref",
                partialFilterExpression={"provider_ref": {"$type": "string"}},
            ),
            IndexModel(
                [("claim", ASCENDING)],
                unique=True,
                name="claim",
                partialFilterExpression={"claim": {"$type": "string"}},
            ),
            IndexModel([("user_id", ASCENDING), ("status", ASCENDING)], name="user_status"),
        ]


async def insert_deposit(deposit: DepositDocument) -> None:
    """Write a new deposit; a twin of the same request raises DuplicateKeyError, which is answered as a conflict.

    Raises:
        DepositUnresolved: another one like it is not settled.
    """
    try:
        await deposit.insert(session=session())
    except DuplicateKeyError as error:
        if "claim" in (error.details or {}).get("keyPattern", {}):
            raise DepositUnresolved from error
        raise


async def find_deposit(deposit_id: str, *, user_id: str | None = None) -> DepositDocument | None:
    """A deposit, of this person if one is named."""
    query: dict[str, Any] = {"_id": deposit_id}
    if user_id is not None:
        query["user_id"] = user_id
    return await DepositDocument.find_one(query, session=session())


async def list_deposits(user_id: str, *, before: str | None, limit: int) -> list[DepositDocument]:
    """A person's deposits, the latest first."""
    query = {"user_id": user_id} | ({} if before is None else {"_id": {"$lt": before}})
    return await DepositDocument.find(query, session=session()).sort("-_id").limit(limit).to_list()


async def find_by_request(request_id: str) -> DepositDocument | None:
    """The deposit that an earlier try of the same request wrote."""
    return await DepositDocument.find_one({"request_id": request_id}, session=session())


async def find_by_provider_ref(provider: str, provider_ref: str) -> DepositDocument | None:
    """The deposit that a provider's payment belongs to."""
    return await DepositDocument.find_one({"provider": provider, "provider_ref": provider_ref}, session=session())


async def has_unknown(user_id: str, amount: int, currency: str) -> bool:
    """Whether a person may have paid such an amount without our knowing yet."""
    query = {"user_id": user_id, "status": DepositStatus.UNKNOWN, "amount": amount, "currency": currency}
    return await _collection().find_one(query, session=session()) is not None


async def set_provider_ref(deposit_id: str, provider_ref: str) -> bool:
    """Remember the provider's name for the payment; the first one stays. Whether this one is it."""
    row = await _collection().find_one_and_update(
        {"_id": deposit_id, "status": DepositStatus.PENDING, "provider_ref": {"$in": [None, provider_ref]}},
        {"$set": {"provider_ref": provider_ref, "updated_at": clock.now()}},
        session=session(),
    )
    return row is not None


async def move_deposit(
    deposit_id: str, to: DepositStatus, *, failure_code: str | None = None, where: dict[str, Any] | None = None
) -> DepositDocument | None:
    """Take a legal step of the deposit that is `where`. None when there is none in such a state."""
    sources = [status for status, targets in TRANSITIONS.items() if to in targets]
    row = await _collection().find_one_and_update(
        {"_id": deposit_id, "status": {"$in": sources}} | (where or {}),
        {
            "$set": {"status": to, "failure_code": failure_code, "updated_at": clock.now()}
            | ({} if to in UNSURE else {"claim": None})
        },
        return_document=ReturnDocument.AFTER,
        session=session(),
    )
    return DepositDocument.model_validate(row) if row else None


async def count_requery(deposit_id: str, *, seen: int) -> bool:
    """Count one more question to the provider about an open deposit. False when another was faster."""
    done = await _collection().update_one(
        {"_id": deposit_id, "requeries": seen, "status": {"$in": list(OPEN)}},
        {"$inc": {"requeries": 1}},
        session=session(),
    )
    return bool(done.modified_count)


async def take_refund(deposit_id: str, amount: int) -> DepositDocument | None:
    """Set part of a paid deposit aside to be given back. None when not so much of it is left."""
    return await mongo.change(
        DepositDocument,
        {
            "_id": deposit_id,
            "status": DepositStatus.SUCCEEDED,
            "$expr": {"$lte": [{"$add": [{"$ifNull": ["$refunded", 0]}, amount]}, "$amount"]},
        },
        {"$inc": {"refunded": amount}},
    )


async def untake_refund(deposit_id: str, amount: int) -> None:
    """A refund did not happen: that part is there again."""
    await _collection().update_one({"_id": deposit_id}, {"$inc": {"refunded": -amount}}, session=session())


async def pending_by_currency(user_id: str) -> dict[str, int]:
    """What a person has under way into the wallet, by currency."""
    cursor = await _collection().aggregate(
        [
            {"$match": {"user_id": user_id, "status": {"$in": list(OPEN)}}},
            {"$group": {"_id": "$currency", "sum": {"$sum": "$amount"}}},
        ],
        session=session(),
    )
    return {row["_id"]: row["sum"] for row in await cursor.to_list()}


def _collection() -> Any:
    return DepositDocument.get_pymongo_collection()
