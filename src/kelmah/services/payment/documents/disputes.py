"""Disputes: the quarrel over a frozen escrow, as one table of steps."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.payment import DisputeStatus
from kelmah.kit import mongo
from kelmah.kit.mongo import session
from kelmah.services.payment.documents.escrows import side

#: The legal steps. Money leaves on the way to RESOLVED alone: by an accepted offer, or by a ruling that stands.
TRANSITIONS: Mapping[DisputeStatus, frozenset[DisputeStatus]] = {
    # Who does not answer in time is ruled against. It can be withdrawn until somebody ruled.
    DisputeStatus.OPEN: frozenset(
        {DisputeStatus.ANSWERED, DisputeStatus.RULED, DisputeStatus.RESOLVED, DisputeStatus.WITHDRAWN}
    ),
    # Who does not agree in time is ruled over by support.
    DisputeStatus.ANSWERED: frozenset(
        {DisputeStatus.IN_REVIEW, DisputeStatus.RULED, DisputeStatus.RESOLVED, DisputeStatus.WITHDRAWN}
    ),
    DisputeStatus.IN_REVIEW: frozenset({DisputeStatus.RULED, DisputeStatus.RESOLVED, DisputeStatus.WITHDRAWN}),
    # A ruling stands unless somebody appeals in time; the second one stands at once.
    DisputeStatus.RULED: frozenset({DisputeStatus.APPEALED, DisputeStatus.RESOLVED}),
    DisputeStatus.APPEALED: frozenset({DisputeStatus.RESOLVED}),
    DisputeStatus.RESOLVED: frozenset(),
    DisputeStatus.WITHDRAWN: frozenset(),
}
#: No ruling stands: the sides may agree and bring evidence, and support may rule.
UNDECIDED = (DisputeStatus.OPEN, DisputeStatus.ANSWERED, DisputeStatus.IN_REVIEW, DisputeStatus.APPEALED)
#: The escrow is not frozen any more.
CLOSED = tuple(status for status, targets in TRANSITIONS.items() if not targets)
#: Who rules over somebody who does not answer, and who withdraws what a chargeback began.
NOBODY = "deadline"
BANK = "bank"
#: It is between the sides alone: no bank took back what it is about.
OWN: Mapping[str, Any] = {"chargeback_ids.0": {"$exists": False}}
#: Files that one side may bring.
MAX_FILES = 10


class Offer(BaseModel):
    """How one side would share the escrow out; each has one at most, its latest."""

    id: str
    by: str
    worker_amount: int
    hirer_amount: int
    at: datetime


class Evidence(BaseModel):
    """A file that one side brought. `file_name` is encrypted; `digest` tells a file that comes twice."""

    id: str
    by: str
    digest: str
    file_name: str
    media_type: str
    size: int
    at: datetime


class DisputeDocument(Document):
    """A quarrel over an escrow. At most one is not closed for each. Shard key: `_id`, hashed.

    `deadline_at` is when its state ends by itself. With `chargeback_ids` the hirer's bank took money back, and the
    sides cannot settle at the platform's cost. What a bank alone began is `by_bank`.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    raised_by: str
    chargeback_ids: list[str] = Field(default_factory=list)
    by_bank: bool = False
    reason: str
    amount: int
    currency: str
    status: DisputeStatus = DisputeStatus.OPEN
    deadline_at: datetime | None = None
    answer: str | None = None
    offers: list[Offer] = Field(default_factory=list)
    evidence: list[Evidence] = Field(default_factory=list)
    worker_amount: int | None = None
    hirer_amount: int | None = None
    note: str | None = None
    resolved_by: str | None = None
    appealed_by: str | None = None
    appeal: str | None = None
    first_ruled_by: str | None = None
    created_at: datetime
    resolved_at: datetime | None = None

    class Settings:
        name = "disputes"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("escrow_id", ASCENDING), ("_id", DESCENDING)], name="escrow"),
            IndexModel([("hirer_id", ASCENDING), ("_id", DESCENDING)], name="hirer"),
            IndexModel([("worker_id", ASCENDING), ("_id", DESCENDING)], name="worker"),
            IndexModel([("chargeback_ids", ASCENDING)], name="chargebacks"),
        ]


class DisputeFileDocument(Document):
    """The bytes of an evidence's file, encrypted; small enough for one document. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the evidence's
    data: bytes

    class Settings:
        name = "dispute_files"


async def insert_dispute(dispute: DisputeDocument) -> None:
    """Write a new dispute. The step of its escrow, in the same transaction, lets there be one only."""
    await dispute.insert(session=session())


async def find_dispute(dispute_id: str, *, seen_by: str | None) -> DisputeDocument | None:
    """A dispute that this person is a side of; any dispute for None."""
    return await DisputeDocument.find_one({"_id": dispute_id} | side(seen_by), session=session())


async def list_disputes(seen_by: str | None, *, before: str | None, limit: int) -> list[DisputeDocument]:
    """Disputes that this person is a side of, the latest first; all for None."""
    query = side(seen_by)
    if before is not None:
        query["_id"] = {"$lt": before}
    return await DisputeDocument.find(query).sort("-_id").limit(limit).to_list()


async def move(
    dispute_id: str, to: DisputeStatus, *, where: Mapping[str, Any] | None = None, **fields: Any
) -> DisputeDocument | None:
    """Take a legal step of the dispute that is `where`, and write these fields. None when there is no such one."""
    sources = [status for status, targets in TRANSITIONS.items() if to in targets]
    query = {"$and": [{"_id": dispute_id, "status": {"$in": sources}}, dict(where or {})]}
    return await mongo.change(DisputeDocument, query, {"$set": fields | {"status": to}})


async def put_offer(dispute_id: str, offer: Offer) -> DisputeDocument | None:
    """Put a side's offer in the place of its last. None when nothing can be offered any more, or it does not add up."""
    row = offer.model_dump()
    query = {
        "_id": dispute_id,
        "status": {"$in": list(UNDECIDED)},
        **OWN,
        "amount": offer.worker_amount + offer.hirer_amount,
        **side(offer.by),
    }
    if await mongo.change(DisputeDocument, query, {"$pull": {"offers": {"by": offer.by}}}) is None:
        return None
    return await mongo.change(DisputeDocument, query, {"$push": {"offers": row}})


async def note_chargeback(escrow_id: str, chargeback_id: str) -> None:
    """From now on the dispute over an escrow, if there is one, is about what a bank took back, too."""
    await mongo.change(
        DisputeDocument,
        {"escrow_id": escrow_id, "status": {"$nin": list(CLOSED)}},
        {"$addToSet": {"chargeback_ids": chargeback_id}},
    )


async def drop_chargeback(chargeback_id: str) -> list[str]:
    """The bank gave the money back. Ids of the disputes that go on and are now between the sides alone."""
    rows = DisputeDocument.get_pymongo_collection().find(
        {"chargeback_ids": chargeback_id, "status": {"$nin": list(CLOSED)}}, {"_id": 1}, session=session()
    )
    dropped = [
        await mongo.change(DisputeDocument, {"_id": row["_id"]}, {"$pull": {"chargeback_ids": chargeback_id}})
        async for row in rows
    ]
    return [one.id for one in dropped if one is not None and not one.chargeback_ids]


async def add_evidence(dispute_id: str, evidence: Evidence, data: bytes) -> DisputeDocument | None:
    """Add a file to those of a side, in the open transaction. None when no more are taken, or not this one again."""
    counted = {"$size": {"$filter": {"input": "$evidence", "cond": {"$eq": ["$$this.by", evidence.by]}}}}
    dispute = await mongo.change(
        DisputeDocument,
        {
            "_id": dispute_id,
            "status": {"$in": list(UNDECIDED)},
            "evidence": {"$not": {"$elemMatch": {"by": evidence.by, "digest": evidence.digest}}},
            "$expr": {"$lt": [counted, MAX_FILES]},
            **side(evidence.by),
        },
        {"$push": {"evidence": evidence.model_dump()}},
    )
    if dispute is not None:
        await DisputeFileDocument(id=evidence.id, data=data).insert(session=session())
    return dispute


async def read_file(evidence_id: str) -> bytes | None:
    """The encrypted bytes of an evidence's file."""
    found = await DisputeFileDocument.get(evidence_id, session=session())
    return found and found.data
