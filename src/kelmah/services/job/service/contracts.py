"""Contracts: reading, signing, cancelling, and their terms while they are unsigned."""

from collections.abc import Collection
from typing import Any

from msgspec import UNSET

from kelmah.contracts.common import MAX_SAFE_INTEGER, Page
from kelmah.contracts.job import (
    MAX_MILESTONES,
    ChangeTerms,
    ContractCancelled,
    ContractCompleted,
    ContractFacts,
    ContractOfferAnswered,
    ContractOfferExpired,
    ContractSigned,
    ContractStatus,
    ContractTermsChanged,
    ContractView,
    JobPaused,
    JobStatus,
    MilestoneList,
    MilestoneStatus,
    MilestoneView,
    ProposedMilestone,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError, PreconditionFailed
from kelmah.kit.ids import new_id
from kelmah.kit.pagination import page
from kelmah.services.job import mapping
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.parts import Milestone
from kelmah.services.job.errors import (
    AlreadySigned,
    ContractHasMoney,
    ContractNotActive,
    ContractNotFound,
    IllegalStep,
    NothingPaid,
    OfferExpired,
    TermsChanged,
    TooManyMilestones,
)
from kelmah.services.job.service import jobs, words
from kelmah.services.job.service.applications import milestone_amount
from kelmah.services.job.service.bookings import book_later, new_booking
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.drafting import checked_due, checked_work, with_terms
from kelmah.services.job.service.paging import position
from kelmah.services.job.service.reminders import remind_later
from kelmah.services.job.service.states import CONTRACT_TRANSITIONS, JOB_TRANSITIONS, WITH_MONEY, sources

#: What both read when a direct offer was not answered in time.
EXPIRED_REASON = "The offer was not answered in time."


async def get_contract(contract_id: str, *, by: Principal) -> ContractView:
    """A contract of which the person is a side."""
    return mapping.contract_view(await own_contract(contract_id, by))


async def contract_facts(contract_id: str) -> ContractFacts:
    """A contract as other services need it."""
    contract = await documents.get_contract(contract_id)
    if contract is None:
        raise ContractNotFound
    return mapping.contract_facts(contract, await job_documents.get_job(contract.job_id))


async def list_contracts(
    *, by: Principal, status: ContractStatus | None, cursor: str | None, limit: int
) -> Page[ContractView]:
    """The person's contracts, the last first."""
    found = await documents.contracts_of(by.user_id, status=status, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.contract_view, last=lambda one: (one.created_at, one.id))


async def list_milestones(contract_id: str, *, by: Principal) -> MilestoneList:
    """All milestones of a contract, in their order."""
    return MilestoneList(items=mapping.contract_view(await own_contract(contract_id, by)).milestones)


async def sign(context: Context, contract_id: str, *, terms_hash: str | None, by: Principal) -> ContractView:
    """Sign the terms for one's side; the second signature makes the contract active."""

    async def change() -> ContractView:
        seen = await own_contract(contract_id, by)
        side = "hirer" if seen.hirer_id == by.user_id else "worker"
        now = clock.now()
        contract = await documents.sign(
            contract_id, side=side, user_id=by.user_id, terms_hash=terms_hash or seen.terms_hash, at=now
        )
        if contract is None:
            raise _why_not_sign(seen, by, terms_hash)
        booking = new_booking(contract.work)
        active = await documents.activate(contract_id, at=now, booking=booking)
        if active is not None:
            await book_later(context, contract_id, booking)
            await remind_later(context, active, active.milestones)
        event = ContractSigned(
            contract_id=contract_id,
            job_id=seen.job_id,
            hirer_id=seen.hirer_id,
            worker_id=seen.worker_id,
            signed_by=by.user_id,
            complete=active is not None,
        )
        await context.events.append(event, subject=subject(contract_id))
        return mapping.contract_view(active or contract)

    return await context.mongo.transact(change)


async def cancel(context: Context, contract_id: str, *, reason: str | None, by: Principal) -> ContractView:
    """End a contract of which no money is held or paid out; its job is paused until the hirer publishes it again."""
    return await _cancel(context, contract_id, CONTRACT_TRANSITIONS.keys(), reason=reason, by=by)


async def take_offer(context: Context, contract_id: str, *, by: Principal) -> ContractView:
    """Take a direct offer; both sides then sign."""

    async def change() -> ContractView:
        contract = await documents.take_offer(contract_id, worker_id=by.user_id, at=clock.now())
        if contract is None:
            seen = await own_contract(contract_id, by)
            raise OfferExpired if seen.status is ContractStatus.OFFERED else IllegalStep.of("contract", seen.status)
        await _tell_answered(context, contract, taken=True)
        return mapping.contract_view(contract)

    return await context.mongo.transact(change)


async def decline_offer(context: Context, contract_id: str, *, reason: str | None, by: Principal) -> ContractView:
    """Decline a direct offer; its job is paused, and the hirer may publish it for all."""
    return await _cancel(context, contract_id, {ContractStatus.OFFERED}, reason=reason, by=by)


async def expire_offer(context: Context, contract_id: str) -> None:
    """End a direct offer that was not answered in time. Run twice, or for one that was answered, it does nothing."""

    async def change() -> None:
        contract = await documents.expire_offer(contract_id, at=clock.now(), reason=EXPIRED_REASON)
        if contract is None:
            return
        event = ContractOfferExpired(
            contract_id=contract_id,
            job_id=contract.job_id,
            hirer_id=contract.hirer_id,
            worker_id=contract.worker_id,
        )
        await context.events.append(event, subject=subject(contract_id))
        await _pause_job(context, contract)

    await context.mongo.transact(change)


async def _tell_answered(context: Context, contract: ContractDocument, *, taken: bool) -> None:
    event = ContractOfferAnswered(
        contract_id=contract.id,
        job_id=contract.job_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        taken=taken,
    )
    await context.events.append(event, subject=subject(contract.id))


async def _cancel(
    context: Context, contract_id: str, states: Collection[ContractStatus], *, reason: str | None, by: Principal
) -> ContractView:
    reason = words.optional_lines("reason", reason, 2_000)

    async def change() -> ContractView:
        now = clock.now()
        contract = await documents.cancel(
            contract_id,
            party=by.user_id,
            sources=sources(CONTRACT_TRANSITIONS, ContractStatus.CANCELLED).intersection(states),
            without=WITH_MONEY,
            at=now,
            reason=reason,
        )
        if contract is None:
            raise await _why_not_cancel(contract_id, states, by)
        if states == {ContractStatus.OFFERED}:
            await _tell_answered(context, contract, taken=False)
        else:
            event = ContractCancelled(
                contract_id=contract_id,
                job_id=contract.job_id,
                hirer_id=contract.hirer_id,
                worker_id=contract.worker_id,
                cancelled_by=by.user_id,
            )
            await context.events.append(event, subject=subject(contract_id))
        await _pause_job(context, contract)
        return mapping.contract_view(contract)

    return await context.mongo.transact(change)


async def _pause_job(context: Context, contract: ContractDocument) -> None:
    """Pause the job of a contract that was just cancelled, in the open transaction."""
    job = await job_documents.move_job(
        contract.job_id,
        sources=sources(JOB_TRANSITIONS, JobStatus.PAUSED) & {JobStatus.IN_PROGRESS},
        to=JobStatus.PAUSED,
        at=clock.now(),
    )
    if job is not None:
        paused = JobPaused(job_id=job.id, hirer_id=job.hirer_id)
        await context.events.append(paused, subject=jobs.subject(job.id))


async def end(context: Context, contract_id: str, *, by: Principal) -> ContractView:
    """End a part-paid contract of which no money is held: what was paid stays paid, what is unfunded falls away."""

    async def change() -> ContractView:
        now = clock.now()
        contract = await documents.end(contract_id, party=by.user_id, at=now)
        if contract is None:
            raise await _why_not_end(contract_id, by)
        await tell_completed(context, contract)
        return mapping.contract_view(contract)

    return await context.mongo.transact(change)


async def tell_completed(context: Context, contract: ContractDocument) -> None:
    """Complete the job of a contract that was just completed and tell of it, in the open transaction."""
    await job_documents.move_job(
        contract.job_id,
        sources=sources(JOB_TRANSITIONS, JobStatus.COMPLETED),
        to=JobStatus.COMPLETED,
        at=clock.now(),
    )
    event = ContractCompleted(
        contract_id=contract.id, job_id=contract.job_id, hirer_id=contract.hirer_id, worker_id=contract.worker_id
    )
    await context.events.append(event, subject=subject(contract.id))


async def add_milestone(context: Context, contract_id: str, data: ProposedMilestone, *, by: Principal) -> MilestoneView:
    """Add a milestone while signatures are awaited. Both sides then sign the new terms."""
    title = words.line("title", data.title, 120)
    due_at = checked_due("dueAt", data.due_at)

    async def change() -> MilestoneView:
        seen = await own_contract(contract_id, by)
        if seen.status is not ContractStatus.AWAITING_SIGNATURES:
            raise IllegalStep.of("contract", seen.status)
        if len(seen.milestones) >= MAX_MILESTONES:
            raise TooManyMilestones(f"A contract has at most {MAX_MILESTONES} milestones.")
        amount = milestone_amount(data, currency=seen.currency, field="amount")
        if amount + sum(one.amount for one in seen.milestones) > MAX_SAFE_INTEGER:
            raise BadInput.of("amount", "makes the contract's value too large")
        milestone = Milestone(id=new_id(), title=title, amount=amount, due_at=due_at)
        await _replace_terms(context, with_terms(seen, milestones=[*seen.milestones, milestone]), by=by)
        return mapping.milestone_view(milestone, currency=seen.currency)

    return await context.mongo.transact(change)


async def change_terms(context: Context, contract_id: str, data: ChangeTerms, *, by: Principal) -> ContractView:
    """Change the days of silence or the dates while signatures are awaited. Both sides then sign the new terms."""
    changes: dict[str, Any] = {}
    if data.auto_approve_after_days is not UNSET:
        changes["auto_approve_after_days"] = data.auto_approve_after_days
    if data.work is not UNSET:
        changes["work"] = None if data.work is None else checked_work("work", data.work)
    if not changes:
        raise BadInput("There is nothing to change.")

    async def change() -> ContractView:
        seen = await own_contract(contract_id, by)
        if seen.status is not ContractStatus.AWAITING_SIGNATURES:
            raise IllegalStep.of("contract", seen.status)
        return mapping.contract_view(await _replace_terms(context, with_terms(seen, **changes), by=by))

    return await context.mongo.transact(change)


async def _replace_terms(context: Context, agreed: ContractDocument, *, by: Principal) -> ContractDocument:
    contract = await documents.replace_terms(agreed, party=by.user_id, at=clock.now())
    if contract is None:
        raise PreconditionFailed
    event = ContractTermsChanged(
        contract_id=contract.id,
        job_id=contract.job_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        changed_by=by.user_id,
        terms_hash=contract.terms_hash,
    )
    await context.events.append(event, subject=subject(contract.id))
    return contract


async def own_contract(contract_id: str, by: Principal) -> ContractDocument:
    """The contract, if the person is one of its sides.

    Raises:
        ContractNotFound: there is none, or it is none of theirs.
    """
    contract = await documents.get_contract(contract_id, party=by.user_id)
    if contract is None:
        raise ContractNotFound
    return contract


def subject(contract_id: str) -> str:
    """What a contract's events are filed under."""
    return f"contract:{contract_id}"


def _why_not_sign(seen: ContractDocument, by: Principal, terms_hash: str | None) -> KelmahError:
    signature = seen.hirer_signature if seen.hirer_id == by.user_id else seen.worker_signature
    if signature is not None:
        return AlreadySigned()
    if seen.status is not ContractStatus.AWAITING_SIGNATURES:
        return IllegalStep.of("contract", seen.status)
    return TermsChanged() if terms_hash is not None else PreconditionFailed()


async def _why_not_end(contract_id: str, by: Principal) -> KelmahError:
    contract = await own_contract(contract_id, by)
    if contract.status is not ContractStatus.ACTIVE:
        return ContractNotActive.of("contract", contract.status)
    if any(one.status is MilestoneStatus.RELEASED for one in contract.milestones):
        return ContractHasMoney("A contract with money in escrow cannot be ended")
    return NothingPaid()


async def _why_not_cancel(contract_id: str, states: Collection[ContractStatus], by: Principal) -> KelmahError:
    contract = await own_contract(contract_id, by)
    if contract.status not in sources(CONTRACT_TRANSITIONS, ContractStatus.CANCELLED).intersection(states):
        return IllegalStep.of("contract", contract.status)
    return ContractHasMoney()
