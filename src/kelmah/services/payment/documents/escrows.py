"""Escrows: what they hold, and the steps they take."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock, mongo
from kelmah.kit.mongo import session
from kelmah.services.payment.errors import EscrowExists

#: The legal steps. A payment that is under way funds it, or does not; money leaves by release, refund or ruling. A
#: dispute that is withdrawn leaves it as it was.
TRANSITIONS: dict[EscrowStatus, frozenset[EscrowStatus]] = {
    EscrowStatus.PENDING: frozenset({EscrowStatus.FUNDED, EscrowStatus.VOIDED, EscrowStatus.EXPIRED}),
    EscrowStatus.FUNDED: frozenset(
        {EscrowStatus.RELEASED, EscrowStatus.REFUNDED, EscrowStatus.DISPUTED, EscrowStatus.SETTLED}
    ),
    EscrowStatus.DISPUTED: frozenset({EscrowStatus.SETTLED, EscrowStatus.FUNDED}),
    EscrowStatus.RELEASED: frozenset(),
    EscrowStatus.REFUNDED: frozenset(),
    EscrowStatus.SETTLED: frozenset(),
    EscrowStatus.VOIDED: frozenset(),
    EscrowStatus.EXPIRED: frozenset(),
}
#: Money is still inside.
HOLDING = (EscrowStatus.FUNDED, EscrowStatus.DISPUTED)
#: It came to nothing, so that the milestone can be funded anew.
FREE = (EscrowStatus.REFUNDED, EscrowStatus.VOIDED, EscrowStatus.EXPIRED)


#: Nothing was released yet, or something was; SETTLED is otherwise reached from a dispute alone.
WHOLE: dict[str, Any] = {"released": {"$in": [0, None]}}
STARTED: dict[str, Any] = {"released": {"$gt": 0}, "status": EscrowStatus.FUNDED}


class EscrowDocument(Document):
    """Money held for a milestone. `claims_milestone` unless it came to nothing: no milestone is funded twice.

    `released` is what was paid out so far before fee and tax, in `releases` parts.
    """

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
    tax_basis_points: int = 0
    referral_basis_points: int = 0
    referrer_id: str | None = None
    released: int = 0
    releases: int = 0
    worker_amount: int = 0
    fee_amount: int = 0
    tax_amount: int = 0
    refunded_amount: int = 0
    created_at: datetime
    updated_at: datetime

    @property
    def held(self) -> int:
        """What is still inside."""
        return self.amount - self.released if self.status in HOLDING else 0

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
    return await EscrowDocument.find_one({"_id": escrow_id} | side(seen_by), session=session())


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
    query = side(seen_by)
    if contract_id is not None:
        query["contract_id"] = contract_id
    if before is not None:
        query["_id"] = {"$lt": before}
    return await EscrowDocument.find(query).sort("-_id").limit(limit).to_list()


async def list_funded_by(hirer_id: str, currency: str, *, limit: int) -> list[EscrowDocument]:
    """A hirer's escrows that hold money, the latest first."""
    query = {"hirer_id": hirer_id, "currency": currency, "status": {"$in": [one.value for one in HOLDING]}}
    return await EscrowDocument.find(query, session=session()).sort("-_id").limit(limit).to_list()


async def has_worked(worker_id: str) -> bool:
    """Whether there was ever an escrow for a worker."""
    return await EscrowDocument.find_one({"worker_id": worker_id}, session=session()) is not None


async def list_undisputed(contract_id: str) -> list[EscrowDocument]:
    """Escrows of a contract that hold money nobody quarrels over, or wait for it."""
    statuses = [EscrowStatus.FUNDED.value, EscrowStatus.PENDING.value]
    return await EscrowDocument.find(
        {"contract_id": contract_id, "status": {"$in": statuses}}, session=session()
    ).to_list()


def holding_exactly(amount: int) -> dict[str, Any]:
    """The condition that this much of an escrow is not released yet."""
    return {"$expr": {"$eq": ["$amount", {"$add": [{"$ifNull": ["$released", 0]}, amount]}]}}


async def move_escrow(
    escrow_id: str, to: EscrowStatus, *, where: dict[str, Any] | None = None
) -> EscrowDocument | None:
    """Take a legal step of the escrow that is `where`. None when there is no such escrow in such a state.

    What comes to nothing frees the milestone, so that it can be funded again.
    """
    sources = [status for status, targets in TRANSITIONS.items() if to in targets]
    row = await EscrowDocument.get_pymongo_collection().find_one_and_update(
        {"_id": escrow_id, "status": {"$in": sources}} | (where or {}),
        {
            "$set": {
                "status": to,
                "updated_at": clock.now(),
                "claims_milestone": to not in FREE,
            }
        },
        return_document=ReturnDocument.AFTER,
        session=session(),
    )
    return EscrowDocument.model_validate(row) if row else None


async def take_part(escrow_id: str, amount: int, *, where: dict[str, str]) -> EscrowDocument | None:
    """Have a part of a funded escrow released, with a rest. None when there is no such escrow that holds more."""
    return await mongo.change(
        EscrowDocument,
        {
            "_id": escrow_id,
            "status": EscrowStatus.FUNDED,
            "$expr": {"$gt": ["$amount", {"$add": [{"$ifNull": ["$released", 0]}, amount]}]},
        }
        | where,
        {"$set": {"updated_at": clock.now()}},
    )


async def note_parts(escrow: EscrowDocument, *, worker: int, fee: int, tax: int, hirer: int) -> EscrowDocument:
    """Add who got what of an escrow that was just changed, in the same transaction."""
    gross = worker + fee + tax
    parts = {
        "released": gross,
        "releases": 1 if gross else 0,
        "worker_amount": worker,
        "fee_amount": fee,
        "tax_amount": tax,
        "refunded_amount": hirer,
    }
    await EscrowDocument.get_pymongo_collection().update_one({"_id": escrow.id}, {"$inc": parts}, session=session())
    done: EscrowDocument = escrow.model_copy(
        update={name: getattr(escrow, name) + value for name, value in parts.items()}
    )
    return done


async def held_by_escrow() -> dict[str, int]:
    """What each escrow that still holds money should hold, by its account."""
    rows = EscrowDocument.get_pymongo_collection().find(
        {"status": {"$in": list(HOLDING)}}, {"amount": 1, "currency": 1, "released": 1}, session=session()
    )
    return {f"escrow:{row['_id']}:{row['currency']}": row["amount"] - row.get("released", 0) async for row in rows}


def side(user_id: str | None) -> dict[str, Any]:
    return {} if user_id is None else {"$or": [{"hirer_id": user_id}, {"worker_id": user_id}]}
