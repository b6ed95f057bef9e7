"""Milestones: work is handed in, answered, approved; and what payment tells of their money."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

from kelmah.contracts.job import (
    CancelledContractFunded,
    ContractStatus,
    MilestoneApproved,
    MilestoneChangesRequested,
    MilestoneMoneyState,
    MilestoneStatus,
    MilestoneSubmitted,
    MilestoneView,
)
from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import Conflict, KelmahError
from kelmah.services.job import mapping
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.parts import Milestone, Submission
from kelmah.services.job.errors import (
    ContractNotActive,
    ContractNotFound,
    IllegalStep,
    MilestoneNotFound,
    MilestoneNotFunded,
)
from kelmah.services.job.service import words
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.contracts import own_contract, subject, tell_completed
from kelmah.services.job.service.states import (
    BY_MONEY_STATE,
    MILESTONE_TRANSITIONS,
    sources,
)

log = structlog.get_logger(__name__)

#: The actor that approves work after the hirer's silence.
AUTO_APPROVE = "job.auto_approve_milestone"
#: What the answer of payment says about the money; `settled` may mean either and is left to the event.
_BY_ESCROW = {
    EscrowStatus.FUNDED: MilestoneMoneyState.FUNDED,
    EscrowStatus.REFUNDED: MilestoneMoneyState.REFUNDED,
    EscrowStatus.RELEASED: MilestoneMoneyState.RELEASED,
}


async def submit(
    context: Context, contract_id: str, milestone_id: str, *, note: str | None, by: Principal
) -> MilestoneView:
    """Hand in the work of a funded milestone. The hirer's silence approves it after the agreed days."""
    note = words.optional_lines("note", note, 2_000)

    async def change() -> MilestoneView:
        seen = await own_contract(contract_id, by)
        before = _milestone(seen, milestone_id)
        now = clock.now()
        number = len(before.submissions) + 1
        contract = await _step(
            contract_id,
            milestone_id,
            MilestoneStatus.SUBMITTED,
            conditions={"worker_id": by.user_id},
            changes={"auto_approves_at": now + timedelta(days=seen.auto_approve_after_days)},
            submission=Submission(number=number, note=note, submitted_at=now),
            submission_count=number - 1,
        )
        if contract is None:
            if before.status is MilestoneStatus.AGREED:
                raise MilestoneNotFunded.of("milestone", before.status)
            raise _why_not(seen, before)
        await _silence(context, contract, milestone_id)
        event = MilestoneSubmitted(
            contract_id=contract_id,
            milestone_id=milestone_id,
            hirer_id=contract.hirer_id,
            worker_id=contract.worker_id,
        )
        await context.events.append(event, subject=subject(contract_id))
        return _view(contract, milestone_id)

    return await context.mongo.transact(change)


async def request_changes(
    context: Context, contract_id: str, milestone_id: str, *, reason: str, by: Principal
) -> MilestoneView:
    """Send submitted work back to the worker, and say what is to change."""
    reason = words.lines("reason", reason, 2_000)

    async def change() -> MilestoneView:
        seen = await own_contract(contract_id, by)
        before = _milestone(seen, milestone_id)
        contract = await _step(
            contract_id,
            milestone_id,
            MilestoneStatus.CHANGES_REQUESTED,
            conditions={"hirer_id": by.user_id},
            changes={"changes_requested": reason, "auto_approves_at": None},
        )
        if contract is None:
            raise _why_not(seen, before)
        await context.timers.cancel(_timer_key(contract_id, milestone_id, len(before.submissions)))
        event = MilestoneChangesRequested(
            contract_id=contract_id,
            milestone_id=milestone_id,
            hirer_id=contract.hirer_id,
            worker_id=contract.worker_id,
        )
        await context.events.append(event, subject=subject(contract_id))
        return _view(contract, milestone_id)

    return await context.mongo.transact(change)


async def approve(context: Context, contract_id: str, milestone_id: str, *, by: Principal) -> MilestoneView:
    """Accept submitted work and have its escrow released.

    Raises:
        Conflict: payment refuses the release, for instance because a dispute was raised. The approval stands.
    """

    async def change() -> None:
        seen = await own_contract(contract_id, by)
        before = _milestone(seen, milestone_id)
        contract = await _approve(
            context, seen, milestone_id, conditions={"hirer_id": by.user_id}, number=None, auto_approved=False
        )
        if contract is None:
            raise _why_not(seen, before)

    await context.mongo.transact(change)
    await _release(context, contract_id, milestone_id)
    return _view(await own_contract(contract_id, by), milestone_id)


async def auto_approve_milestone(context: Context, contract_id: str, milestone_id: str, number: str) -> None:
    """Approve the submission `number` if the hirer has not answered it. Run twice, it approves once."""

    async def change() -> bool:
        seen = await documents.get_contract(contract_id)
        if seen is None or seen.milestone(milestone_id) is None:
            return False
        approved = await _approve(context, seen, milestone_id, conditions={}, number=int(number), auto_approved=True)
        return approved is not None

    if not await context.mongo.transact(change):
        log.info("milestone.auto_approval_moot", contract=contract_id, milestone=milestone_id)
        return
    try:
        await _release(context, contract_id, milestone_id)
    except Conflict as error:
        log.warning("milestone.release_refused", contract=contract_id, milestone=milestone_id, code=error.code)


async def note_money(
    context: Context, contract_id: str, milestone_id: str, *, state: MilestoneMoneyState, escrow_id: str
) -> None:
    """Follow payment's news of a milestone's money. Said twice or out of order, the end is the same.

    Raises:
        ContractNotFound: there is no such contract.
        MilestoneNotFound: it has no such milestone.
    """
    to = BY_MONEY_STATE[state]

    async def change() -> None:
        now = clock.now()
        contract = await documents.move_milestone(
            contract_id,
            milestone_id,
            sources=sources(MILESTONE_TRANSITIONS, to),
            to=to,
            at=now,
            changes={"escrow_id": escrow_id, "auto_approves_at": None, "before_dispute": None},
        )
        if contract is None:
            seen = await documents.get_contract(contract_id)
            if seen is None:
                raise ContractNotFound
            _milestone(seen, milestone_id)
            return  # it is there already, or further on
        await _silence(context, contract, milestone_id)
        if to is MilestoneStatus.FUNDED:
            await _tell_if_cancelled(context, contract, milestone_id)
        await _complete(context, contract)

    await context.mongo.transact(change)


async def note_dispute(
    context: Context, contract_id: str, milestone_id: str, *, is_open: bool, sequence: int, escrow_id: str
) -> None:
    """A dispute froze a milestone's money, or was withdrawn; the latest news counts, in whatever order it comes.

    What is unfrozen is as it was, and the hirer's days to answer begin anew.

    Raises:
        ContractNotFound: there is no such contract.
        MilestoneNotFound: it has no such milestone.
    """

    async def change() -> None:
        seen = await documents.get_contract(contract_id)
        if seen is None:
            raise ContractNotFound
        before = _milestone(seen, milestone_id)
        if before.dispute_sequence >= sequence:
            return
        to, now = before.status, clock.now()
        changes: dict[str, Any] = {"dispute_sequence": sequence, "escrow_id": escrow_id}
        if is_open and MilestoneStatus.DISPUTED in MILESTONE_TRANSITIONS[before.status]:
            to = MilestoneStatus.DISPUTED
            # News of the funding may come later, and then changes nothing.
            was = MilestoneStatus.FUNDED if before.status is MilestoneStatus.AGREED else before.status
            changes |= {"before_dispute": was, "auto_approves_at": None}
        elif not is_open and before.status is MilestoneStatus.DISPUTED:
            to = before.before_dispute or MilestoneStatus.FUNDED
            changes |= {"before_dispute": None}
            if to is MilestoneStatus.SUBMITTED:
                changes |= {"auto_approves_at": now + timedelta(days=seen.auto_approve_after_days)}
        contract = await documents.move_milestone(
            contract_id, milestone_id, sources=[before.status], to=to, at=now, changes=changes
        )
        if contract is None or to is before.status:
            return
        await _silence(context, contract, milestone_id)
        if not is_open:
            await _tell_if_cancelled(context, contract, milestone_id)

    await context.mongo.transact(change)


async def pay_approved(context: Context, contract_id: str, milestone_id: str) -> None:
    """Have approved work paid for whose money was frozen when it was approved.

    Raises:
        KelmahError: payment cannot be reached; to be tried again.
    """
    contract = await documents.get_contract(contract_id)
    milestone = contract and contract.milestone(milestone_id)
    if milestone is None or milestone.status is not MilestoneStatus.APPROVED:
        return
    try:
        await context.payment.release_milestone(contract_id=contract_id, milestone_id=milestone_id)
    except Conflict as error:
        log.warning("milestone.release_refused", contract=contract_id, milestone=milestone_id, code=error.code)


async def _silence(context: Context, contract: ContractDocument, milestone_id: str) -> None:
    """Have the hirer's silence approve submitted work when its days are over; take the timer away from all else."""
    milestone = _milestone(contract, milestone_id)
    number = len(milestone.submissions)
    key = _timer_key(contract.id, milestone_id, number)
    if milestone.auto_approves_at is not None:
        args = [contract.id, milestone_id, str(number)]
        await context.timers.set(key, AUTO_APPROVE, args, due=milestone.auto_approves_at)
    elif number:
        await context.timers.cancel(key)


async def _tell_if_cancelled(context: Context, contract: ContractDocument, milestone_id: str) -> None:
    """Say that there is money for a contract that is cancelled: that cancellation found none to give back."""
    if contract.status is not ContractStatus.CANCELLED:
        return
    event = CancelledContractFunded(
        contract_id=contract.id,
        milestone_id=milestone_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
    )
    await context.events.append(event, subject=subject(contract.id))


async def _approve(
    context: Context,
    seen: ContractDocument,
    milestone_id: str,
    *,
    conditions: Mapping[str, Any],
    number: int | None,
    auto_approved: bool,
) -> ContractDocument | None:
    contract = await _step(
        seen.id,
        milestone_id,
        MilestoneStatus.APPROVED,
        conditions=conditions,
        changes={"approved_at": clock.now(), "auto_approved": auto_approved, "auto_approves_at": None},
        submission_count=number,
    )
    if contract is None:
        return None
    milestone = _milestone(contract, milestone_id)
    await context.timers.cancel(_timer_key(contract.id, milestone_id, len(milestone.submissions)))
    event = MilestoneApproved(
        contract_id=contract.id,
        milestone_id=milestone_id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        amount=mapping.milestone_view(milestone, currency=contract.currency).amount,
    )
    await context.events.append(event, subject=subject(contract.id))
    return contract


async def _release(context: Context, contract_id: str, milestone_id: str) -> None:
    """Ask payment to release at once. If it cannot be reached, it still hears of the approval by the event."""
    try:
        escrow = await context.payment.release_milestone(contract_id=contract_id, milestone_id=milestone_id)
    except Conflict:
        raise
    except KelmahError as error:
        log.warning("milestone.release_deferred", contract=contract_id, milestone=milestone_id, code=error.code)
        return
    state = _BY_ESCROW.get(escrow.status)
    if state is not None:
        await note_money(context, contract_id, milestone_id, state=state, escrow_id=escrow.id)


async def _complete(context: Context, contract: ContractDocument) -> None:
    """Complete the contract and its job if all milestones are settled, in the open transaction."""
    completed = await documents.complete(contract.id, at=clock.now())
    if completed is not None:
        await tell_completed(context, completed)


async def _step(
    contract_id: str,
    milestone_id: str,
    to: MilestoneStatus,
    *,
    conditions: Mapping[str, Any],
    changes: Mapping[str, Any],
    submission: Submission | None = None,
    submission_count: int | None = None,
) -> ContractDocument | None:
    """One step of the work, on an active contract only."""
    return await documents.move_milestone(
        contract_id,
        milestone_id,
        sources=sources(MILESTONE_TRANSITIONS, to),
        to=to,
        at=clock.now(),
        changes=changes,
        conditions={"status": ContractStatus.ACTIVE, **conditions},
        submission=submission,
        submission_count=submission_count,
    )


def _why_not(contract: ContractDocument, milestone: Milestone) -> KelmahError:
    if contract.status is not ContractStatus.ACTIVE:
        return ContractNotActive.of("contract", contract.status)
    return IllegalStep.of("milestone", milestone.status)


def _milestone(contract: ContractDocument, milestone_id: str) -> Milestone:
    milestone = contract.milestone(milestone_id)
    if milestone is None:
        raise MilestoneNotFound
    return milestone


def _view(contract: ContractDocument, milestone_id: str) -> MilestoneView:
    return mapping.milestone_view(_milestone(contract, milestone_id), currency=contract.currency)


def _timer_key(contract_id: str, milestone_id: str, number: int) -> str:
    return f"auto-approve:{contract_id}:{milestone_id}:{number}"
