"""Disputes: either side freezes an escrow, and support rules how it is shared."""

from kelmah.contracts.common import Page
from kelmah.contracts.job import MilestoneMoneyState
from kelmah.contracts.payment import (
    DisputeRaised,
    DisputeResolved,
    DisputeStatus,
    DisputeView,
    EscrowStatus,
    RaiseDispute,
    ResolveDispute,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.kit.text import clean_text
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import DisputeDocument, EscrowDocument
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.errors import (
    DisputeNotFound,
    DisputeResolvedAlready,
    LedgerError,
    RulingDoesNotAddUp,
)
from kelmah.services.payment.service import ledger, pages
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.escrows import sees, tell_job, why_not
from kelmah.services.payment.service.holdings import subject

MAX_TEXT_CHARS = 2000


async def raise_dispute(context: Context, request: RaiseDispute, *, by: Principal) -> DisputeView:
    """Freeze a funded escrow; for either of its sides."""
    reason = _text("reason", request.reason)

    async def change() -> tuple[DisputeView, EscrowDocument]:
        seen = await documents.find_escrow(request.escrow_id, seen_by=by.user_id)
        escrow = await documents.move_escrow(request.escrow_id, EscrowStatus.DISPUTED) if seen else None
        if escrow is None:
            raise await why_not(request.escrow_id, by, may=lambda one: by.user_id in (one.hirer_id, one.worker_id))
        dispute = DisputeDocument(
            id=new_id(),
            escrow_id=escrow.id,
            contract_id=escrow.contract_id,
            milestone_id=escrow.milestone_id,
            hirer_id=escrow.hirer_id,
            worker_id=escrow.worker_id,
            raised_by=by.user_id,
            reason=reason,
            amount=escrow.held,
            currency=escrow.currency,
            created_at=clock.now(),
        )
        await documents.insert_dispute(dispute)
        await context.events.append(
            DisputeRaised(
                dispute_id=dispute.id,
                escrow_id=escrow.id,
                contract_id=escrow.contract_id,
                milestone_id=escrow.milestone_id,
                hirer_id=escrow.hirer_id,
                worker_id=escrow.worker_id,
                raised_by=by.user_id,
            ),
            subject=subject(escrow),
        )
        view = mapping.dispute_view(dispute)
        await context.idempotency.remember(view)
        return view, escrow

    view, escrow = await context.mongo.transact(change)
    await tell_job(context, escrow, MilestoneMoneyState.DISPUTED)
    return view


async def get_dispute(context: Context, dispute_id: str, *, by: Principal) -> DisputeView:
    """A dispute that one is a side of; any for support."""
    dispute = await documents.find_dispute(dispute_id, seen_by=sees(by))
    if dispute is None:
        raise DisputeNotFound
    return mapping.dispute_view(dispute)


async def list_disputes(context: Context, *, by: Principal, cursor: str | None, limit: int) -> Page[DisputeView]:
    """Disputes that one is a side of, the latest first; all for support."""
    found = await documents.list_disputes(sees(by), before=pages.start(cursor), limit=limit + 1)
    return pages.page(found, limit, mapping.dispute_view)


async def resolve_dispute(context: Context, dispute_id: str, request: ResolveDispute, *, by: Principal) -> DisputeView:
    """Share a disputed escrow out, to the last minor unit; for support."""
    note = _text("note", request.note)

    async def change() -> DisputeView:
        dispute = await documents.resolve_dispute(
            dispute_id,
            worker_amount=request.worker_amount,
            hirer_amount=request.hirer_amount,
            note=note,
            resolved_by=by.user_id,
        )
        if dispute is None:
            raise await _why_unresolved(dispute_id)
        escrow = await documents.move_escrow(
            dispute.escrow_id, EscrowStatus.SETTLED, where={"status": EscrowStatus.DISPUTED}
        )
        if escrow is None:
            raise LedgerError("an open dispute without a disputed escrow", dispute_id=dispute_id)
        share = ledger.split_part(escrow.released, request.worker_amount, ledger.terms_of(escrow))
        await ledger_documents.post(
            ledger.ruling_entry(
                escrow, dispute_id=dispute.id, worker_gross=request.worker_amount, hirer=request.hirer_amount
            )
        )
        escrow = await documents.note_parts(
            escrow, worker=share.net, fee=share.fee, tax=share.tax, hirer=request.hirer_amount
        )
        await context.events.append(
            DisputeResolved(
                dispute_id=dispute.id,
                escrow_id=escrow.id,
                contract_id=escrow.contract_id,
                milestone_id=escrow.milestone_id,
                hirer_id=escrow.hirer_id,
                worker_id=escrow.worker_id,
                worker_amount=request.worker_amount,
                hirer_amount=request.hirer_amount,
                fee_amount=share.fee,
                tax_amount=share.tax,
            ),
            subject=subject(escrow),
        )
        view = mapping.dispute_view(dispute)
        await context.idempotency.remember(view, status=200)
        return view

    return await context.mongo.transact(change)


async def _why_unresolved(dispute_id: str) -> Exception:
    dispute = await documents.find_dispute(dispute_id, seen_by=None)
    if dispute is None:
        return DisputeNotFound()
    if dispute.status is not DisputeStatus.OPEN:
        return DisputeResolvedAlready()
    return RulingDoesNotAddUp.of("workerAmount", f"workerAmount and hirerAmount must add up to {dispute.amount}")


def _text(field: str, text: str) -> str:
    try:
        cleaned = clean_text(text, MAX_TEXT_CHARS)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from None
    if not cleaned:
        raise BadInput.of(field, "must not be blank")
    return cleaned
