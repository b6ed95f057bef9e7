"""What happens next under a contract, and when: who is to act, and what happens by itself if nobody does."""

from collections.abc import Iterator

from kelmah.contracts.job import BookingStatus, ContractStatus, MilestoneStatus, NextStep, NextSteps
from kelmah.kit.context import Principal
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.parts import Milestone
from kelmah.services.job.service.contracts import own_contract
from kelmah.services.job.service.reminders import UNDONE

#: Milestone status → who acts, on what, and in words. What is settled is not here.
_STEPS = {
    MilestoneStatus.AGREED: ("hirer", "fund", "The hirer funds the milestone; only then the work starts."),
    MilestoneStatus.FUNDED: ("worker", "submit", "The worker does the work and hands it in."),
    MilestoneStatus.SUBMITTED: ("hirer", "answer", "The hirer approves the work or asks for changes."),
    MilestoneStatus.CHANGES_REQUESTED: ("worker", "submit", "The worker makes the changes and hands in again."),
    MilestoneStatus.APPROVED: ("nobody", "release", "The money is being released to the worker."),
    MilestoneStatus.DISPUTED: ("nobody", "resolve_dispute", "The money stands still until the dispute is resolved."),
}


_REFUSED = "The worker is not free at the agreed time: agree another time by an amendment, or cancel."


async def next_steps(contract_id: str, *, by: Principal) -> NextSteps:
    """What happens next, for either side of the contract."""
    contract = await own_contract(contract_id, by)
    found = list(_steps(contract))
    return NextSteps(items=sorted(found, key=lambda step: (step.at is None, step.at and step.at.timestamp())))


def _steps(contract: ContractDocument) -> Iterator[NextStep]:
    if contract.status is ContractStatus.OFFERED:
        yield NextStep(
            by="worker",
            action="answer_offer",
            text="The worker accepts or declines the offer, or it expires.",
            at=contract.offer_expires_at,
        )
    if contract.status is ContractStatus.AWAITING_SIGNATURES:
        for side, signature in (("hirer", contract.hirer_signature), ("worker", contract.worker_signature)):
            if signature is None:
                yield NextStep(by=side, action="sign", text=f"The {side} signs the terms.")
    if contract.status is not ContractStatus.ACTIVE:
        return
    if contract.amendment is not None:
        other = "worker" if contract.amendment.proposed_by == contract.hirer_id else "hirer"
        yield NextStep(by=other, action="answer_amendment", text=f"The {other} signs or declines the amendment.")
    if contract.booking is not None and contract.booking.status is BookingStatus.REFUSED:
        for side in ("hirer", "worker"):
            yield NextStep(by=side, action="agree_dates", text=_REFUSED)
    for milestone in contract.milestones:
        yield from _of_milestone(milestone)


def _of_milestone(milestone: Milestone) -> Iterator[NextStep]:
    step = _STEPS.get(milestone.status)
    if step is None:
        return
    by, action, text = step
    at = milestone.due_at if milestone.status in UNDONE else None
    yield NextStep(by=by, action=action, text=text, milestone_id=milestone.id, at=at)
    if milestone.auto_approves_at is not None:
        yield NextStep(
            by="nobody",
            action="auto_approve",
            text="Without an answer until then the work counts as approved and is paid.",
            milestone_id=milestone.id,
            at=milestone.auto_approves_at,
        )
