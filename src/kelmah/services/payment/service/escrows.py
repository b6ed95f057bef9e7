"""Escrow: a milestone's money is held, and leaves by release, refund or ruling, once."""

from collections.abc import Callable

import structlog

from kelmah.contracts.common import Money, Page, Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import (
    ContractCancelled,
    ContractStatus,
    MilestoneApproved,
    MilestoneFacts,
    MilestoneMoneyState,
    MilestoneStatus,
)
from kelmah.contracts.payment import (
    EscrowFacts,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
    EscrowStatus,
    EscrowView,
    FundEscrow,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import Forbidden, KelmahError, NotFound
from kelmah.kit.ids import new_id
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import EscrowDocument, parties
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.errors import (
    EscrowDisputed,
    EscrowNotFound,
    EscrowNotFunded,
    MilestoneNotFundable,
    PartyGone,
)
from kelmah.services.payment.service import ledger, pages
from kelmah.services.payment.service.context import Context

log = structlog.get_logger(__name__)

STAFF = frozenset({Role.SUPPORT, Role.ADMIN})
RELEASE_CONSUMER = "payment.release_escrow"
REFUND_CONSUMER = "payment.refund_contract"


async def fund_escrow(context: Context, request: FundEscrow, *, by: Principal) -> EscrowView:
    """Move a milestone's amount from the hirer's wallet into escrow."""
    contract = await context.job.get_contract(contract_id=request.contract_id)
    if contract.hirer_id != by.user_id:
        raise NotFound
    milestone = next((one for one in contract.milestones if one.id == request.milestone_id), None)
    if milestone is None:
        raise NotFound
    _check_fundable(contract.status, milestone)
    now = clock.now()
    escrow = EscrowDocument(
        id=new_id(),
        contract_id=contract.id,
        milestone_id=milestone.id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        amount=milestone.amount.amount,
        currency=milestone.amount.currency,
        status=EscrowStatus.FUNDED,
        fee_basis_points=context.settings.platform_fee_basis_points,
        created_at=now,
        updated_at=now,
    )

    async def change() -> EscrowView:
        if not await parties.are_open([escrow.hirer_id, escrow.worker_id]):
            raise PartyGone
        await documents.insert_escrow(escrow)
        await ledger_documents.post(ledger.funding_entry(escrow))
        await context.events.append(
            EscrowFunded(
                escrow_id=escrow.id,
                contract_id=escrow.contract_id,
                milestone_id=escrow.milestone_id,
                hirer_id=escrow.hirer_id,
                worker_id=escrow.worker_id,
                amount=milestone.amount,
            ),
            subject=subject(escrow),
        )
        view = mapping.escrow_view(escrow)
        await context.idempotency.remember(view)
        return view

    async with context.lanes.hold(by.user_id):
        view = await context.mongo.transact(change)
    await tell_job(context, escrow, MilestoneMoneyState.FUNDED)
    return view


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


async def release_escrow(context: Context, escrow_id: str, *, by: Principal) -> EscrowView:
    """Pay an escrow out to the worker; for its hirer."""

    async def change() -> EscrowDocument:
        escrow = await _release(context, escrow_id, where={"hirer_id": by.user_id})
        if escrow is None:
            raise await why_not(escrow_id, by, may=lambda one: one.hirer_id == by.user_id)
        await context.idempotency.remember(mapping.escrow_view(escrow), status=200)
        return escrow

    seen = await documents.find_escrow(escrow_id, seen_by=by.user_id)
    async with context.lanes.hold(seen.worker_id if seen else by.user_id):
        escrow = await context.mongo.transact(change)
    await tell_job(context, escrow, MilestoneMoneyState.RELEASED)
    return mapping.escrow_view(escrow)


async def refund_escrow(context: Context, escrow_id: str, *, by: Principal) -> EscrowView:
    """Give an escrow back to the hirer; for its worker, or for support."""
    where = {} if by.role in STAFF else {"worker_id": by.user_id}

    async def change() -> EscrowDocument:
        escrow = await documents.move_escrow(escrow_id, EscrowStatus.REFUNDED, where=where)
        if escrow is None:
            raise await why_not(escrow_id, by, may=lambda one: by.role in STAFF or one.worker_id == by.user_id)
        escrow = await _give_back(context, escrow)
        await context.idempotency.remember(mapping.escrow_view(escrow), status=200)
        return escrow

    seen = await documents.find_escrow(escrow_id, seen_by=sees(by))
    async with context.lanes.hold(seen.hirer_id if seen else by.user_id):
        escrow = await context.mongo.transact(change)
    await tell_job(context, escrow, MilestoneMoneyState.REFUNDED)
    return mapping.escrow_view(escrow)


async def release_milestone(context: Context, *, contract_id: str, milestone_id: str) -> EscrowFacts:
    """Pay out the escrow of an approved milestone, for the job service. Said twice, it pays once."""

    async def change() -> EscrowDocument:
        escrow = await documents.find_for_milestone(contract_id, milestone_id)
        if escrow is None:
            raise EscrowNotFound
        if escrow.status is EscrowStatus.RELEASED:
            return escrow
        released = await _release(context, escrow.id)
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


async def on_contract_cancelled(context: Context, envelope: Envelope, event: ContractCancelled) -> None:
    """Give back what a cancelled contract still holds. What is disputed waits for its ruling."""

    async def effect() -> None:
        for escrow in await documents.list_funded(event.contract_id):
            refunded = await documents.move_escrow(escrow.id, EscrowStatus.REFUNDED)
            if refunded is not None:
                await _give_back(context, refunded)

    await context.events.consume(REFUND_CONSUMER, envelope.id, effect)


def subject(escrow: EscrowDocument) -> str:
    """The stream of an escrow's events."""
    return f"escrow:{escrow.id}"


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


async def tell_job(context: Context, escrow: EscrowDocument, state: MilestoneMoneyState) -> None:
    """Tell the job service at once. If it cannot be reached, the event tells it later."""
    try:
        await context.job.milestone_money(
            contract_id=escrow.contract_id, milestone_id=escrow.milestone_id, state=state, escrow_id=escrow.id
        )
    except KelmahError as error:
        log.warning("payment.escrow.job_not_told", escrow_id=escrow.id, state=state, code=error.code)


def _check_fundable(status: ContractStatus, milestone: MilestoneFacts) -> None:
    if status is not ContractStatus.ACTIVE:
        raise MilestoneNotFundable("The contract is not active.")
    if milestone.status is not MilestoneStatus.AGREED:
        raise MilestoneNotFundable(f"The milestone is {milestone.status}.")


def _closed(escrow: EscrowDocument) -> KelmahError:
    return EscrowDisputed() if escrow.status is EscrowStatus.DISPUTED else EscrowNotFunded()


async def _give_back(context: Context, escrow: EscrowDocument) -> EscrowDocument:
    """In the open transaction, post a refund that was just decided."""
    escrow = await documents.note_parts(escrow, worker=0, fee=0, hirer=escrow.amount)
    await ledger_documents.post(ledger.refund_entry(escrow))
    await context.events.append(
        EscrowRefunded(
            escrow_id=escrow.id,
            contract_id=escrow.contract_id,
            milestone_id=escrow.milestone_id,
            hirer_id=escrow.hirer_id,
            worker_id=escrow.worker_id,
            amount=Money(amount=escrow.amount, currency=escrow.currency),
        ),
        subject=subject(escrow),
    )
    return escrow


async def _release(context: Context, escrow_id: str, *, where: dict[str, str] | None = None) -> EscrowDocument | None:
    """In the open transaction, pay a funded escrow out. None when there is no such escrow in that state."""
    escrow = await documents.move_escrow(escrow_id, EscrowStatus.RELEASED, where=where)
    if escrow is None:
        return None
    net, fee = ledger.split(escrow.amount, escrow.fee_basis_points)
    escrow = await documents.note_parts(escrow, worker=net, fee=fee, hirer=0)
    await ledger_documents.post(ledger.release_entry(escrow))
    await context.events.append(
        EscrowReleased(
            escrow_id=escrow.id,
            contract_id=escrow.contract_id,
            milestone_id=escrow.milestone_id,
            hirer_id=escrow.hirer_id,
            worker_id=escrow.worker_id,
            amount=Money(amount=escrow.amount, currency=escrow.currency),
            fee_amount=escrow.fee_amount,
        ),
        subject=subject(escrow),
    )
    return escrow
