"""The terms of a contract: what both sides sign, and its digest."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from kelmah.contracts.common import Contract, Money
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents.applications import ApplicationDocument
from kelmah.services.job.documents.contracts import ContractDocument, Milestone
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.service.context import Context


class MilestoneTerms(Contract, frozen=True, kw_only=True):
    """A milestone as it is signed."""

    id: str
    title: str
    amount: Money


class Terms(Contract, frozen=True, kw_only=True):
    """What both sides sign."""

    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    title: str
    description: str
    milestones: list[MilestoneTerms]
    auto_approve_after_days: int
    drafted_at: datetime


def terms_text(contract: ContractDocument, milestones: Sequence[Milestone]) -> tuple[str, str]:
    """The canonical JSON of a contract with these milestones (sorted keys, no white space), and its SHA-256."""
    terms = Terms(
        contract_id=contract.id,
        job_id=contract.job_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        title=contract.title,
        description=contract.description,
        milestones=[
            MilestoneTerms(id=one.id, title=one.title, amount=Money(amount=one.amount, currency=contract.currency))
            for one in milestones
        ],
        auto_approve_after_days=contract.auto_approve_after_days,
        drafted_at=contract.created_at,
    )
    text = msgspec.json.encode(terms, order="sorted")
    return text.decode(), hashlib.sha256(text).hexdigest()


async def draft_contract(
    context: Context, contract_id: str, job: JobDocument, application: ApplicationDocument
) -> ContractDocument:
    """Store the contract of an accepted application; it awaits both signatures. In the open transaction."""
    now = clock.now()
    contract = ContractDocument(
        id=contract_id,
        job_id=job.id,
        application_id=application.id,
        hirer_id=job.hirer_id,
        worker_id=application.worker_id,
        parties=[job.hirer_id, application.worker_id],
        title=job.title,
        description=job.description,
        currency=application.proposed_rate.currency,
        milestones=[Milestone(id=new_id(), title=one.title, amount=one.amount) for one in application.milestones],
        auto_approve_after_days=context.settings.auto_approve_after_days,
        terms="",
        terms_hash="",
        created_at=now,
        updated_at=now,
    )
    contract.terms, contract.terms_hash = terms_text(contract, contract.milestones)
    await documents.insert_contract(contract)
    return contract
