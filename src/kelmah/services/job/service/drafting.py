"""The terms of a contract: what both sides sign, and its digest."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kelmah.contracts.common import Contract, Money
from kelmah.contracts.job import ContractStatus, WorkWindow
from kelmah.kit import clock
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents.applications import Offer
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.documents.parts import Milestone, Window

#: How far ahead work may start.
MAX_AHEAD = timedelta(days=365)
#: How long it may last; the user service books no more at once.
MAX_WORK = timedelta(days=366)


class MilestoneTerms(Contract, frozen=True, kw_only=True, omit_defaults=True):
    """A milestone as it is signed."""

    id: str
    title: str
    amount: Money
    due_at: datetime | None = None


class WorkTerms(Contract, frozen=True, kw_only=True):
    """When the work is done, as it is signed."""

    starts_at: datetime
    ends_at: datetime


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
    work: WorkTerms | None
    drafted_at: datetime


def with_terms(contract: ContractDocument, **changes: Any) -> ContractDocument:
    """A copy of the contract with these changes, and the terms as they then read."""
    agreed: ContractDocument = contract.model_copy(update=changes)
    agreed.terms, agreed.terms_hash = terms_text(agreed)
    return agreed


def terms_text(contract: ContractDocument) -> tuple[str, str]:
    """The canonical JSON of what a contract says (sorted keys, no white space), and its SHA-256."""
    work = contract.work
    terms = Terms(
        contract_id=contract.id,
        job_id=contract.job_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        title=contract.title,
        description=contract.description,
        milestones=[
            MilestoneTerms(
                id=one.id,
                title=one.title,
                amount=Money(amount=one.amount, currency=contract.currency),
                due_at=one.due_at,
            )
            for one in contract.milestones
        ],
        auto_approve_after_days=contract.auto_approve_after_days,
        work=None if work is None else WorkTerms(starts_at=work.starts_at, ends_at=work.ends_at),
        drafted_at=contract.created_at,
    )
    text = msgspec.json.encode(terms, order="sorted")
    return text.decode(), hashlib.sha256(text).hexdigest()


async def draft_contract(
    contract_id: str,
    job: JobDocument,
    *,
    worker_id: str,
    currency: str,
    milestones: Sequence[Offer],
    auto_approve_after_days: int,
    status: ContractStatus = ContractStatus.AWAITING_SIGNATURES,
    application_id: str | None = None,
    work: Window | None = None,
    offer_slot: int | None = None,
    offer_expires_at: datetime | None = None,
) -> ContractDocument:
    """Store the contract for a job. In the open transaction."""
    now = clock.now()
    contract = ContractDocument(
        id=contract_id,
        job_id=job.id,
        application_id=application_id,
        hirer_id=job.hirer_id,
        worker_id=worker_id,
        parties=[job.hirer_id, worker_id],
        status=status,
        title=job.title,
        description=job.description,
        currency=currency,
        milestones=[Milestone(id=new_id(), **one.model_dump()) for one in milestones],
        auto_approve_after_days=auto_approve_after_days,
        work=work,
        offer_slot=offer_slot,
        offer_expires_at=offer_expires_at,
        terms="",
        terms_hash="",
        created_at=now,
        updated_at=now,
    )
    contract = with_terms(contract)
    await documents.insert_contract(contract)
    return contract


def checked_work(field: str, window: WorkWindow) -> Window:
    """When the work is done, in the precision of the database.

    Raises:
        BadInput: it is over before it starts, starts in the past or more than a year ahead, or lasts too long.
    """
    now = clock.now()
    starts_at, ends_at = (_stored(one) for one in (window.starts_at, window.ends_at))
    if not now < starts_at <= now + MAX_AHEAD:
        raise BadInput.of(f"{field}.startsAt", f"must be in the future, at most {MAX_AHEAD.days} days")
    if not starts_at < ends_at <= starts_at + MAX_WORK:
        raise BadInput.of(f"{field}.endsAt", f"must be after startsAt, by at most {MAX_WORK.days} days")
    return Window(starts_at=starts_at, ends_at=ends_at)


def checked_due(field: str, due_at: datetime | None) -> datetime | None:
    """When a milestone is to be handed in, in the precision of the database.

    Raises:
        BadInput: that is in the past, or more than a year ahead.
    """
    if due_at is None:
        return None
    now, due_at = clock.now(), _stored(due_at)
    if not now < due_at <= now + MAX_AHEAD:
        raise BadInput.of(field, f"must be in the future, at most {MAX_AHEAD.days} days")
    return due_at


def _stored(instant: datetime) -> datetime:
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
