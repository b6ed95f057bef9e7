"""Amendments: one side proposes to change an active contract, and that holds once the other side signs."""

from kelmah.contracts.common import MAX_SAFE_INTEGER
from kelmah.contracts.job import (
    MAX_MILESTONES,
    AmendmentClosed,
    AmendmentProposed,
    ContractStatus,
    ContractView,
    ProposeAmendment,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, PreconditionFailed
from kelmah.kit.ids import new_id
from kelmah.services.job import mapping
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents.base import present
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.parts import Amendment, Milestone
from kelmah.services.job.errors import (
    AmendmentPending,
    ContractNotActive,
    NoAmendment,
    OwnAmendment,
    TermsChanged,
    TooManyMilestones,
)
from kelmah.services.job.service import words
from kelmah.services.job.service.applications import milestone_amount
from kelmah.services.job.service.bookings import book_later, new_booking
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.contracts import own_contract, subject
from kelmah.services.job.service.drafting import checked_due, checked_work, with_terms
from kelmah.services.job.service.reminders import remind_later


async def propose(context: Context, contract_id: str, data: ProposeAmendment, *, by: Principal) -> ContractView:
    """Propose to change an active contract; that signs for one's own side."""
    if not data.milestones and data.auto_approve_after_days is None and data.work is None:
        raise BadInput.of("milestones", "there is nothing to change")
    work = None if data.work is None else checked_work("work", data.work)
    reason = words.lines("reason", data.reason, 2_000)
    titles = [words.line(f"milestones[{at}].title", one.title, 120) for at, one in enumerate(data.milestones)]
    due_dates = [checked_due(f"milestones[{at}].dueAt", one.due_at) for at, one in enumerate(data.milestones)]

    async def change() -> ContractView:
        seen = await own_contract(contract_id, by)
        if seen.status is not ContractStatus.ACTIVE:
            raise ContractNotActive.of("contract", seen.status)
        if seen.amendment is not None:
            raise AmendmentPending
        if len(seen.milestones) + len(titles) > MAX_MILESTONES:
            raise TooManyMilestones(f"A contract has at most {MAX_MILESTONES} milestones.")
        added = [
            Milestone(
                id=new_id(),
                title=title,
                amount=milestone_amount(one, currency=seen.currency, field=f"milestones[{at}].amount"),
                due_at=due_at,
            )
            for at, (title, due_at, one) in enumerate(zip(titles, due_dates, data.milestones, strict=True))
        ]
        if sum(one.amount for one in [*seen.milestones, *added]) > MAX_SAFE_INTEGER:
            raise BadInput.of("milestones", "make the contract's value too large")
        changes = {"auto_approve_after_days": data.auto_approve_after_days, "work": work}
        agreed = with_terms(seen, milestones=[*seen.milestones, *added], **present(changes))
        now = clock.now()
        amendment = Amendment(
            proposed_by=by.user_id,
            proposed_at=now,
            reason=reason,
            milestones=added,
            auto_approve_after_days=data.auto_approve_after_days,
            work=work,
            terms=agreed.terms,
            terms_hash=agreed.terms_hash,
        )
        contract = await documents.propose(contract_id, version=seen.version, amendment=amendment, at=now)
        if contract is None:
            raise PreconditionFailed
        event = AmendmentProposed(
            contract_id=contract_id,
            hirer_id=contract.hirer_id,
            worker_id=contract.worker_id,
            proposed_by=by.user_id,
            terms_hash=agreed.terms_hash,
        )
        await context.events.append(event, subject=subject(contract_id))
        return mapping.contract_view(contract)

    return await context.mongo.transact(change)


async def sign(context: Context, contract_id: str, *, terms_hash: str | None, by: Principal) -> ContractView:
    """Sign the other side's amendment, which then holds."""

    async def change() -> ContractView:
        seen = await own_contract(contract_id, by)
        if seen.amendment is None:
            raise NoAmendment
        if seen.amendment.proposed_by == by.user_id:
            raise OwnAmendment
        if terms_hash not in (None, seen.amendment.terms_hash):
            raise TermsChanged
        booking = new_booking(seen.amendment.work, before=seen.booking)
        contract = await documents.adopt(seen, by=by.user_id, at=clock.now(), booking=booking)
        if contract is None:
            raise ContractNotActive.of("contract", seen.status)
        await book_later(context, contract_id, booking)
        await remind_later(context, contract, seen.amendment.milestones)
        await _tell(context, contract, seen.amendment, by=by, signed=True)
        return mapping.contract_view(contract)

    return await context.mongo.transact(change)


async def drop(context: Context, contract_id: str, *, by: Principal) -> ContractView:
    """Decline the other side's amendment, or take back one's own; the contract stays as it is."""

    async def change() -> ContractView:
        seen = await own_contract(contract_id, by)
        if seen.amendment is None:
            raise NoAmendment
        contract = await documents.drop_amendment(
            contract_id, party=by.user_id, terms_hash=seen.amendment.terms_hash, at=clock.now()
        )
        if contract is None:
            raise NoAmendment
        await _tell(context, contract, seen.amendment, by=by, signed=False)
        return mapping.contract_view(contract)

    return await context.mongo.transact(change)


async def _tell(
    context: Context, contract: ContractDocument, amendment: Amendment, *, by: Principal, signed: bool
) -> None:
    event = AmendmentClosed(
        contract_id=contract.id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        closed_by=by.user_id,
        signed=signed,
        terms_hash=amendment.terms_hash,
    )
    await context.events.append(event, subject=subject(contract.id))
