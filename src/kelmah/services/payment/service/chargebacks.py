"""Chargebacks: what a payer's bank takes back is held at once, and given back or written off when it rules."""

from kelmah.contracts.common import Money
from kelmah.contracts.payment import ChargebackChanged, EscrowStatus, Provider
from kelmah.kit import clock
from kelmah.services.payment.documents import ChargebackDocument, DepositDocument
from kelmah.services.payment.documents import chargebacks as documents
from kelmah.services.payment.documents import disputes as dispute_documents
from kelmah.services.payment.documents import escrows as escrow_documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.documents.entries import wallet
from kelmah.services.payment.errors import LedgerError
from kelmah.services.payment.providers.base import Chargeback, ChargebackState
from kelmah.services.payment.service import disputes, ledger
from kelmah.services.payment.service.context import Context

#: The latest escrows of one payer that are looked at.
MAX_LOOKED_AT = 1000


async def follow_chargeback(context: Context, provider: Provider, deposit: DepositDocument, found: Chargeback) -> None:
    """Bring a chargeback to where the provider says it stands. Said again or late, it changes nothing."""
    chargeback_id = f"{provider}:{found.ref}"

    async def change() -> None:
        chargeback = await documents.find_chargeback(chargeback_id)
        if chargeback is None:
            chargeback = await _open(context, chargeback_id, deposit, found)
        if found.state is ChargebackState.OPEN:
            return
        closed = await documents.close_chargeback(chargeback_id, found.state)
        if closed is not None:
            entry = ledger.chargeback_end_entry(closed, won=found.state is ChargebackState.WON)
            await ledger_documents.post(entry)
            if found.state is ChargebackState.WON:
                for dispute_id in await dispute_documents.drop_chargeback(chargeback_id):
                    await disputes.lift(context, dispute_id, where={"by_bank": True}, by=dispute_documents.BANK)
            await _tell(context, closed)

    await context.mongo.transact(change)


async def _open(
    context: Context, chargeback_id: str, deposit: DepositDocument, found: Chargeback
) -> ChargebackDocument:
    now = clock.now()
    has = await ledger_documents.balance(wallet(deposit.user_id, deposit.currency))
    chargeback = ChargebackDocument(
        id=chargeback_id,
        provider=deposit.provider,
        provider_ref=found.ref,
        deposit_id=deposit.id,
        user_id=deposit.user_id,
        amount=found.amount,
        currency=deposit.currency,
        from_wallet=min(has, found.amount),
        created_at=now,
        updated_at=now,
    )
    await documents.insert_chargeback(chargeback)
    await ledger_documents.post(ledger.chargeback_entry(chargeback))
    await _tell(context, chargeback)
    if found.state is not ChargebackState.WON:
        await _freeze(context, chargeback, funds=deposit.escrow_id)
    return chargeback


async def _freeze(context: Context, chargeback: ChargebackDocument, *, funds: str | None) -> None:
    """Dispute the escrow that the payment funded, and others of the payer's while the platform would lose money."""
    lost = chargeback.amount - chargeback.from_wallet
    found = await escrow_documents.list_funded_by(chargeback.user_id, chargeback.currency, limit=MAX_LOOKED_AT)
    for escrow in sorted(found, key=lambda one: one.id != funds):
        if escrow.id != funds and lost <= 0:
            return
        if escrow.status is EscrowStatus.DISPUTED:
            await dispute_documents.note_chargeback(escrow.id, chargeback.id)
        else:
            await disputes.freeze(context, escrow.id, chargeback_id=chargeback.id)
        lost -= escrow.held


async def recover(chargeback_id: str, escrow_id: str, amount: int) -> int:
    """Of what a ruling gave the payer, take what the platform lost, in a transaction. How much that is."""
    chargeback = await documents.find_chargeback(chargeback_id)
    if chargeback is None:
        raise LedgerError("a dispute over a chargeback that is not there", chargeback_id=chargeback_id)
    if back := min(chargeback.amount - chargeback.from_wallet, amount):
        await documents.take_back(chargeback, back)
        await ledger_documents.post(ledger.recovery_entry(chargeback, escrow_id, back))
    return back


async def _tell(context: Context, chargeback: ChargebackDocument) -> None:
    await context.events.append(
        ChargebackChanged(
            chargeback_id=chargeback.id,
            deposit_id=chargeback.deposit_id,
            user_id=chargeback.user_id,
            amount=Money(amount=chargeback.amount, currency=chargeback.currency),
            status=chargeback.status,
        ),
        subject=f"deposit:{chargeback.deposit_id}",
    )
