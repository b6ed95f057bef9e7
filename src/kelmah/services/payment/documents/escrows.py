"""Escrows, and the disputes that freeze them."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.payment import DisputeStatus, EscrowStatus
from kelmah.kit import clock
from kelmah.kit.mongo import session
from kelmah.services.payment.errors import EscrowExists

#: The legal steps. Money leaves an escrow by release, refund or ruling, once.
TRANSITIONS: dict[EscrowStatus, frozenset[EscrowStatus]] = {
    EscrowStatus.FUNDED: frozenset({EscrowStatus.RELEASED, EscrowStatus.REFUNDED, EscrowStatus.DISPUTED}),
    EscrowStatus.DISPUTED: frozenset({EscrowStatus.SETTLED}),
    EscrowStatus.RELEASED: frozenset(),
    EscrowStatus.REFUNDED: frozenset(),
    EscrowStatus.SETTLED: frozenset(),
}
#: Money is still inside.
HOLDING = (EscrowStatus.FUNDED, EscrowStatus.DISPUTED)


class EscrowDocument(Document):
    """Money held for a milestone. `claims_milestone` until it is refunded: the milestone is not funded twice."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: int
    currency: str
    status: EscrowStatus
    claims_milestone: bool = True
    fee_basis_points: int
    worker_amount: int = 0
    fee_amount: int = 0
    refunded_amount: int = 0
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "escrows"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("contract_id", ASCENDING), ("milestone_id", ASCENDING)],
                unique=True,
                name="claimed_milestone",
                partialFilterExpression={"claims_milestone": True},
            ),
            IndexModel(
                [("contract_id", ASCENDING), ("milestone_id", ASCENDING), ("_id", DESCENDING)], name="milestone"
            ),
            IndexModel([("hirer_id", ASCENDING), ("_id", DESCENDING)], name="hirer"),
            IndexModel([("worker_id", ASCENDING), ("_id", DESCENDING)], name="worker"),
            IndexModel([("status", ASCENDING)], name="status"),
        ]


class DisputeDocument(Document):
    """A quarrel over an escrow. At most one is open for each."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    raised_by: str
    reason: str
    amount: int
    currency: str
    status: DisputeStatus = DisputeStatus.OPEN
    worker_amount: int | None = None
    hirer_amount: int | None = None
    note: str | None = None
    resolved_by: str | None = None
    created_at: datetime
    resolved_at: datetime | None = None

    class Settings:
        name = "disputes"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("escrow_id", ASCENDING)],
                unique=True,
                name="open_escrow",
                partialFilterExpression={"status": DisputeStatus.OPEN.value},
            ),
            IndexModel([("hirer_id", ASCENDING), ("_id", DESCENDING)], name="hirer"),
            IndexModel([("worker_id", ASCENDING), ("_id", DESCENDING)], name="worker"),
        ]


async def insert_escrow(escrow: EscrowDocument) -> None:
    """Claim the milestone for this escrow.

    Raises:
        EscrowExists: another escrow holds or has paid this milestone.
    """
    try:
        await escrow.insert(session=session())
    except DuplicateKeyError as error:
        raise EscrowExists from error


async def find_escrow(escrow_id: str, *, seen_by: str | None) -> EscrowDocument | None:
    """An escrow that this person is a side of; any escrow for None."""
    return await EscrowDocument.find_one({"_id": escrow_id} | _side(seen_by), session=session())


async def find_for_milestone(contract_id: str, milestone_id: str) -> EscrowDocument | None:
    """The latest escrow of a milestone."""
    return (
        await EscrowDocument.find({"contract_id": contract_id, "milestone_id": milestone_id}, session=session())
        .sort("-_id")
        .first_or_none()
    )


async def list_escrows(
    seen_by: str | None, *, contract_id: str | None, before: str | None, limit: int
) -> list[EscrowDocument]:
    """Escrows that this person is a side of, the latest first; all for None."""
    query = _side(seen_by)
    if contract_id is not None:
        query["contract_id"] = contract_id
    if before is not None:
        query["_id"] = {"$lt": before}
    return await EscrowDocument.find(query).sort("-_id").limit(limit).to_list()


async def list_funded(contract_id: str) -> list[EscrowDocument]:
    """Escrows of a contract that hold money nobody quarrels over."""
    return await EscrowDocument.find(
        {"contract_id": contract_id, "status": EscrowStatus.FUNDED.value}, session=session()
    ).to_list()


async def move_escrow(
    escrow_id: str, to: EscrowStatus, *, where: dict[str, str] | None = None
) -> EscrowDocument | None:
    """Take a legal step of the escrow that is `where`. None when there is no such escrow in such a state.

    A refund frees the milestone, so that it can be funded again.
    """
    sources = [status for status, targets in TRANSITIONS.items() if to in targets]
    row = await EscrowDocument.get_pymongo_collection().find_one_and_update(
        {"_id": escrow_id, "status": {"$in": sources}} | (where or {}),
        {
            "$set": {
                "status": to,
                "updated_at": clock.now(),
                "claims_milestone": to is not EscrowStatus.REFUNDED,
            }
        },
        return_document=ReturnDocument.AFTER,
        session=session(),
    )
    return EscrowDocument.model_validate(row) if row else None


async def note_parts(escrow: EscrowDocument, *, worker: int, fee: int, hirer: int) -> EscrowDocument:
    """Keep who got what of an escrow that was just moved, in the same transaction."""
    parts = {"worker_amount": worker, "fee_amount": fee, "refunded_amount": hirer}
    await EscrowDocument.get_pymongo_collection().update_one({"_id": escrow.id}, {"$set": parts}, session=session())
    done: EscrowDocument = escrow.model_copy(update=parts)
    return done


async def held_by_escrow() -> dict[str, int]:
    """What each escrow that still holds money should hold, by its account."""
    rows = EscrowDocument.get_pymongo_collection().find(
        {"status": {"$in": list(HOLDING)}}, {"amount": 1, "currency": 1}, session=session()
    )
    return {f"escrow:{row['_id']}:{row['currency']}": row["amount"] async for row in rows}


async def insert_dispute(dispute: DisputeDocument) -> None:
    """Write a new dispute."""
    await dispute.insert(session=session())


async def find_dispute(dispute_id: str, *, seen_by: str | None) -> DisputeDocument | None:
    """A dispute that this person is a side of; any dispute for None."""
    return await DisputeDocument.find_one({"_id": dispute_id} | _side(seen_by), session=session())


async def list_disputes(seen_by: str | None, *, before: str | None, limit: int) -> list[DisputeDocument]:
    """Disputes that this person is a side of, the latest first; all for None."""
    query = _side(seen_by)
    if before is not None:
        query["_id"] = {"$lt": before}
    return await DisputeDocument.find(query).sort("-_id").limit(limit).to_list()


async def resolve_dispute(
    dispute_id: str, *, worker_amount: int, hirer_amount: int, note: str, resolved_by: str
) -> DisputeDocument | None:
    """Write the ruling over an open dispute whose amount the parts add up to. None when there is no such."""
    row = await DisputeDocument.get_pymongo_collection().find_one_and_update(
        {"_id": dispute_id, "status": DisputeStatus.OPEN, "amount": worker_amount + hirer_amount},
        {
            "$set": {
                "status": DisputeStatus.RESOLVED,
                "worker_amount": worker_amount,
                "hirer_amount": hirer_amount,
                "note": note,
                "resolved_by": resolved_by,
                "resolved_at": clock.now(),
            }
        },
        return_document=ReturnDocument.AFTER,
        session=session(),
    )
    return DisputeDocument.model_validate(row) if row else None


def _side(user_id: str | None) -> dict[str, Any]:
    return {} if user_id is None else {"$or": [{"hirer_id": user_id}, {"worker_id": user_id}]}
