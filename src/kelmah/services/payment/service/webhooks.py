"""Notices of providers: verified, stored once, answered at once, handled by an actor, in any order."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from kelmah.contracts.payment import Provider, WebhookReceived
from kelmah.kit import clock
from kelmah.services.payment.documents import DepositDocument, WebhookDocument, deposits, withdrawals
from kelmah.services.payment.documents import webhooks as documents
from kelmah.services.payment.errors import BankFileKnown, BankFileRefused, WebhookOff
from kelmah.services.payment.providers.base import About, Charge, ChargeState, ProviderRefusedError
from kelmah.services.payment.service.bank import import_file
from kelmah.services.payment.service.chargebacks import follow_chargeback
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.deposits import settle
from kelmah.services.payment.service.withdrawals import settle_payout

log = structlog.get_logger(__name__)

HANDLE_ACTOR = "payment.handle_webhook"


async def receive_webhook(
    context: Context, provider: Provider, *, body: bytes, headers: Mapping[str, str]
) -> WebhookReceived:
    """Verify and store a notice. One that is known already is answered the same and not handled again."""
    if provider not in context.providers:
        raise WebhookOff
    notice = await context.providers[provider].read_webhook(body, headers)
    if notice is None:
        raise WebhookOff
    webhook_id = f"{provider}:{notice.id}"
    webhook = WebhookDocument(
        id=webhook_id,
        provider=provider,
        type=notice.type,
        about=notice.about,
        ref=notice.ref,
        body=context.ring.encrypt(body, context=webhook_id.encode()),
        received_at=clock.now(),
    )

    async def change() -> None:
        await documents.insert_webhook(webhook)
        await context.timers.set(f"webhook:{webhook_id}", HANDLE_ACTOR, [webhook_id])

    try:
        await context.mongo.transact(change)
    except documents.WebhookKnownError:
        log.info("payment.webhook.known", webhook_id=webhook_id)
    return WebhookReceived()


async def list_webhooks(
    context: Context,
    *,
    provider: Provider | None = None,
    is_handled: bool | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[WebhookDocument]:
    """Notices that were stored, the latest first."""
    return await documents.list_webhooks(provider=provider, is_handled=is_handled, since=since, limit=limit)


async def replay_webhooks(context: Context, webhook_ids: Sequence[str]) -> list[str]:
    """Have notices handled once more; the ids of those that there are. They only ever say that there is news."""
    found = []
    for webhook_id in webhook_ids:

        async def change(webhook_id: str = webhook_id) -> bool:
            if not await documents.reopen_webhook(webhook_id):
                return False
            await context.timers.set(f"webhook:{webhook_id}", HANDLE_ACTOR, [webhook_id])
            return True

        if await context.mongo.transact(change):
            found.append(webhook_id)
    return found


async def handle_webhook(context: Context, webhook_id: str) -> None:
    """Act on a stored notice; the target of its timer.

    A notice only says that there is news: the charge is fetched, so that late and reordered notices do no harm.

    Raises:
        ProviderUnsureError: the provider did not answer; the actor tries again.
    """
    webhook = await documents.find_webhook(webhook_id)
    if webhook is None or webhook.handled_at is not None:
        return
    provider, outcome = Provider(webhook.provider), None
    try:
        if webhook.about == About.CHARGE:
            outcome = await _follow_charge(context, provider, webhook.ref)
        elif webhook.about == About.PAYOUT:
            outcome = await _follow_payout(context, provider, webhook.ref)
        elif webhook.about == About.CHARGEBACK:
            outcome = await _follow_chargeback(context, provider, webhook.ref)
        elif webhook.about == About.FILE:
            outcome = await _import_file(context, webhook)
        else:
            outcome = "ignored"
    except ProviderRefusedError:  # it knows no such thing
        outcome = None
    if outcome is None:
        # Money of something else on the same account at the provider, or a forgery: it moves nothing.
        log.error("payment.webhook.foreign", provider=provider, alert=True)
    await documents.finish_webhook(webhook_id, outcome or "foreign")


async def _import_file(context: Context, webhook: WebhookDocument) -> str:
    content = context.ring.decrypt(webhook.body, context=webhook.id.encode())
    try:
        await import_file(context, content)
    except (BankFileRefused, BankFileKnown) as refusal:
        log.error("payment.bank.file_refused", webhook_id=webhook.id, code=refusal.code, alert=True)
        return "refused"
    return "imported"


async def _follow_charge(context: Context, provider: Provider, ref: str) -> str | None:
    charge = await context.providers[provider].retrieve(ref)
    deposit = await _deposit_of(provider, charge)
    if deposit is None:
        return None
    if charge.state is ChargeState.APPROVED and deposit.status in deposits.OPEN and deposit.provider_ref == charge.ref:
        charge = await context.providers[provider].confirm(charge.ref, deposit_id=deposit.id)
    settled = await settle(context, deposit.id, charge)
    return settled.status


async def _follow_payout(context: Context, provider: Provider, ref: str) -> str | None:
    payout = await context.providers[provider].retrieve_payout(ref)
    withdrawal = await withdrawals.find_by_provider_ref(provider, payout.ref)
    if withdrawal is None and payout.withdrawal_id is not None:
        withdrawal = await withdrawals.find_withdrawal(payout.withdrawal_id)
    if withdrawal is None or withdrawal.provider != provider:
        return None
    await settle_payout(context, withdrawal.id, payout)
    return payout.state


async def _follow_chargeback(context: Context, provider: Provider, ref: str) -> str | None:
    chargeback = await context.providers[provider].retrieve_chargeback(ref)
    deposit = await deposits.find_by_provider_ref(provider, chargeback.charge_ref)
    if deposit is None or deposit.currency != chargeback.currency:
        return None
    await follow_chargeback(context, provider, deposit, chargeback)
    return chargeback.state


async def _deposit_of(provider: Provider, charge: Charge) -> DepositDocument | None:
    deposit = await deposits.find_by_provider_ref(provider, charge.ref)
    if deposit is None and charge.deposit_id is not None:
        deposit = await deposits.find_deposit(charge.deposit_id)
    return deposit
