"""Turns documents into what clients and other services see."""

from collections.abc import Sequence

import msgspec

from kelmah.contracts.common import FieldChange, Location, Money
from kelmah.contracts.job import (
    AmendmentView,
    ApplicationView,
    BookingView,
    ContractFacts,
    ContractKind,
    ContractView,
    CounterOfferView,
    InvitationView,
    JobVersion,
    JobView,
    MilestoneFacts,
    MilestoneOffer,
    MilestoneView,
    SignatureView,
    TemplateView,
    Why,
    WorkPeriod,
)
from kelmah.services.job.documents.applications import ApplicationDocument, Counter, Offer
from kelmah.services.job.documents.base import MoneyValue
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.interest import InvitationDocument
from kelmah.services.job.documents.jobs import JobDocument, JobVersionDocument
from kelmah.services.job.documents.parts import Amendment, Milestone, Window
from kelmah.services.job.documents.search import JobRow
from kelmah.services.job.documents.templates import TemplateDocument


def money(value: MoneyValue | Money) -> Money:
    """Stored money as a contract."""
    return Money(amount=value.amount, currency=value.currency)


def job_view(job: JobDocument | JobRow, *, distance_m: float | None = None, why: list[Why] | None = None) -> JobView:
    """A job as people see it."""
    return JobView(
        id=job.id,
        hirer_id=job.hirer_id,
        status=job.status,
        version=job.version,
        title=job.title,
        description=job.description,
        category=job.category,
        skills=job.skills,
        budget=money(job.budget),
        location=location(job),
        application_count=job.application_count,
        created_at=job.created_at,
        updated_at=job.updated_at,
        published_at=job.published_at,
        urgent=job.urgent,
        application_deadline=job.application_deadline,
        expires_at=job.expires_at,
        distance_km=None if distance_m is None else round(distance_m / 1000, 1),
        why=why,
    )


def job_version(version: JobVersionDocument) -> JobVersion:
    """A job as it read before an edit, and what the edit made of it."""
    before, after = (
        job_view(JobDocument.model_validate(version.job | {"terms": []} | later)) for later in ({}, version.after)
    )
    names = {one.name: one.encode_name for one in msgspec.structs.fields(JobView)}
    return JobVersion(
        version=version.version,
        replaced_at=version.replaced_at,
        changed=version.changed,
        diff=[
            FieldChange(field=names[name], before=getattr(before, name), after=getattr(after, name))
            for name in version.after
        ],
        job=before,
    )


def location(job: JobDocument | JobRow | TemplateDocument) -> Location:
    """Where the work is."""
    return Location(city=job.location.city, region=job.location.region, coordinates=job.location.point.coordinates)


def template_view(template: TemplateDocument) -> TemplateView:
    """A contract template as its hirer sees it."""
    return TemplateView(
        id=template.id,
        version=template.version,
        name=template.name,
        title=template.title,
        description=template.description,
        category=template.category,
        skills=template.skills,
        budget=money(template.budget),
        location=location(template),
        milestones=_offers(template.milestones, template.budget.currency),
        auto_approve_after_days=template.auto_approve_after_days,
        created_at=template.created_at,
        updated_at=template.updated_at,
    )


def application_view(application: ApplicationDocument) -> ApplicationView:
    """An application as its two sides see it."""
    currency = application.proposed_rate.currency
    return ApplicationView(
        id=application.id,
        job_id=application.job_id,
        hirer_id=application.hirer_id,
        worker_id=application.worker_id,
        status=application.status,
        proposed_rate=money(application.proposed_rate),
        cover_letter=application.cover_letter,
        milestones=_offers(application.milestones, currency),
        created_at=application.created_at,
        updated_at=application.updated_at,
        reason=application.reason,
        contract_id=application.contract_id,
        counter_offer=None if application.counter_offer is None else _counter_offer(application.counter_offer),
    )


def _counter_offer(counter: Counter) -> CounterOfferView:
    currency = counter.proposed_rate.currency
    return CounterOfferView(
        id=counter.id,
        proposed_rate=money(counter.proposed_rate),
        milestones=_offers(counter.milestones, currency),
        offered_at=counter.offered_at,
        note=counter.note,
    )


def invitation_view(invitation: InvitationDocument) -> InvitationView:
    """An invitation as its two sides see it."""
    return InvitationView(
        id=invitation.id,
        job_id=invitation.job_id,
        hirer_id=invitation.hirer_id,
        worker_id=invitation.worker_id,
        status=invitation.status,
        note=invitation.note,
        created_at=invitation.created_at,
        updated_at=invitation.updated_at,
    )


def contract_view(contract: ContractDocument) -> ContractView:
    """A contract as its two sides see it."""
    signatures = [one for one in (contract.hirer_signature, contract.worker_signature) if one is not None]
    return ContractView(
        id=contract.id,
        job_id=contract.job_id,
        application_id=contract.application_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        status=contract.status,
        version=contract.version,
        title=contract.title,
        value=Money(amount=sum(one.amount for one in contract.milestones), currency=contract.currency),
        milestones=[milestone_view(one, currency=contract.currency) for one in contract.milestones],
        auto_approve_after_days=contract.auto_approve_after_days,
        work=_work(contract.work),
        booking=None
        if contract.booking is None
        else BookingView(status=contract.booking.status, code=contract.booking.code),
        terms=contract.terms,
        terms_hash=contract.terms_hash,
        signatures=[
            SignatureView(user_id=one.user_id, terms_hash=one.terms_hash, signed_at=one.signed_at) for one in signatures
        ],
        amendment=None if contract.amendment is None else amendment_view(contract.amendment, contract.currency),
        offer_expires_at=contract.offer_expires_at,
        created_at=contract.created_at,
        updated_at=contract.updated_at,
        signed_at=contract.signed_at,
        completed_at=contract.completed_at,
        cancelled_at=contract.cancelled_at,
        cancelled_by=contract.cancelled_by,
        reason=contract.reason,
    )


def amendment_view(amendment: Amendment, currency: str) -> AmendmentView:
    """An amendment as the two sides see it."""
    return AmendmentView(
        proposed_by=amendment.proposed_by,
        proposed_at=amendment.proposed_at,
        reason=amendment.reason,
        milestones=_offers(amendment.milestones, currency),
        auto_approve_after_days=amendment.auto_approve_after_days,
        work=_work(amendment.work),
        terms=amendment.terms,
        terms_hash=amendment.terms_hash,
    )


def _offers(offers: Sequence[Offer | Milestone], currency: str) -> list[MilestoneOffer]:
    return [
        MilestoneOffer(title=one.title, amount=Money(amount=one.amount, currency=currency), due_at=one.due_at)
        for one in offers
    ]


def _work(window: Window | None) -> WorkPeriod | None:
    return None if window is None else WorkPeriod(starts_at=window.starts_at, ends_at=window.ends_at)


def milestone_view(milestone: Milestone, *, currency: str) -> MilestoneView:
    """A milestone as the two sides see it."""
    last = milestone.submissions[-1] if milestone.submissions else None
    return MilestoneView(
        id=milestone.id,
        title=milestone.title,
        amount=Money(amount=milestone.amount, currency=currency),
        status=milestone.status,
        due_at=milestone.due_at,
        submission_count=len(milestone.submissions),
        note=last.note if last else None,
        submitted_at=last.submitted_at if last else None,
        auto_approves_at=milestone.auto_approves_at,
        changes_requested=milestone.changes_requested,
        approved_at=milestone.approved_at,
        auto_approved=milestone.auto_approved,
        escrow_id=milestone.escrow_id,
    )


def contract_facts(contract: ContractDocument, job: JobDocument | None) -> ContractFacts:
    """A contract as other services need it."""
    return ContractFacts(
        id=contract.id,
        job_id=contract.job_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        status=contract.status,
        milestones=[
            MilestoneFacts(
                id=one.id,
                title=one.title,
                amount=Money(amount=one.amount, currency=contract.currency),
                status=one.status,
            )
            for one in contract.milestones
        ],
        trade=job.category if job else None,
        region=job.location.region if job else None,
        kind=ContractKind.SINGLE if len(contract.milestones) == 1 else ContractKind.MILESTONES,
    )
