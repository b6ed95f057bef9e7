"""Jobs, applications and contracts out of the old database, and back into its shape."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from kelmah.contracts.job import ApplicationStatus, ContractStatus, JobStatus
from kelmah.kit.mongo import add_all
from kelmah.legacy.entities.contracts import OldContract, OldMilestone
from kelmah.legacy.entities.jobs import OldApplication, OldJob, OldOffer
from kelmah.legacy.twins import Claims, without_twins
from kelmah.services.job.documents import legacy as documents
from kelmah.services.job.documents.applications import LIVE, ApplicationDocument, Offer
from kelmah.services.job.documents.base import MoneyValue
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.jobs import JobDocument, Place, Point
from kelmah.services.job.documents.parts import Milestone, Signature, Submission
from kelmah.services.job.service import jobs, lexicon, words
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.drafting import terms_text

_LIVE_CONTRACTS = frozenset({ContractStatus.AWAITING_SIGNATURES, ContractStatus.ACTIVE})


async def move_jobs(context: Context, old: Sequence[OldJob]) -> dict[str, str]:
    """Make jobs in the open transaction, and tell of those that cannot be made: id → reason."""
    taken = context.settings.currencies
    refused = {one.id: "jobs.currency: not taken here" for one in old if one.currency not in taken}
    made = [_job(one) for one in old if one.id not in refused]
    for job in made:
        await jobs.complete_moved(context, job)
    await add_all(made)
    return refused


async def after_jobs(context: Context, old: Sequence[OldJob]) -> None:
    """Let searches know the words of jobs that were moved."""
    await lexicon.learn_all([(one.title, one.city) for one in old if one.status is JobStatus.OPEN])


def application_claims(context: Context, one: OldApplication) -> Claims:
    """What no two applications may have."""
    if one.status not in LIVE:
        return {}
    return {f"{one.job_id}:{one.worker_id}": "applications.status: the worker has a live application to this job"}


async def move_applications(context: Context, old: Sequence[OldApplication]) -> dict[str, str]:
    """Make applications in the open transaction, and tell of those that cannot be made: id → reason."""
    live = {f"{job}:{worker}" for job, worker in await documents.live_applications([one.job_id for one in old])}
    made, refused = without_twins(old, partial(application_claims, context), live)
    await add_all([_application(one) for one in made])
    await documents.count_applications(Counter(one.job_id for one in made))
    return refused


def contract_claims(context: Context, one: OldContract) -> Claims:
    """What no two contracts may have."""
    claims = {}
    if one.status in _LIVE_CONTRACTS:
        claims[f"job:{one.job_id}"] = "contracts.job_id: the job has another live contract"
    if one.application_id:
        claims[f"application:{one.application_id}"] = "contracts.application_id: the application has another contract"
    return claims


async def move_contracts(context: Context, old: Sequence[OldContract]) -> dict[str, str]:
    """Make contracts in the open transaction, and tell of those that cannot be made: id → reason."""
    busy, applied = await documents.contracted(
        [one.job_id for one in old], [one.application_id for one in old if one.application_id]
    )
    taken = {f"job:{one}" for one in busy} | {f"application:{one}" for one in applied}
    made, refused = without_twins(old, partial(contract_claims, context), taken)
    await add_all([_contract(context, one) for one in made])
    return refused


async def jobs_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldJob]:
    """Jobs as the old database would have them."""
    return {
        job.id: OldJob(
            id=job.id,
            hirer_id=job.hirer_id,
            status=job.status,
            title=job.title,
            description=job.description,
            category=job.category,
            skills=tuple(job.skills),
            budget=job.budget.amount,
            currency=job.budget.currency,
            city=job.location.city,
            region=job.location.region,
            coordinates=job.location.point.coordinates,
            urgent=job.urgent,
            deadline=job.application_deadline,
            created_at=job.created_at,
            published_at=job.published_at,
            updated_at=job.updated_at,
        )
        for job in await documents.jobs_by_id(ids)
    }


async def applications_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldApplication]:
    """Applications as the old database would have them."""
    return {
        one.id: OldApplication(
            id=one.id,
            job_id=one.job_id,
            hirer_id=one.hirer_id,
            worker_id=one.worker_id,
            status=one.status,
            rate=one.proposed_rate.amount,
            currency=one.proposed_rate.currency,
            cover_letter=one.cover_letter,
            milestones=tuple(OldOffer(title=part.title, amount=part.amount) for part in one.milestones),
            created_at=one.created_at,
            updated_at=one.updated_at,
        )
        for one in await documents.applications_by_id(ids)
    }


async def contracts_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldContract]:
    """Contracts as the old database would have them."""
    return {
        one.id: OldContract(
            id=one.id,
            job_id=one.job_id,
            application_id=one.application_id,
            hirer_id=one.hirer_id,
            worker_id=one.worker_id,
            status=one.status,
            title=one.title,
            description=one.description,
            currency=one.currency,
            milestones=tuple(_milestone_as_old(part) for part in one.milestones),
            created_at=one.created_at,
            hirer_signed_at=one.hirer_signature.signed_at if one.hirer_signature else None,
            worker_signed_at=one.worker_signature.signed_at if one.worker_signature else None,
            completed_at=one.completed_at,
            cancelled_at=one.cancelled_at,
            updated_at=one.updated_at,
        )
        for one in await documents.contracts_by_id(ids)
    }


def _job(old: OldJob) -> JobDocument:
    return JobDocument(
        id=old.id,
        hirer_id=old.hirer_id,
        status=old.status,
        title=old.title,
        description=old.description,
        category=old.category,
        skills=list(old.skills),
        trades=[],
        terms=[],
        budget=MoneyValue(amount=old.budget, currency=old.currency),
        location=Place(
            city=old.city,
            region=old.region,
            region_key=words.region_key(old.region, field="location.region"),
            point=Point(coordinates=old.coordinates),
        ),
        urgent=old.urgent,
        application_deadline=old.deadline,
        created_at=old.created_at,
        updated_at=old.updated_at or old.created_at,
        published_at=old.published_at or (None if old.status is JobStatus.DRAFT else old.created_at),
        contract_id=old.contract_id,
    )


def _application(old: OldApplication) -> ApplicationDocument:
    return ApplicationDocument(
        id=old.id,
        job_id=old.job_id,
        hirer_id=old.hirer_id,
        worker_id=old.worker_id,
        status=old.status,
        proposed_rate=MoneyValue(amount=old.rate, currency=old.currency),
        cover_letter=old.cover_letter,
        milestones=[Offer(title=one.title, amount=one.amount) for one in old.milestones],
        created_at=old.created_at,
        updated_at=old.updated_at or old.created_at,
        contract_id=old.contract_id,
        turned_down=old.status is ApplicationStatus.REJECTED,
    )


def _contract(context: Context, old: OldContract) -> ContractDocument:
    signed = [instant for instant in (old.hirer_signed_at, old.worker_signed_at) if instant]
    contract = ContractDocument(
        id=old.id,
        job_id=old.job_id,
        application_id=old.application_id,
        hirer_id=old.hirer_id,
        worker_id=old.worker_id,
        parties=[old.hirer_id, old.worker_id],
        status=old.status,
        title=old.title,
        description=old.description,
        currency=old.currency,
        milestones=[_milestone(one) for one in old.milestones],
        auto_approve_after_days=context.settings.auto_approve_after_days,
        terms="",
        terms_hash="",
        created_at=old.created_at,
        updated_at=old.updated_at or old.created_at,
        signed_at=max(signed) if old.status is not ContractStatus.AWAITING_SIGNATURES and signed else None,
        completed_at=old.completed_at,
        cancelled_at=old.cancelled_at,
    )
    contract.terms, contract.terms_hash = terms_text(contract)
    for side, user_id, instant in (
        ("hirer_signature", old.hirer_id, old.hirer_signed_at),
        ("worker_signature", old.worker_id, old.worker_signed_at),
    ):
        if instant is not None:
            setattr(contract, side, Signature(user_id=user_id, terms_hash=contract.terms_hash, signed_at=instant))
    return contract


def _milestone(old: OldMilestone) -> Milestone:
    return Milestone(
        id=old.id,
        title=old.title,
        amount=old.amount,
        status=old.status,
        submissions=[Submission(number=1, submitted_at=old.submitted_at)] if old.submitted_at else [],
        approved_at=old.approved_at,
        escrow_id=old.escrow_id,
    )


def _milestone_as_old(one: Milestone) -> OldMilestone:
    return OldMilestone(
        id=one.id,
        title=one.title,
        amount=one.amount,
        status=one.status,
        submitted_at=one.submissions[0].submitted_at if one.submissions else None,
        approved_at=one.approved_at,
        escrow_id=one.escrow_id,
    )
