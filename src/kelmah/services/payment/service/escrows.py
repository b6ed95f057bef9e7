"""Escrow: a milestone's money is held, and leaves by release, refund or ruling, once."""

from collections.abc import Callable

import structlog

from kelmah.contracts.common import Money, Page, Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import (
    CancelledContractFunded,
    ContractCancelled,
    MilestoneApproved,
    MilestoneMoneyState,
)
from kelmah.contracts.payment import (
    EscrowFacts,
    EscrowStatus,
    EscrowView,
    ReleaseEscrow,
)
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, Forbidden, KelmahError
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import EscrowDocument
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.errors import EscrowDisputed, EscrowNotFound, EscrowNotFunded
from kelmah.services.payment.service import holdings, pages
from kelmah.services.payment.service.context import Context

log = structlog.get_logger(__name__)

STAFF = frozenset({Role.SUPPORT, Role.ADMIN})
RELEASE_CONSUMER = "payment.release_escrow"
REFUND_CONSUMER = "payment.refund_contract"


async def get_escrow(context: Context, escrow_id: str, *, by: Principal) -> EscrowView:
    """An escrow that one is a side of; any for support."""
    escrow = await documents.find_escrow(escrow_id, seen_by=sees(by))
    if escrow is None:
        raise EscrowNotFound
    return mapping.escrow_view(escrow)


async def list_escrows(
    context: Context, *, by: Principal, contract_id: str | None, cursor: str | None, limit: int
) -> Page[EscrowView]:
    """Escrows that one is a side of, the latest first; all for support."""
    before = pages.start(cursor)
    found = await documents.list_escrows(sees(by), contract_id=contract_id, before=before, limit=limit + 1)
    return pages.page(found, limit, mapping.escrow_view)


async def release_escrow(context: Context, escrow_id: str, request: ReleaseEscrow, *, by: Principal) -> EscrowView:
    """Pay an escrow, or a part of it, out to the worker; for its hirer."""
    amount = request.amount

    async def change() -> EscrowDocument:
        where = {"hirer_id": by.user_id} | ({"currency": amount.currency} if amount else {})
        escrow = await holdings.release(context, escrow_id, amount=amount.amount if amount else None, where=where)
        if escrow is None:
            raise await _why_not_released(escrow_id, amount, by=by)
        await context.idempotency.remember(mapping.escrow_view(escrow), status=200)
        return escrow

    seen = await documents.find_escrow(escrow_id, seen_by=by.user_id)
    async with context.lanes.hold(seen.worker_id if seen else by.user_id):
        escrow = await context.mongo.transact(change)
    if escrow.status is EscrowStatus.RELEASED:
        await tell_job(context, escrow, MilestoneMoneyState.RELEASED)
    return mapping.escrow_view(escrow)


async def refund_escrow(context: Context, escrow_id: str, *, by: Principal) -> EscrowView:
    """Give what an escrow still holds back to the hirer; for its worker, or for support."""
    where = {} if by.role in STAFF else {"worker_id": by.user_id}

    async def change() -> EscrowDocument:
        escrow = await holdings.give_back(context, escrow_id, where=where)
        if escrow is None:
            raise await why_not(escrow_id, by, may=lambda one: by.role in STAFF or one.worker_id == by.user_id)
        await context.idempotency.remember(mapping.escrow_view(escrow), status=200)
        return escrow

    seen = await documents.find_escrow(escrow_id, seen_by=sees(by))
    async with context.lanes.hold(seen.hirer_id if seen else by.user_id):
        escrow = await context.mongo.transact(change)
    is_part_paid = escrow.status is EscrowStatus.SETTLED
    await tell_job(context, escrow, MilestoneMoneyState.RELEASED if is_part_paid else MilestoneMoneyState.REFUNDED)
    return mapping.escrow_view(escrow)


async def release_milestone(context: Context, *, contract_id: str, milestone_id: str) -> EscrowFacts:
    """Pay out the escrow of an approved milestone, for the job service. Said twice, it pays once."""

    async def change() -> EscrowDocument:
        escrow = await documents.find_for_milestone(contract_id, milestone_id)
        if escrow is None:
            raise EscrowNotFound
        if escrow.status is EscrowStatus.RELEASED:
            return escrow
        released = await holdings.release(context, escrow.id)
        if released is None:
            raise _closed(escrow)
        return released

    return mapping.escrow_facts(await context.mongo.transact(change))


async def on_milestone_approved(context: Context, envelope: Envelope, event: MilestoneApproved) -> None:
    """Pay out the escrow of an approved milestone, unless the job service's call already did."""

    async def effect() -> None:
        try:
            await release_milestone(context, contract_id=event.contract_id, milestone_id=event.milestone_id)
        except (EscrowNotFound, EscrowNotFunded, EscrowDisputed) as refusal:
            # Nothing that a repetition would mend: there is no money here to pay out.
            log.warning("payment.escrow.not_released", milestone_id=event.milestone_id, code=refusal.code)

    await context.events.consume(RELEASE_CONSUMER, envelope.id, effect)


async def on_contract_cancelled(
    context: Context, envelope: Envelope, event: ContractCancelled | CancelledContractFunded
) -> None:
    """Give back what a cancelled contract still holds. What is disputed waits for its ruling."""

    async def effect() -> None:
        for escrow in await documents.list_undisputed(event.contract_id):
            if escrow.status is EscrowStatus.PENDING:
                await documents.move_escrow(escrow.id, EscrowStatus.VOIDED)
            else:
                await holdings.give_back(context, escrow.id)

    await context.events.consume(REFUND_CONSUMER, envelope.id, effect)


def sees(by: Principal) -> str | None:
    """Whose things a person sees: their own, or everybody's (None) for support."""
    return None if by.role in STAFF else by.user_id


async def why_not(escrow_id: str, by: Principal, *, may: Callable[[EscrowDocument], bool]) -> KelmahError:
    """Why a step of an escrow was not possible for this person."""
    escrow = await documents.find_escrow(escrow_id, seen_by=sees(by))
    if escrow is None:
        return EscrowNotFound()
    if not may(escrow):
        return Forbidden()
    return _closed(escrow)


async def tell_job(context: Context, escrow: EscrowDocument | EscrowView, state: MilestoneMoneyState) -> None:
    """Tell the job service at once. If it cannot be reached, the event tells it later."""
    try:
        await context.job.milestone_money(
            contract_id=escrow.contract_id, milestone_id=escrow.milestone_id, state=state, escrow_id=escrow.id
        )
    except KelmahError as error:
        log.warning("payment.escrow.job_not_told", escrow_id=escrow.id, state=state, code=error.code)


async def _why_not_released(escrow_id: str, amount: Money | None, *, by: Principal) -> KelmahError:
    reason = await why_not(escrow_id, by, may=lambda one: one.hirer_id == by.user_id)
    escrow = await documents.find_escrow(escrow_id, seen_by=by.user_id)
    if amount is None or escrow is None or escrow.hirer_id != by.user_id or escrow.status is not EscrowStatus.FUNDED:
        return reason
    if amount.currency != escrow.currency:
        return BadInput.of("amount.currency", f"this escrow is in {escrow.currency}")
    return BadInput.of("amount.amount", f"1 to {escrow.held}, which is what this escrow holds")


def _closed(escrow: EscrowDocument) -> KelmahError:
    return EscrowDisputed() if escrow.status is EscrowStatus.DISPUTED else EscrowNotFunded()
