"""Notices of providers: verified, stored once, answered at once, handled by an actor, in any order."""

import structlog

from kelmah.contracts.payment import Provider, WebhookReceived
from kelmah.kit import clock
from kelmah.services.payment.documents import DepositDocument, WebhookDocument, deposits
from kelmah.services.payment.documents import webhooks as documents
from kelmah.services.payment.errors import WebhookOff
from kelmah.services.payment.providers.base import Charge, ProviderRefusedError
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.deposits import settle

log = structlog.get_logger(__name__)

HANDLE_ACTOR = "payment.handle_webhook"
#: What we act on; everything else is stored and left alone.
CHARGE_NOTICES = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.canceled",
    }
)


async def receive_webhook(context: Context, provider: Provider, *, body: bytes, signature: str) -> WebhookReceived:
    """Verify and store a notice. One that is known already is answered the same and not handled again."""
    notice = context.providers[provider].read_webhook(body, signature)
    if notice is None:
        raise WebhookOff
    webhook_id = f"{provider}:{notice.id}"
    webhook = WebhookDocument(
        id=webhook_id,
        provider=provider,
        type=notice.type,
        charge_ref=notice.charge_ref,
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


async def handle_webhook(context: Context, webhook_id: str) -> None:
    """Act on a stored notice; the target of its timer.

    A notice only says that there is news: the charge is fetched, so that late and reordered notices do no harm.

    Raises:
        ProviderUnsureError: the provider did not answer; the actor tries again.
    """
    webhook = await documents.find_webhook(webhook_id)
    if webhook is None or webhook.handled_at is not None:
        return
    outcome = "ignored"
    if webhook.type in CHARGE_NOTICES and webhook.charge_ref is not None:
        outcome = await _follow_charge(context, Provider(webhook.provider), webhook.charge_ref)
    await documents.finish_webhook(webhook_id, outcome)


async def _follow_charge(context: Context, provider: Provider, ref: str) -> str:
    try:
        charge = await context.providers[provider].retrieve(ref)
    except ProviderRefusedError:
        log.error("payment.webhook.foreign", provider=provider, alert=True)
        return "foreign"
    deposit = await _deposit_of(provider, charge)
    if deposit is None:
        # Money of something else on the same account at the provider, or a forgery: it funds nothing.
        log.error("payment.webhook.foreign", provider=provider, alert=True)
        return "foreign"
    settled = await settle(context, deposit.id, charge)
    return settled.status


async def _deposit_of(provider: Provider, charge: Charge) -> DepositDocument | None:
    deposit = await deposits.find_by_provider_ref(provider, charge.ref)
    if deposit is None and charge.deposit_id is not None:
        deposit = await deposits.find_deposit(charge.deposit_id)
    return deposit
