"""Cards by Stripe: PaymentIntents, saved methods and notices, through the official SDK."""

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import stripe

from kelmah.contracts.common import Money
from kelmah.kit.mongo import in_transaction
from kelmah.services.payment.errors import ProviderUnavailable, WebhookRefused
from kelmah.services.payment.providers.base import (
    Charge,
    ChargeState,
    Notice,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedCard,
)
from kelmah.services.payment.settings import PaymentSettings

ResultT = TypeVar("ResultT")
#: How old a notice may be (Stripe's own default).
WEBHOOK_TOLERANCE_S = 300
#: https://docs.stripe.com/payments/paymentintents/lifecycle
STATES = {
    "requires_confirmation": ChargeState.CREATED,
    "requires_action": ChargeState.ACTION,
    "processing": ChargeState.PROCESSING,
    "succeeded": ChargeState.SUCCEEDED,
    "requires_payment_method": ChargeState.DECLINED,
    "canceled": ChargeState.CANCELED,
}


class _NoticeObject(msgspec.Struct):
    id: str = ""
    object: str = ""


class _NoticeData(msgspec.Struct):
    object: _NoticeObject


class _Notice(msgspec.Struct):
    id: str
    type: str
    data: _NoticeData


class StripeCards:
    """A `CardProvider`. Made by `connect`."""

    def __init__(self, client: stripe.StripeClient, *, webhook_secrets: list[str]) -> None:
        self._client = client
        self._webhook_secrets = webhook_secrets

    async def create(self, *, deposit_id: str, amount: Money, method: str, customer: str | None) -> Charge:
        params: Any = {
            "amount": amount.amount,
            "currency": amount.currency.lower(),
            "payment_method": method,
            "payment_method_types": ["card"],
            "metadata": {"deposit_id": deposit_id},
        }
        if customer is not None:
            params["customer"] = customer
        return _charge(
            await _ask(
                self._client.v1.payment_intents.create_async(
                    params, options={"idempotency_key": f"deposit:{deposit_id}:create"}
                )
            )
        )

    async def confirm(self, ref: str, *, deposit_id: str) -> Charge:
        try:
            return _charge(
                await _ask(
                    self._client.v1.payment_intents.confirm_async(
                        ref, {}, options={"idempotency_key": f"deposit:{deposit_id}:confirm"}
                    )
                )
            )
        except ProviderRefusedError:
            # Declined, canceled or already done: the intent itself says which.
            return await self.retrieve(ref)

    async def retrieve(self, ref: str) -> Charge:
        return _charge(await _ask(self._client.v1.payment_intents.retrieve_async(ref)))

    async def cancel(self, ref: str) -> Charge:
        try:
            return _charge(await _ask(self._client.v1.payment_intents.cancel_async(ref, {})))
        except ProviderRefusedError:
            return await self.retrieve(ref)

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedCard:
        customer = await _ask(
            self._client.v1.customers.create_async(
                {"metadata": {"user_id": user_id}}, options={"idempotency_key": f"method:{method_id}:customer"}
            )
        )
        method = await _ask(
            self._client.v1.payment_methods.attach_async(
                token, {"customer": customer.id}, options={"idempotency_key": f"method:{method_id}:attach"}
            )
        )
        if method.card is None:
            raise ProviderRefusedError("not_a_card")
        return SavedCard(
            token=method.id,
            customer=customer.id,
            brand=method.card.brand,
            last4=method.card.last4,
            expires_month=method.card.exp_month,
            expires_year=method.card.exp_year,
        )

    async def forget_method(self, token: str) -> None:
        try:
            await _ask(self._client.v1.payment_methods.detach_async(token, {}))
        except ProviderRefusedError:
            return

    def read_webhook(self, body: bytes, signature: str) -> Notice | None:
        if not self._webhook_secrets:
            return None
        if not any(_is_signed(body, signature, secret) for secret in self._webhook_secrets):
            raise WebhookRefused
        try:
            notice = msgspec.json.decode(body, type=_Notice)
        except msgspec.DecodeError as error:
            raise WebhookRefused from error
        thing = notice.data.object
        return Notice(notice.id, notice.type, thing.id if thing.object == "payment_intent" else None)


@asynccontextmanager
async def connect(settings: PaymentSettings) -> AsyncIterator[StripeCards]:
    """Open the client of a process, and close it."""
    http = stripe.HTTPXClient(timeout=settings.stripe_timeout_s)
    client = stripe.StripeClient(
        settings.stripe_api_key.get_secret_value(),
        http_client=http,
        base_addresses={"api": settings.stripe_base_url} if settings.stripe_base_url else {},
        max_network_retries=1,
    )
    try:
        yield StripeCards(
            client, webhook_secrets=[secret.get_secret_value() for secret in settings.stripe_webhook_secrets]
        )
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]  # the SDK's


async def _ask(call: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Await one call, and sort what went wrong by whether money may have moved."""
    if in_transaction():
        call.close()
        raise RuntimeError("move calls to providers out of the transaction")
    try:
        return await call
    except (stripe.CardError, stripe.InvalidRequestError) as error:
        raise ProviderRefusedError(error.code or "invalid_request") from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise ProviderUnavailable from error
    except stripe.StripeError as error:
        raise ProviderUnsureError from error


def _charge(intent: stripe.PaymentIntent) -> Charge:
    state = STATES.get(intent.status, ChargeState.PROCESSING)
    received = getattr(intent, "amount_received", None)
    failure = intent.last_payment_error
    return Charge(
        ref=intent.id,
        state=state,
        amount=intent.amount if received is None or state is not ChargeState.SUCCEEDED else received,
        currency=intent.currency.upper(),
        deposit_id=intent.metadata.to_dict().get("deposit_id"),
        client_secret=intent.client_secret if state is ChargeState.ACTION else None,
        failure_code=(failure.code or "declined") if failure else None,
    )


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    if not signature.isascii():  # which the SDK's comparison does not take
        return False
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, tolerance=WEBHOOK_TOLERANCE_S)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True
