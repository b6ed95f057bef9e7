"""Applications: workers apply, hirers answer; accepting one makes the contract."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from kelmah.contracts.common import MAX_SAFE_INTEGER, Event, Money, Page
from kelmah.contracts.job import (
    AcceptedApplication,
    ApplicationAccepted,
    ApplicationReceived,
    ApplicationRejected,
    ApplicationShortlisted,
    ApplicationStatus,
    ApplicationView,
    ApplicationWithdrawn,
    Apply,
    InvitationStatus,
    JobStatus,
    ProposedMilestone,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError
from kelmah.kit.ids import new_id
from kelmah.kit.pagination import page
from kelmah.services.job import mapping
from kelmah.services.job.documents import applications as documents
from kelmah.services.job.documents import interest as interest_documents
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.documents.applications import ApplicationDocument, Offer
from kelmah.services.job.documents.base import MoneyValue
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.errors import (
    AlreadyApplied,
    ApplicationNotFound,
    ApplicationsFull,
    DeadlinePassed,
    IllegalStep,
    JobNotFound,
    JobNotOpen,
    OwnJob,
    TurnedDown,
)
from kelmah.services.job.service import words
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.drafting import checked_due, draft_contract
from kelmah.services.job.service.jobs import reject_waiting
from kelmah.services.job.service.paging import position
from kelmah.services.job.service.states import APPLICATION_TRANSITIONS, INVITATION_TRANSITIONS, JOB_TRANSITIONS, sources

#: What the others read when one application was accepted.
ANOTHER_ACCEPTED = "The hirer accepted another application."


async def apply(context: Context, job_id: str, data: Apply, *, by: Principal) -> ApplicationView:
    """Apply to somebody else's open job."""
    words.check_currency(context.settings, "proposedRate", data.proposed_rate)
    letter = words.lines("coverLetter", data.cover_letter, 5_000)
    offers = checked_offers(data.proposed_rate, data.milestones)
    now = clock.now()

    async def change() -> ApplicationView:
        if await documents.has_live_application(job_id, worker_id=by.user_id):
            raise AlreadyApplied
        turned_down = await documents.was_turned_down(job_id, worker_id=by.user_id)
        if turned_down and not await interest_documents.is_awaited(job_id, worker_id=by.user_id):
            raise TurnedDown
        job = await job_documents.count_application(
            job_id, worker_id=by.user_id, most=context.settings.max_applications_per_job, at=now
        )
        if job is None:
            raise await _why_not_apply(job_id, by)
        if job.budget.currency != data.proposed_rate.currency:
            raise BadInput.of("proposedRate.currency", f"must be {job.budget.currency}, as the job's budget")
        application = ApplicationDocument(
            id=new_id(),
            job_id=job_id,
            hirer_id=job.hirer_id,
            worker_id=by.user_id,
            proposed_rate=MoneyValue.of(data.proposed_rate),
            cover_letter=letter,
            milestones=offers or [Offer(title=job.title, amount=data.proposed_rate.amount)],
            created_at=now,
            updated_at=now,
        )
        await documents.insert_application(application)
        await interest_documents.answer_invitation(
            {"job_id": job_id, "worker_id": by.user_id},
            sources=sources(INVITATION_TRANSITIONS, InvitationStatus.APPLIED),
            to=InvitationStatus.APPLIED,
            at=now,
        )
        await _tell(context, ApplicationReceived, application)
        return mapping.application_view(application)

    return await context.mongo.transact(change)


async def get_application(application_id: str, *, by: Principal) -> ApplicationView:
    """An application that the person made or received."""
    application = await documents.get_application(application_id, party=by.user_id)
    if application is None:
        raise ApplicationNotFound
    return mapping.application_view(application)


async def list_job_applications(
    job_id: str, *, by: Principal, status: ApplicationStatus | None, cursor: str | None, limit: int
) -> Page[ApplicationView]:
    """The applications to a job of this hirer, the last first."""
    if await job_documents.get_own_job(job_id, hirer_id=by.user_id) is None:
        raise JobNotFound
    found = await documents.applications_to_job(job_id, status=status, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.application_view, last=lambda one: (one.created_at, one.id))


async def list_own_applications(
    *, by: Principal, status: ApplicationStatus | None, cursor: str | None, limit: int
) -> Page[ApplicationView]:
    """What the worker applied to, the last first."""
    found = await documents.applications_of_worker(by.user_id, status=status, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.application_view, last=lambda one: (one.created_at, one.id))


async def accept(context: Context, application_id: str, *, by: Principal) -> AcceptedApplication:
    """Accept an application: one contract is made, the job is taken, all others are turned down. All or nothing."""

    async def change() -> AcceptedApplication:
        seen = await _received(application_id, by)
        now = clock.now()
        contract_id = new_id()
        # The job comes first: of many who accept at once, all but one end here.
        job = await job_documents.move_job(
            seen.job_id,
            sources=sources(JOB_TRANSITIONS, JobStatus.IN_PROGRESS),
            to=JobStatus.IN_PROGRESS,
            at=now,
            hirer_id=by.user_id,
            changes={"contract_id": contract_id},
        )
        if job is None:
            raise await _why_not_accept(seen, by)
        application = await documents.move_application(
            application_id,
            sources=sources(APPLICATION_TRANSITIONS, ApplicationStatus.ACCEPTED),
            to=ApplicationStatus.ACCEPTED,
            at=now,
            party={"hirer_id": by.user_id},
            changes={"contract_id": contract_id},
        )
        if application is None:
            raise IllegalStep.of("application", seen.status)
        contract = await draft_contract(
            contract_id,
            job,
            worker_id=application.worker_id,
            currency=application.proposed_rate.currency,
            milestones=application.milestones,
            auto_approve_after_days=context.settings.auto_approve_after_days,
            application_id=application.id,
        )
        await reject_waiting(context, job.id, reason=ANOTHER_ACCEPTED)
        event = ApplicationAccepted(
            application_id=application.id,
            job_id=job.id,
            contract_id=contract_id,
            hirer_id=job.hirer_id,
            worker_id=application.worker_id,
        )
        await context.events.append(event, subject=_subject(application.id))
        view = mapping.application_view(application)
        return AcceptedApplication(**asdict(view), contract=mapping.contract_view(contract))

    return await context.mongo.transact(change)


async def shortlist(context: Context, application_id: str, *, by: Principal) -> ApplicationView:
    """Put a received application on the short list."""
    return await _move(
        context, application_id, ApplicationStatus.SHORTLISTED, ApplicationShortlisted, party={"hirer_id": by.user_id}
    )


async def reject(context: Context, application_id: str, *, reason: str | None, by: Principal) -> ApplicationView:
    """Turn a received application down. The worker may apply again only when invited."""
    reason = words.optional_lines("reason", reason, 2_000)
    party = {"hirer_id": by.user_id}
    return await _move(
        context,
        application_id,
        ApplicationStatus.REJECTED,
        ApplicationRejected,
        party=party,
        changes={"turned_down": True} | ({"reason": reason} if reason else {}),
    )


async def withdraw(context: Context, application_id: str, *, by: Principal) -> ApplicationView:
    """Take one's own application back; the worker may apply again."""
    return await _move(
        context, application_id, ApplicationStatus.WITHDRAWN, ApplicationWithdrawn, party={"worker_id": by.user_id}
    )


_Told = type[ApplicationReceived | ApplicationShortlisted | ApplicationRejected | ApplicationWithdrawn]


async def _move(
    context: Context,
    application_id: str,
    to: ApplicationStatus,
    event_type: _Told,
    *,
    party: dict[str, str],
    changes: dict[str, Any] | None = None,
) -> ApplicationView:
    async def change() -> ApplicationView:
        application = await documents.move_application(
            application_id,
            sources=sources(APPLICATION_TRANSITIONS, to),
            to=to,
            at=clock.now(),
            party=party,
            changes=changes,
        )
        if application is None:
            (person,) = party.values()
            seen = await documents.get_application(application_id, party=person)
            raise ApplicationNotFound if seen is None else IllegalStep.of("application", seen.status)
        await _tell(context, event_type, application)
        return mapping.application_view(application)

    return await context.mongo.transact(change)


async def _tell(context: Context, event_type: _Told, application: ApplicationDocument) -> None:
    event: Event = event_type(
        application_id=application.id,
        job_id=application.job_id,
        hirer_id=application.hirer_id,
        worker_id=application.worker_id,
    )
    await context.events.append(event, subject=_subject(application.id))


def _subject(application_id: str) -> str:
    return f"application:{application_id}"


async def _received(application_id: str, by: Principal) -> ApplicationDocument:
    application = await documents.get_application(application_id, party=by.user_id)
    if application is None or application.hirer_id != by.user_id:
        raise ApplicationNotFound
    return application


async def _why_not_accept(seen: ApplicationDocument, by: Principal) -> KelmahError:
    if seen.status not in documents.LIVE:
        return IllegalStep.of("application", seen.status)
    job = await job_documents.get_own_job(seen.job_id, hirer_id=by.user_id)
    return JobNotFound() if job is None else JobNotOpen.of("job", job.status)


async def _why_not_apply(job_id: str, by: Principal) -> KelmahError:
    job: JobDocument | None = await job_documents.get_visible_job(job_id, viewer_id=by.user_id)
    if job is None:
        return JobNotFound()
    if job.hirer_id == by.user_id:
        return OwnJob()
    if job.status is not JobStatus.OPEN:
        return JobNotOpen.of("job", job.status)
    if job.expires_at is not None and job.expires_at <= clock.now():
        return DeadlinePassed()
    return ApplicationsFull()


def checked_offers(whole: Money, milestones: Sequence[ProposedMilestone] | None) -> list[Offer]:
    """The proposed milestones, if any; they sum to the whole."""
    offers = [
        Offer(
            title=words.line(f"milestones[{position}].title", one.title, 120),
            amount=milestone_amount(one, currency=whole.currency, field=f"milestones[{position}].amount"),
            due_at=checked_due(f"milestones[{position}].dueAt", one.due_at),
        )
        for position, one in enumerate(milestones or [])
    ]
    total = sum(offer.amount for offer in offers)
    if offers and total != whole.amount:
        raise BadInput.of("milestones", f"sum to {total}, not to the whole of {whole.amount}")
    return offers


def milestone_amount(milestone: ProposedMilestone, *, currency: str, field: str) -> int:
    """The minor units of a proposed milestone.

    Raises:
        BadInput: it is in another currency than the whole, or too large; names `field`.
    """
    if not isinstance(milestone.amount, Money):
        return milestone.amount
    if milestone.amount.currency != currency:
        raise BadInput.of(f"{field}.currency", f"must be {currency}, as the whole")
    if milestone.amount.amount > MAX_SAFE_INTEGER:
        raise BadInput.of(field, "is too large")
    return milestone.amount.amount
