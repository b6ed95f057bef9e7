"""Reminders of milestones with a due date: a day before, and when the time is over."""

from collections.abc import Iterable
from datetime import timedelta

from kelmah.contracts.job import MilestoneDue, MilestoneStatus
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.parts import Milestone
from kelmah.services.job.service.context import Context

#: The actor that reminds.
REMIND = "job.remind_milestone"
#: How long before its time both sides hear of a milestone.
BEFORE = timedelta(days=1)
#: While a milestone is in one of these, the worker, or the hirer's funding, is awaited.
UNDONE = frozenset({MilestoneStatus.AGREED, MilestoneStatus.FUNDED, MilestoneStatus.CHANGES_REQUESTED})


async def remind_later(context: Context, contract: ContractDocument, milestones: Iterable[Milestone]) -> None:
    """Have both sides of an active contract reminded of these milestones, in the open transaction."""
    for one in milestones:
        if one.due_at is None:
            continue
        for late, due in (("", one.due_at - BEFORE), ("late", one.due_at)):
            key = f"remind-milestone:{contract.id}:{one.id}:{late}"
            await context.timers.set(key, REMIND, [contract.id, one.id, late], due=due)


async def remind_milestone(context: Context, contract_id: str, milestone_id: str, late: str) -> None:
    """Tell both sides of a milestone's time, if it is not handed in. Run twice, it tells once."""

    async def change() -> None:
        contract = await documents.note_reminded(contract_id, milestone_id, states=UNDONE, late=bool(late))
        if contract is None:
            return
        event = MilestoneDue(
            contract_id=contract_id,
            milestone_id=milestone_id,
            hirer_id=contract.hirer_id,
            worker_id=contract.worker_id,
            late=bool(late),
        )
        await context.events.append(event, subject=f"contract:{contract_id}")

    await context.mongo.transact(change)
