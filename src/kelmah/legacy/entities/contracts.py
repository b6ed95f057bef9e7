"""Contracts with their milestones."""

from collections.abc import Iterator
from datetime import datetime
from operator import itemgetter

import msgspec

from kelmah.contracts.job import ContractStatus, MilestoneStatus
from kelmah.legacy.database import Row
from kelmah.legacy.entity import Entity, Group, Part, Reference, To, stays
from kelmah.legacy.reading import LeftBehind, Old, Unmappable, major, new_id, old_uuid

CONTRACT_STATUSES = {
    "pending_signature": ContractStatus.AWAITING_SIGNATURES,
    "active": ContractStatus.ACTIVE,
    "completed": ContractStatus.COMPLETED,
    "cancelled": ContractStatus.CANCELLED,
    "archived": ContractStatus.COMPLETED,
}
OLD_CONTRACT_STATUSES = {
    ContractStatus.OFFERED: "pending_signature",
    ContractStatus.AWAITING_SIGNATURES: "pending_signature",
    ContractStatus.ACTIVE: "active",
    ContractStatus.COMPLETED: "completed",
    ContractStatus.CANCELLED: "cancelled",
}
MILESTONE_STATUSES = {
    "pending": MilestoneStatus.AGREED,
    "funded": MilestoneStatus.FUNDED,
    "in_progress": MilestoneStatus.FUNDED,
    "submitted": MilestoneStatus.SUBMITTED,
    "approved": MilestoneStatus.APPROVED,
    "paid": MilestoneStatus.RELEASED,
    "disputed": MilestoneStatus.DISPUTED,
    "refunded": MilestoneStatus.REFUNDED,
}
OLD_MILESTONE_STATUSES = {
    MilestoneStatus.AGREED: "pending",
    MilestoneStatus.FUNDED: "funded",
    MilestoneStatus.SUBMITTED: "submitted",
    MilestoneStatus.CHANGES_REQUESTED: "in_progress",
    MilestoneStatus.APPROVED: "approved",
    MilestoneStatus.RELEASED: "paid",
    MilestoneStatus.DISPUTED: "disputed",
    MilestoneStatus.REFUNDED: "refunded",
}
#: What the latest escrow of a milestone in such a state must be.
_MONEY: dict[MilestoneStatus, set[str | None]] = {
    MilestoneStatus.FUNDED: {"held"},
    MilestoneStatus.SUBMITTED: {"held"},
    MilestoneStatus.APPROVED: {"held"},
    MilestoneStatus.DISPUTED: {"disputed"},
    MilestoneStatus.RELEASED: {"released", "split"},
    MilestoneStatus.REFUNDED: {"refunded", "split"},
    MilestoneStatus.AGREED: {None, "refunded"},
}


class OldMilestone(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a contract."""

    id: str
    title: str
    amount: int
    status: MilestoneStatus
    submitted_at: datetime | None = None
    approved_at: datetime | None = None
    escrow_id: str | None = None


class OldContract(msgspec.Struct, frozen=True, kw_only=True):
    """What two sides agreed on."""

    id: str
    job_id: str
    application_id: str | None
    hirer_id: str
    worker_id: str
    status: ContractStatus
    title: str
    description: str
    currency: str
    milestones: tuple[OldMilestone, ...]
    created_at: datetime
    hirer_signed_at: datetime | None = None
    worker_signed_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    updated_at: datetime | None = None

    def compared(self) -> "OldContract":
        """Without what is remade with each step."""
        return msgspec.structs.replace(self, updated_at=None)


def make_contract(group: Group) -> OldContract:
    row = group.root
    currency = row.currency("currency")
    status = row.choice("status", CONTRACT_STATUSES)
    milestones = tuple(
        one for _, one in sorted(group.rows("milestones", lambda one: _milestone(one, currency)), key=itemgetter(0))
    )
    refused = [one for one in group.outcomes() if one.fate == "refused"]
    if refused:
        raise Unmappable(f"contracts: a milestone cannot be moved: {refused[0].reason}")
    if not milestones:
        raise Unmappable("contracts: there are no milestones")
    if sum(one.amount for one in milestones) != row.minor("total", currency):
        raise row.fault("total", "the milestones do not add up to it")
    over = {MilestoneStatus.RELEASED, MilestoneStatus.REFUNDED, MilestoneStatus.AGREED}
    if status in (ContractStatus.COMPLETED, ContractStatus.CANCELLED) and any(
        one.status not in over for one in milestones
    ):
        raise row.fault("status", "it is over, and a milestone still holds money")
    return OldContract(
        id=row.id("id", "contracts"),
        job_id=row.id("job_id", "jobs"),
        application_id=row.optional_id("application_id", "applications"),
        hirer_id=row.id("hirer_id", "users"),
        worker_id=row.id("worker_id", "users"),
        status=status,
        title=row.line("title", 120),
        description=row.optional_text("description", 10_000) or "",
        currency=currency,
        milestones=milestones,
        created_at=row.instant("created_at"),
        hirer_signed_at=row.soft(lambda: row.optional_instant("hirer_signed_at"), None),
        worker_signed_at=row.soft(lambda: row.optional_instant("worker_signed_at"), None),
        completed_at=row.soft(lambda: row.optional_instant("completed_at"), None),
        cancelled_at=row.soft(lambda: row.optional_instant("cancelled_at"), None),
        updated_at=row.soft(lambda: row.optional_instant("updated_at"), None),
    )


def _milestone(row: Old, currency: str) -> tuple[tuple[int, str], OldMilestone]:
    if row.raw("status") == "cancelled":
        raise LeftBehind("cancelled before any of it was paid")
    status, amount = row.choice("status", MILESTONE_STATUSES), row.minor("amount", currency)
    if amount == 0:
        raise row.fault("amount", "nothing")
    if row.whole("escrows", least=0, most=2**31) > 1:
        raise row.fault("status", "several escrows hold its money or have paid it")
    escrow = row.raw("escrow")
    held, escrow_id, escrow_amount = escrow.split(" ") if escrow else (None, None, None)
    if held not in _MONEY[status]:
        raise row.fault("status", f"{row.raw('status')}, and its escrow is {held or 'not there'}")
    if escrow_amount is not None and row.minor_of("amount", escrow_amount, currency, signed=True) != amount:
        raise row.fault("amount", "its escrow holds another")
    milestone = OldMilestone(
        id=row.id("id", "milestones"),
        title=row.line("title", 120),
        amount=amount,
        status=status,
        submitted_at=row.soft(lambda: row.optional_instant("submitted_at"), None),
        approved_at=row.soft(lambda: row.optional_instant("approved_at"), None),
        escrow_id=new_id("escrows", escrow_id) if escrow_id and held != "refunded" else None,
    )
    return (row.whole("position", least=-(2**31), most=2**31), milestone.id), milestone


def contract_rows(contract: OldContract) -> Iterator[tuple[str, Row]]:
    """As the old tables have it."""
    yield (
        "contracts",
        {
            "id": old_uuid(contract.id),
            "job_id": old_uuid(contract.job_id),
            "application_id": contract.application_id and old_uuid(contract.application_id),
            "hirer_id": old_uuid(contract.hirer_id),
            "worker_id": old_uuid(contract.worker_id),
            "title": contract.title,
            "description": contract.description,
            "total": major(sum(one.amount for one in contract.milestones), contract.currency),
            "currency": contract.currency,
            "status": OLD_CONTRACT_STATUSES[contract.status],
            "hirer_signed_at": contract.hirer_signed_at,
            "worker_signed_at": contract.worker_signed_at,
            "completed_at": contract.completed_at,
            "cancelled_at": contract.cancelled_at,
            "created_at": contract.created_at,
            "updated_at": contract.updated_at,
        },
    )
    for position, one in enumerate(contract.milestones):
        yield (
            "milestones",
            {
                "id": old_uuid(one.id),
                "contract_id": old_uuid(contract.id),
                "position": position,
                "title": one.title,
                "amount": major(one.amount, contract.currency),
                "status": OLD_MILESTONE_STATUSES[one.status],
                "submitted_at": one.submitted_at,
                "approved_at": one.approved_at,
            },
        )


_ESCROW = """SELECT e.status::text || ' ' || e.id::text || ' ' || e.amount::text FROM {escrows} e
WHERE e.milestone_id = t.id ORDER BY e.created_at DESC, e.id LIMIT 1"""
_ESCROWS = "SELECT count(*) FROM {escrows} e WHERE e.milestone_id = t.id AND e.status::text <> 'refunded'"

CONTRACTS = Entity(
    name="contracts",
    service="job",
    make=make_contract,
    rows=contract_rows,
    references=(
        Reference("job_id", "jobs", "job"),
        Reference("hirer_id", "users", "auth"),
        Reference("worker_id", "users", "auth"),
    ),
    root=Part(
        table="contracts",
        columns={
            "id": To("contracts._id", "the UUID without dashes"),
            "job_id": To("contracts.job_id"),
            "application_id": To("contracts.application_id", "none where the contract was made by hand"),
            "hirer_id": To("contracts.hirer_id"),
            "worker_id": To("contracts.worker_id"),
            "title": To("contracts.title"),
            "description": To("contracts.description"),
            "total": To("(checked)", "refused unless the milestones add up to it"),
            "currency": To("contracts.currency"),
            "status": To("contracts.status", "see `CONTRACT_STATUSES`; over with money inside is refused"),
            "hirer_signed_at": To("contracts.hirer_signature.signed_at", "under the terms as they were moved"),
            "worker_signed_at": To("contracts.worker_signature.signed_at", "under the terms as they were moved"),
            "completed_at": To("contracts.completed_at"),
            "cancelled_at": To("contracts.cancelled_at"),
            "created_at": To("contracts.created_at"),
            "updated_at": To("contracts.updated_at"),
        },
    ),
    children=(
        Part(
            table="milestones",
            of="contract_id",
            extra={"escrow": _ESCROW, "escrows": _ESCROWS},
            columns={
                "id": To("contracts.milestones.id"),
                "contract_id": To("contracts._id"),
                "position": To("(order)", "milestones are in this order"),
                "title": To("contracts.milestones.title"),
                "amount": To("contracts.milestones.amount", "minor units; refused unless its escrow has the same"),
                "status": To("contracts.milestones.status", "see `MILESTONE_STATUSES`; must fit its one escrow"),
                "due_on": stays("milestones have no due day"),
                "submitted_at": To("contracts.milestones.submissions", "nothing of before is approved by time alone"),
                "approved_at": To("contracts.milestones.approved_at"),
            },
        ),
    ),
)
