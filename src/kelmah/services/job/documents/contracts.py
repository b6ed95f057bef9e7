"""Contracts with their milestones: the document and its queries; `parts` has what is in it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.job import BookingStatus, ContractStatus, MilestoneStatus
from kelmah.kit.mongo import change, session
from kelmah.services.job.documents.base import Position, newest, present
from kelmah.services.job.documents.parts import Amendment, BookingState, Milestone, Signature, Submission, Window


class SlotTaken(Exception):
    """Another direct offer of the hirer took the slot at the same moment."""


class ContractDocument(Document):
    """A contract. Milestones live in it, so that each of their steps is one atomic change. Shard key: hashed `_id`.

    `terms` is the exact text that both sides sign, `terms_hash` its SHA-256. `offer_slot` bounds the direct offers of a
    hirer that wait for an answer.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    job_id: str
    application_id: str | None = None
    hirer_id: str
    worker_id: str
    parties: list[str]
    status: ContractStatus = ContractStatus.AWAITING_SIGNATURES
    version: int = 1
    title: str
    description: str
    currency: str
    milestones: list[Milestone]
    auto_approve_after_days: int
    work: Window | None = None
    booking: BookingState | None = None
    terms: str
    terms_hash: str
    hirer_signature: Signature | None = None
    worker_signature: Signature | None = None
    amendment: Amendment | None = None
    offer_slot: int | None = None
    offer_expires_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    signed_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    reason: str | None = None

    class Settings:
        name = "contracts"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("application_id", ASCENDING)],
                unique=True,
                partialFilterExpression={"application_id": {"$type": "string"}},
                name="one_per_application",
            ),
            IndexModel(
                [("job_id", ASCENDING)],
                unique=True,
                partialFilterExpression={
                    "status": {
                        "$in": [
                            ContractStatus.OFFERED.value,
                            ContractStatus.AWAITING_SIGNATURES.value,
                            ContractStatus.ACTIVE.value,
                        ]
                    }
                },
                name="one_live_per_job",
            ),
            IndexModel(
                [("hirer_id", ASCENDING), ("offer_slot", ASCENDING)],
                unique=True,
                partialFilterExpression={"status": ContractStatus.OFFERED.value, "offer_slot": {"$exists": True}},
                name="offers",
            ),
            IndexModel([("worker_id", ASCENDING), ("status", ASCENDING)], name="worker"),
            IndexModel([("parties", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="parties"),
        ]

    def milestone(self, milestone_id: str) -> Milestone | None:
        """The milestone with this id."""
        return next((one for one in self.milestones if one.id == milestone_id), None)


async def insert_contract(contract: ContractDocument) -> None:
    """Store a new contract.

    Raises:
        SlotTaken: it is a direct offer, and its slot is taken.
    """
    try:
        await contract.insert(session=session())
    except DuplicateKeyError as error:
        if contract.offer_slot is None:
            raise
        raise SlotTaken from error


async def offer_slots_of(hirer_id: str) -> set[int]:
    """The slots that a hirer's direct offers hold while they wait for an answer."""
    query = {"hirer_id": hirer_id, "status": ContractStatus.OFFERED, "offer_slot": {"$exists": True}}
    rows = ContractDocument.get_pymongo_collection().find(query, {"offer_slot": 1})
    return {row["offer_slot"] async for row in rows}


async def get_contract(contract_id: str, *, party: str | None = None) -> ContractDocument | None:
    """A contract; with `party`, only if that person is one of its sides."""
    query = {"_id": contract_id} | ({"parties": party} if party is not None else {})
    return await ContractDocument.find_one(query, session=session())


async def contracts_of(
    party: str, *, status: ContractStatus | None, after: Position | None, limit: int
) -> list[ContractDocument]:
    """A person's contracts, the last first."""
    query = {"parties": party} | ({"status": status.value} if status else {})
    return await newest(ContractDocument, query, time_field="created_at", after=after, limit=limit)


async def active_contracts_of(party: str, *, limit: int) -> list[ContractDocument]:
    """Up to `limit` active contracts of a person, the last first."""
    return await contracts_of(party, status=ContractStatus.ACTIVE, after=None, limit=limit)


class Workload(NamedTuple):
    """How many contracts a worker has completed, and has now."""

    completed: int = 0
    active: int = 0


async def workloads(worker_ids: Collection[str]) -> dict[str, Workload]:
    """What these workers have done and do; those without any contract are left out."""
    states = [ContractStatus.COMPLETED.value, ContractStatus.ACTIVE.value]
    rows = await ContractDocument.get_pymongo_collection().aggregate(
        [
            {"$match": {"worker_id": {"$in": list(worker_ids)}, "status": {"$in": states}}},
            {"$group": {"_id": {"worker": "$worker_id", "status": "$status"}, "count": {"$sum": 1}}},
        ]
    )
    found: dict[str, Workload] = {}
    async for row in rows:
        before = found.get(row["_id"]["worker"], Workload())
        found[row["_id"]["worker"]] = before._replace(**{row["_id"]["status"]: row["count"]})
    return found


async def sign(contract_id: str, *, side: str, user_id: str, terms_hash: str, at: datetime) -> ContractDocument | None:
    """Put the signature of `side` ("hirer" or "worker") under these terms, if it is not there yet."""
    signature = {"user_id": user_id, "terms_hash": terms_hash, "signed_at": at}
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "status": ContractStatus.AWAITING_SIGNATURES,
            f"{side}_id": user_id,
            f"{side}_signature": None,
            "terms_hash": terms_hash,
        },
        {"$set": {f"{side}_signature": signature, "updated_at": at}, "$inc": {"version": 1}},
    )


async def take_offer(contract_id: str, *, worker_id: str, at: datetime) -> ContractDocument | None:
    """Take a direct offer; the contract then awaits both signatures."""
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "worker_id": worker_id,
            "status": ContractStatus.OFFERED,
            "offer_expires_at": {"$not": {"$lte": at}},
        },
        {"$set": {"status": ContractStatus.AWAITING_SIGNATURES, "updated_at": at}, "$inc": {"version": 1}},
    )


async def expire_offer(contract_id: str, *, at: datetime, reason: str) -> ContractDocument | None:
    """Cancel a direct offer whose time is over."""
    changes = {"status": ContractStatus.CANCELLED, "cancelled_at": at, "updated_at": at, "reason": reason}
    return await change(
        ContractDocument,
        {"_id": contract_id, "status": ContractStatus.OFFERED, "offer_expires_at": {"$lte": at}},
        {"$set": changes, "$inc": {"version": 1}},
    )


async def note_reminded(
    contract_id: str, milestone_id: str, *, states: Collection[MilestoneStatus], late: bool
) -> ContractDocument | None:
    """Note that both sides of an active contract hear of a milestone's time, if they have not and it still matters."""
    wanted = {"id": milestone_id, "status": {"$in": list(states)}, "reminded": None if not late else {"$ne": True}}
    return await change(
        ContractDocument,
        {"_id": contract_id, "status": ContractStatus.ACTIVE, "milestones": {"$elemMatch": wanted}},
        {"$set": {"milestones.$.reminded": late}},
    )


async def activate(contract_id: str, *, at: datetime, booking: BookingState | None) -> ContractDocument | None:
    """Make a contract active that both sides have signed."""
    changes = {"status": ContractStatus.ACTIVE, "signed_at": at, "updated_at": at}
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "status": ContractStatus.AWAITING_SIGNATURES,
            "hirer_signature": {"$ne": None},
            "worker_signature": {"$ne": None},
        },
        {"$set": changes | ({"booking": _stored(booking)} if booking else {}), "$inc": {"version": 1}},
    )


async def note_booking(
    contract_id: str, booking_id: str, *, to: BookingStatus, code: str | None, at: datetime
) -> ContractDocument | None:
    """Note what came of a booking, if the contract still waits for that."""
    outcome = present({"booking.status": to, "booking.code": code})
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "status": ContractStatus.ACTIVE,
            "booking.id": booking_id,
            "booking.status": BookingStatus.PENDING,
        },
        {"$set": outcome | {"updated_at": at}, "$inc": {"version": 1}},
    )


async def cancel(
    contract_id: str,
    *,
    party: str,
    sources: Collection[ContractStatus],
    without: Collection[MilestoneStatus],
    at: datetime,
    reason: str | None,
) -> ContractDocument | None:
    """Cancel a contract of this person's, if no milestone is in one of the states `without`."""
    changes = {"status": ContractStatus.CANCELLED, "cancelled_at": at, "cancelled_by": party, "updated_at": at}
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "parties": party,
            "status": {"$in": list(sources)},
            "milestones.status": {"$nin": list(without)},
        },
        {
            "$set": changes | ({"reason": reason} if reason else {}),
            "$unset": {"amendment": ""},
            "$inc": {"version": 1},
        },
    )


async def end(contract_id: str, *, party: str, at: datetime) -> ContractDocument | None:
    """Complete a person's active contract of which part was paid, no money is held and the rest is unfunded."""
    over = [MilestoneStatus.RELEASED, MilestoneStatus.REFUNDED, MilestoneStatus.AGREED]
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "parties": party,
            "status": ContractStatus.ACTIVE,
            "milestones": {"$not": {"$elemMatch": {"status": {"$nin": over}}}},
            "milestones.status": MilestoneStatus.RELEASED,
        },
        {
            "$set": {"status": ContractStatus.COMPLETED, "completed_at": at, "updated_at": at},
            "$unset": {"amendment": ""},
            "$inc": {"version": 1},
        },
    )


async def propose(contract_id: str, *, version: int, amendment: Amendment, at: datetime) -> ContractDocument | None:
    """Put an amendment before the other side, if the contract is active, at this version and has none."""
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "version": version,
            "parties": amendment.proposed_by,
            "status": ContractStatus.ACTIVE,
            "amendment": None,
        },
        {"$set": {"amendment": amendment.model_dump(exclude_none=True), "updated_at": at}, "$inc": {"version": 1}},
    )


async def adopt(
    contract: ContractDocument, *, by: str, at: datetime, booking: BookingState | None
) -> ContractDocument | None:
    """Make the amendment that was read part of the contract; both sides' signatures are then under the new terms."""
    amendment = contract.amendment
    assert amendment is not None  # noqa: S101  # the service looked
    signed = {"terms_hash": amendment.terms_hash}
    proposed = signed | {"user_id": amendment.proposed_by, "signed_at": amendment.proposed_at}
    agreed = signed | {"user_id": by, "signed_at": at}
    other = present(
        {
            "auto_approve_after_days": amendment.auto_approve_after_days,
            "work": None if amendment.work is None else amendment.work.model_dump(),
            "booking": None if booking is None else _stored(booking),
        }
    )
    hirer, worker = (proposed, agreed) if amendment.proposed_by == contract.hirer_id else (agreed, proposed)
    return await change(
        ContractDocument,
        {
            "_id": contract.id,
            "parties": by,
            "status": ContractStatus.ACTIVE,
            "amendment.terms_hash": amendment.terms_hash,
            "amendment.proposed_by": {"$ne": by},
        },
        {
            "$push": {"milestones": {"$each": [one.model_dump(exclude_none=True) for one in amendment.milestones]}},
            "$set": {
                "terms": amendment.terms,
                "terms_hash": amendment.terms_hash,
                "hirer_signature": hirer,
                "worker_signature": worker,
                "updated_at": at,
            }
            | other,
            "$unset": {"amendment": ""},
            "$inc": {"version": 1},
        },
    )


async def drop_amendment(contract_id: str, *, party: str, terms_hash: str, at: datetime) -> ContractDocument | None:
    """Decline an amendment, or take it back."""
    return await change(
        ContractDocument,
        {"_id": contract_id, "parties": party, "amendment.terms_hash": terms_hash},
        {"$unset": {"amendment": ""}, "$set": {"updated_at": at}, "$inc": {"version": 1}},
    )


async def complete(contract_id: str, *, at: datetime) -> ContractDocument | None:
    """Complete an active contract whose milestones are all settled, at least one of them by release."""
    settled = [MilestoneStatus.RELEASED, MilestoneStatus.REFUNDED]
    return await change(
        ContractDocument,
        {
            "_id": contract_id,
            "status": ContractStatus.ACTIVE,
            "milestones": {"$not": {"$elemMatch": {"status": {"$nin": settled}}}},
            "milestones.status": MilestoneStatus.RELEASED,
        },
        {
            "$set": {"status": ContractStatus.COMPLETED, "completed_at": at, "updated_at": at},
            "$unset": {"amendment": ""},
            "$inc": {"version": 1},
        },
    )


async def replace_terms(agreed: ContractDocument, *, party: str, at: datetime) -> ContractDocument | None:
    """Put other terms in place of unsigned ones of the same version; signatures under the old ones are gone."""
    gone = {"hirer_signature": "", "worker_signature": ""} | ({"work": ""} if agreed.work is None else {})
    terms = present(
        {
            "milestones": [one.model_dump(exclude_none=True) for one in agreed.milestones],
            "auto_approve_after_days": agreed.auto_approve_after_days,
            "work": None if agreed.work is None else agreed.work.model_dump(),
            "terms": agreed.terms,
            "terms_hash": agreed.terms_hash,
        }
    )
    return await change(
        ContractDocument,
        {
            "_id": agreed.id,
            "parties": party,
            "version": agreed.version,
            "status": ContractStatus.AWAITING_SIGNATURES,
        },
        {"$set": terms | {"updated_at": at}, "$unset": gone, "$inc": {"version": 1}},
    )


def _stored(booking: BookingState) -> dict[str, Any]:
    return booking.model_dump(exclude_none=True)


async def move_milestone(
    contract_id: str,
    milestone_id: str,
    *,
    sources: Collection[MilestoneStatus],
    to: MilestoneStatus,
    at: datetime,
    changes: Mapping[str, Any] | None = None,
    conditions: Mapping[str, Any] | None = None,
    submission: Submission | None = None,
    submission_count: int | None = None,
) -> ContractDocument | None:
    """Take a milestone to another state, if it is in one of `sources` and the contract fits `conditions`.

    With `submission_count` the milestone must also have that many submissions. A change to None removes the field.
    """
    wanted: dict[str, Any] = {"id": milestone_id, "status": {"$in": list(sources)}}
    if submission_count is not None:
        wanted["submissions"] = {"$size": submission_count}
    fields = {"status": to, **(changes or {})}
    update: dict[str, Any] = {
        "$set": {"updated_at": at} | {f"milestones.$.{name}": v for name, v in fields.items() if v is not None},
        "$inc": {"version": 1},
    }
    if gone := {f"milestones.$.{name}": "" for name, value in fields.items() if value is None}:
        update["$unset"] = gone
    if submission is not None:
        update["$push"] = {"milestones.$.submissions": submission.model_dump(exclude_none=True)}
    return await change(
        ContractDocument,
        {"_id": contract_id, "milestones": {"$elemMatch": wanted}, **(conditions or {})},
        update,
    )
