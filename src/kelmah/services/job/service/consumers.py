"""What the job service does about events of the payment service."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from kelmah.contracts.events import Envelope
from kelmah.contracts.job import MilestoneMoneyState
from kelmah.contracts.payment import (
    DisputeEvent,
    DisputeRaised,
    DisputeResolved,
    DisputeWithdrawn,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
)
from kelmah.kit.errors import NotFound
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.milestones import note_dispute, note_money, pay_approved

log = structlog.get_logger(__name__)

_MoneyEvent = EscrowFunded | EscrowReleased | EscrowRefunded | DisputeEvent


async def on_escrow_funded(context: Context, envelope: Envelope, event: EscrowFunded) -> None:
    """Work on the milestone may start."""
    await _note(context, "job.note_escrow_funded", envelope, event, MilestoneMoneyState.FUNDED)


async def on_escrow_released(context: Context, envelope: Envelope, event: EscrowReleased) -> None:
    """The worker was paid: in part, which changes nothing yet, or all of it."""
    if event.held_amount:
        return
    await _note(context, "job.note_escrow_released", envelope, event, MilestoneMoneyState.RELEASED)


async def on_escrow_refunded(context: Context, envelope: Envelope, event: EscrowRefunded) -> None:
    """The hirer has the money back; of a milestone that was paid in part, the rest."""
    state = MilestoneMoneyState.RELEASED if event.released_amount else MilestoneMoneyState.REFUNDED
    await _note(context, "job.note_escrow_refunded", envelope, event, state)


async def on_dispute_raised(context: Context, envelope: Envelope, event: DisputeRaised) -> None:
    """The milestone stands still until a ruling."""
    await _note_dispute(context, "job.note_dispute_raised", envelope, event, is_open=True)


async def on_dispute_withdrawn(context: Context, envelope: Envelope, event: DisputeWithdrawn) -> None:
    """The milestone goes on where it stood; if its work was approved, it is paid for."""
    await _note_dispute(context, "job.note_dispute_withdrawn", envelope, event, is_open=False)
    await pay_approved(context, event.contract_id, event.milestone_id)


async def on_dispute_resolved(context: Context, envelope: Envelope, event: DisputeResolved) -> None:
    """A ruling settles the milestone: released if the worker got any of the money, else refunded."""
    state = MilestoneMoneyState.RELEASED if event.worker_amount else MilestoneMoneyState.REFUNDED
    await _note(context, "job.note_dispute_resolved", envelope, event, state)


async def _note(
    context: Context, consumer: str, envelope: Envelope, event: _MoneyEvent, state: MilestoneMoneyState
) -> None:
    await _follow(context, consumer, envelope, event, partial(note_money, state=state))


async def _note_dispute(
    context: Context, consumer: str, envelope: Envelope, event: DisputeEvent, *, is_open: bool
) -> None:
    note = partial(note_dispute, is_open=is_open, sequence=envelope.sequence)
    await _follow(context, consumer, envelope, event, note)


async def _follow(
    context: Context, consumer: str, envelope: Envelope, event: _MoneyEvent, note: Callable[..., Awaitable[None]]
) -> None:
    async def effect() -> None:
        try:
            await note(context, event.contract_id, event.milestone_id, escrow_id=event.escrow_id)
        except NotFound:
            # Contracts are never deleted, so a retry would not find it either.
            log.error("milestone.money_of_nothing", contract=event.contract_id, milestone=event.milestone_id)

    await context.events.consume(consumer, envelope.id, effect)
