"""Withdrawals and refunds of deposits: money on its way out, held from the first moment, over once."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.payment import WithdrawalStatus
from kelmah.kit import clock, mongo
from kelmah.kit.mongo import session

#: The legal steps. Money that was paid may still be returned.
TRANSITIONS: dict[WithdrawalStatus, frozenset[WithdrawalStatus]] = {
    WithdrawalStatus.PENDING: frozenset({WithdrawalStatus.SENDING, WithdrawalStatus.CANCELED, WithdrawalStatus.FAILED}),
    WithdrawalStatus.SENDING: frozenset(
        {
            WithdrawalStatus.IN_TRANSIT,
            WithdrawalStatus.UNKNOWN,
            WithdrawalStatus.PAID,
            WithdrawalStatus.FAILED,
        }
    ),
    WithdrawalStatus.UNKNOWN: frozenset({WithdrawalStatus.IN_TRANSIT, WithdrawalStatus.PAID, WithdrawalStatus.FAILED}),
    WithdrawalStatus.IN_TRANSIT: frozenset({WithdrawalStatus.PAID, WithdrawalStatus.FAILED}),
    WithdrawalStatus.PAID: frozenset({WithdrawalStatus.RETURNED}),
    WithdrawalStatus.FAILED: frozenset(),
    WithdrawalStatus.CANCELED: frozenset(),
    WithdrawalStatus.RETURNED: frozenset(),
}
#: The money is held and has not arrived.
OPEN = frozenset(
    {
        WithdrawalStatus.PENDING,
        WithdrawalStatus.SENDING,
        WithdrawalStatus.UNKNOWN,
        WithdrawalStatus.IN_TRANSIT,
    }
)
#: Money that left or may leave; what a limit counts.
COUNTED = OPEN | {WithdrawalStatus.PAID}


class WithdrawalDocument(Document):
    """Money out of a wallet: to an account (`method_id`), or back to a deposit's payer (`deposit_id`).

    `destination` is the provider's name for the account, encrypted.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    user_id: str
    provider: str
    amount: int
    currency: str
    method_id: str | None = None
    destination: str | None = None
    deposit_id: str | None = None
    charge_ref: str | None = None
    requested_by: str
    status: WithdrawalStatus = WithdrawalStatus.PENDING
    provider_ref: str | None = None
    failure_code: str | None = None
    requeries: int = 0
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "withdrawals"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("provider", ASCENDING), ("provider_ref", ASCENDING)],
                unique=True,
                name="provider_ref",
                partialFilterExpression={"provider_ref": {"$type": "string"}},
            ),
            IndexModel([("user_id", ASCENDING), ("_id", DESCENDING)], name="user"),
            IndexModel([("user_id", ASCENDING), ("created_at", ASCENDING)], name="user_created"),
            IndexModel([("status", ASCENDING)], name="status"),
        ]


async def insert_withdrawal(withdrawal: WithdrawalDocument) -> None:
    """Write a new withdrawal."""
    await withdrawal.insert(session=session())


async def find_withdrawal(withdrawal_id: str, *, user_id: str | None = None) -> WithdrawalDocument | None:
    """A withdrawal, of this person if one is named."""
    query: dict[str, Any] = {"_id": withdrawal_id}
    if user_id is not None:
        query["user_id"] = user_id
    return await WithdrawalDocument.find_one(query, session=session())


async def list_withdrawals(user_id: str, *, before: str | None, limit: int) -> list[WithdrawalDocument]:
    """A person's withdrawals, the latest first."""
    query: dict[str, Any] = {"user_id": user_id}
    if before is not None:
        query["_id"] = {"$lt": before}
    return await WithdrawalDocument.find(query).sort("-_id").limit(limit).to_list()


async def find_by_provider_ref(provider: str, provider_ref: str) -> WithdrawalDocument | None:
    """The withdrawal that a provider's payout belongs to."""
    return await WithdrawalDocument.find_one({"provider": provider, "provider_ref": provider_ref}, session=session())


async def move_withdrawal(
    withdrawal_id: str, to: WithdrawalStatus, *, where: dict[str, Any] | None = None, **values: str | None
) -> WithdrawalDocument | None:
    """Take a legal step of the withdrawal that is `where`. None when there is none in such a state."""
    sources = [status for status, targets in TRANSITIONS.items() if to in targets]
    return await mongo.change(
        WithdrawalDocument,
        {"_id": withdrawal_id, "status": {"$in": sources}} | (where or {}),
        {"$set": {"status": to, "updated_at": clock.now(), **values}},
    )


async def count_requery(withdrawal_id: str, *, seen: int) -> bool:
    """Count one more question to the provider about an open withdrawal. False when another was faster."""
    done = await WithdrawalDocument.get_pymongo_collection().update_one(
        {"_id": withdrawal_id, "requeries": seen, "status": {"$in": list(OPEN)}},
        {"$inc": {"requeries": 1}},
        session=session(),
    )
    return bool(done.modified_count)


async def sum_since(user_id: str, currency: str, instant: datetime) -> int:
    """What a person has sent to accounts of theirs since an instant, or is sending, in minor units."""
    found = await _sums(
        {"user_id": user_id, "currency": currency, "created_at": {"$gt": instant}, "deposit_id": None}
        | {"status": {"$in": list(COUNTED)}}
    )
    return found.get(currency, 0)


async def held_by_currency(user_id: str | None = None) -> dict[str, int]:
    """What is on its way out of a person's wallet, or of all wallets, by currency."""
    whose = {} if user_id is None else {"user_id": user_id}
    return await _sums({"status": {"$in": list(OPEN)}} | whose)


async def _sums(query: dict[str, Any]) -> dict[str, int]:
    cursor = await WithdrawalDocument.get_pymongo_collection().aggregate(
        [{"$match": query}, {"$group": {"_id": "$currency", "sum": {"$sum": "$amount"}}}], session=session()
    )
    return {row["_id"]: row["sum"] for row in await cursor.to_list()}
