"""Notices of providers."""

from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency

from kelmah.contracts.payment import (
    Provider,
    WebhookReceived,
)
from kelmah.services.payment import service
from kelmah.services.payment.service import Context


@post(
    "/api/v1/payments/webhooks/stripe",
    operation_id="ReceiveStripeWebhook",
    status_code=200,
    summary="Take a notice of Stripe's, signed in the header Stripe-Signature",
    tags=["Webhooks"],
    opt={"idempotency": "off"},
)
async def receive_stripe_webhook(
    request: Request[None, None, State], context: NamedDependency[Context]
) -> WebhookReceived:
    return await _receive(context, Provider.STRIPE, request)


@post(
    "/api/v1/payments/webhooks/paypal",
    operation_id="ReceivePayPalWebhook",
    status_code=200,
    summary="Take a notice of PayPal's, signed in the headers PayPal-Transmission-…",
    tags=["Webhooks"],
    opt={"idempotency": "off"},
)
async def receive_paypal_webhook(
    request: Request[None, None, State], context: NamedDependency[Context]
) -> WebhookReceived:
    return await _receive(context, Provider.PAYPAL, request)


@post(
    "/api/v1/payments/webhooks/bank",
    operation_id="ReceiveBankWebhook",
    status_code=200,
    summary="Take a file of the bank's (camt.053, pain.002), signed in the headers Webhook-…",
    tags=["Webhooks"],
    opt={"idempotency": "off"},
)
async def receive_bank_webhook(
    request: Request[None, None, State], context: NamedDependency[Context]
) -> WebhookReceived:
    return await _receive(context, Provider.BANK, request)


async def _receive(context: Context, provider: Provider, request: Request[None, None, State]) -> WebhookReceived:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return await service.receive_webhook(context, provider, body=await request.body(), headers=headers)


HANDLERS = [receive_stripe_webhook, receive_paypal_webhook, receive_bank_webhook]
