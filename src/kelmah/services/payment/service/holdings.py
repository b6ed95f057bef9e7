"""The steps of an escrow, each inside an open transaction: the money, the document and the event move together."""

from kelmah.contracts.common import Money
from kelmah.contracts.payment import EscrowFunded, EscrowRefunded, EscrowReleased, EscrowStatus
from kelmah.services.payment.documents import EscrowDocument
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.service import ledger
from kelmah.services.payment.service.context import Context


def subject(escrow: EscrowDocument) -> str:
    """The stream of an escrow's events."""
    return f"escrow:{escrow.id}"


async def hold(context: Context, escrow: EscrowDocument) -> None:
    """Move a funded escrow's amount out of the hirer's wallet."""
    await ledger_documents.post(ledger.funding_entry(escrow))
    await context.events.append(
        EscrowFunded(
            escrow_id=escrow.id,
            contract_id=escrow.contract_id,
            milestone_id=escrow.milestone_id,
            hirer_id=escrow.hirer_id,
            worker_id=escrow.worker_id,
            amount=Money(amount=escrow.amount, currency=escrow.currency),
        ),
        subject=subject(escrow),
    )


async def fund_pending(context: Context, escrow_id: str) -> None:
    """The payment for an escrow came in. One that no longer waits is left alone, and the money in the wallet."""
    escrow = await documents.move_escrow(escrow_id, EscrowStatus.FUNDED, where={"status": EscrowStatus.PENDING})
    if escrow is not None:
        await hold(context, escrow)


async def release(
    context: Context, escrow_id: str, *, amount: int | None = None, where: dict[str, str] | None = None
) -> EscrowDocument | None:
    """Pay `amount` of a funded escrow to the worker, or all that is left. None when it does not hold so much."""
    escrow = None
    if amount is not None:
        escrow = await documents.take_part(escrow_id, amount, where=where or {})
    if escrow is None:
        rest = {} if amount is None else documents.holding_exactly(amount)
        escrow = await documents.move_escrow(escrow_id, EscrowStatus.RELEASED, where=(where or {}) | rest)
    if escrow is None:
        return None
    gross = escrow.amount - escrow.released if amount is None else amount
    share = ledger.split_part(escrow.released, gross, ledger.terms_of(escrow))
    await ledger_documents.post(ledger.release_entry(escrow, gross))
    escrow = await documents.note_parts(escrow, worker=share.net, fee=share.fee, tax=share.tax, hirer=0)
    await context.events.append(
        EscrowReleased(
            escrow_id=escrow.id,
            contract_id=escrow.contract_id,
            milestone_id=escrow.milestone_id,
            hirer_id=escrow.hirer_id,
            worker_id=escrow.worker_id,
            amount=Money(amount=gross, currency=escrow.currency),
            fee_amount=share.fee,
            tax_amount=share.tax,
            held_amount=escrow.held,
        ),
        subject=subject(escrow),
    )
    return escrow


async def give_back(context: Context, escrow_id: str, *, where: dict[str, str] | None = None) -> EscrowDocument | None:
    """Give the hirer what a funded escrow still holds. None when there is no such escrow in that state."""
    where = where or {}
    escrow = await documents.move_escrow(escrow_id, EscrowStatus.REFUNDED, where=where | documents.WHOLE)
    # The worker was paid a part of it: it is not as if nothing had been, and the milestone is not funded again.
    escrow = escrow or await documents.move_escrow(escrow_id, EscrowStatus.SETTLED, where=where | documents.STARTED)
    if escrow is None:
        return None
    rest = escrow.amount - escrow.released
    await ledger_documents.post(ledger.refund_entry(escrow))
    escrow = await documents.note_parts(escrow, worker=0, fee=0, tax=0, hirer=rest)
    await context.events.append(
        EscrowRefunded(
            escrow_id=escrow.id,
            contract_id=escrow.contract_id,
            milestone_id=escrow.milestone_id,
            hirer_id=escrow.hirer_id,
            worker_id=escrow.worker_id,
            amount=Money(amount=rest, currency=escrow.currency),
            released_amount=escrow.released,
        ),
        subject=subject(escrow),
    )
    return escrow
