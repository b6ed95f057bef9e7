"""Chargebacks: what a payer's bank takes back is held at once, and given back or written off when it rules."""

from kelmah.contracts.common import Money
from kelmah.contracts.payment import ChargebackChanged, Provider
from kelmah.kit import clock
from kelmah.services.payment.documents import ChargebackDocument, DepositDocument
from kelmah.services.payment.documents import chargebacks as documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.providers.base import Chargeback, ChargebackState
from kelmah.services.payment.service import ledger
from kelmah.services.payment.service.context import Context


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
            await _tell(context, closed)

    await context.mongo.transact(change)


async def _open(
    context: Context, chargeback_id: str, deposit: DepositDocument, found: Chargeback
) -> ChargebackDocument:
    now = clock.now()
    has = await ledger_documents.balance(ledger_documents.wallet(deposit.user_id, deposit.currency))
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
    return chargeback


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
