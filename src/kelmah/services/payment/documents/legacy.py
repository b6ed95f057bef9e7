"""What the old system knew of money, as it was: wallets at the move, and the transactions that made them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.kit.mongo import session
from kelmah.services.payment.documents.disputes import DisputeDocument
from kelmah.services.payment.documents.entries import EntryDocument
from kelmah.services.payment.documents.escrows import EscrowDocument


class LegacyWalletDocument(Document):
    """A wallet of before and what was in it, in minor units. Never changed. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the old id
    user_id: str
    currency: str
    balance: int

    class Settings:
        name = "legacy_wallets"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user_id", ASCENDING), ("currency", ASCENDING)], unique=True, name="user_currency")
        ]


class LegacyTransactionDocument(Document):
    """A movement of before; the ledger begins with their sum. Never changed. Shard key: `user_id`, hashed."""

    id: str  # type: ignore[assignment]  # the old id
    wallet_id: str
    user_id: str
    kind: str
    amount: int
    currency: str
    status: str
    reference: str | None
    created_at: datetime

    class Settings:
        name = "legacy_transactions"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="user")
        ]


async def wallets_by_id(wallet_ids: Sequence[str]) -> list[LegacyWalletDocument]:
    return await LegacyWalletDocument.find({"_id": {"$in": list(wallet_ids)}}, session=session()).to_list()


async def wallets_of(user_ids: Sequence[str]) -> list[LegacyWalletDocument]:
    return await LegacyWalletDocument.find({"user_id": {"$in": list(user_ids)}}, session=session()).to_list()


async def transactions_by_id(transaction_ids: Sequence[str]) -> list[LegacyTransactionDocument]:
    wanted = {"_id": {"$in": list(transaction_ids)}}
    return await LegacyTransactionDocument.find(wanted, session=session()).to_list()


async def transactions_of(user_id: str, *, before: str | None, limit: int) -> list[LegacyTransactionDocument]:
    """A person's movements of before, by their ids."""
    query = {"user_id": user_id} | ({} if before is None else {"_id": {"$lt": before}})
    return await LegacyTransactionDocument.find(query, session=session()).sort("-_id").limit(limit).to_list()


async def entries_by_reference(references: Sequence[str]) -> list[EntryDocument]:
    return await EntryDocument.find({"reference": {"$in": list(references)}}, session=session()).to_list()


async def entries_since(since: datetime, *, after: EntryDocument | None, limit: int) -> list[EntryDocument]:
    """Entries from an instant on, the earliest first, from where the last page ended."""
    query: dict[str, Any] = {"at": {"$gte": since}}
    if after is not None:
        query["_id"] = {"$gt": after.id}
    return await EntryDocument.find(query).sort("_id").limit(limit).to_list()


async def escrows_by_id(escrow_ids: Sequence[str]) -> list[EscrowDocument]:
    return await EscrowDocument.find({"_id": {"$in": list(escrow_ids)}}, session=session()).to_list()


async def claimed_milestones(milestone_ids: Sequence[str]) -> set[str]:
    """Those of these milestones whose money an escrow holds or has paid."""
    wanted = {"milestone_id": {"$in": list(milestone_ids)}, "claims_milestone": True}
    rows = EscrowDocument.get_pymongo_collection().find(wanted, {"milestone_id": 1}, session=session())
    return {row["milestone_id"] async for row in rows}


async def disputes_of(escrow_ids: Sequence[str]) -> list[DisputeDocument]:
    wanted = {"escrow_id": {"$in": list(escrow_ids)}}
    return await DisputeDocument.find(wanted, session=session()).sort("_id").to_list()
