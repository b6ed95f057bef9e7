"""Stripe: PaymentIntents, refunds, transfers, disputes, saved methods and notices, through the official SDK."""

from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import stripe

from kelmah.contracts.common import Money
from kelmah.contracts.payment import MethodKind, Provider
from kelmah.kit.mongo import in_transaction
from kelmah.services.payment.errors import ProviderUnavailable, WebhookRefused
from kelmah.services.payment.providers.base import (
    About,
    Charge,
    Chargeback,
    ChargebackState,
    ChargeState,
    Movement,
    Notice,
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedMethod,
)
from kelmah.services.payment.providers.terms import TERMS
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


#: What Stripe's notices are about; everything else is stored and left alone.
NOTICES = {
    "payment_intent.succeeded": About.CHARGE,
    "payment_intent.payment_failed": About.CHARGE,
    "payment_intent.processing": About.CHARGE,
    "payment_intent.requires_action": About.CHARGE,
    "payment_intent.canceled": About.CHARGE,
    "transfer.created": About.PAYOUT,
    "transfer.updated": About.PAYOUT,
    "transfer.reversed": About.PAYOUT,
    "refund.created": About.PAYOUT,
    "refund.updated": About.PAYOUT,
    "refund.failed": About.PAYOUT,
    "charge.dispute.created": About.CHARGEBACK,
    "charge.dispute.updated": About.CHARGEBACK,
    "charge.dispute.closed": About.CHARGEBACK,
}
REFUND_STATES = {
    "succeeded": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.FAILED,
}
CHARGEBACK_STATES = {
    "won": ChargebackState.WON,
    "warning_closed": ChargebackState.WON,
    "prevented": ChargebackState.WON,
    "lost": ChargebackState.LOST,
}


class _NoticeObject(msgspec.Struct):
    id: str = ""


class _NoticeData(msgspec.Struct):
    object: _NoticeObject


class _Notice(msgspec.Struct):
    id: str
    type: str
    data: _NoticeData


class StripeCards:
    """A `PaymentProvider`. Made by `connect`."""

    terms = TERMS[Provider.STRIPE]
    needs_method = True

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

    async def send(self, order: PayoutOrder) -> Payout:
        options: Any = {"idempotency_key": f"withdrawal:{order.withdrawal_id}"}
        params: Any = {"amount": order.amount.amount, "metadata": {"withdrawal_id": order.withdrawal_id}}
        if order.charge_ref is not None:
            params["payment_intent"] = order.charge_ref
            return _refund(await _ask(self._client.v1.refunds.create_async(params, options=options)))
        params |= {
            "currency": order.amount.currency.lower(),
            "destination": order.destination,
            "transfer_group": order.withdrawal_id,
        }
        return _transfer(await _ask(self._client.v1.transfers.create_async(params, options=options)))

    async def find_payout(self, order: PayoutOrder) -> Payout | None:
        found: list[Payout]
        if order.charge_ref is not None:
            params: Any = {"payment_intent": order.charge_ref, "limit": 100}
            found = [_refund(one) for one in (await _ask(self._client.v1.refunds.list_async(params))).data]
        else:
            params = {"transfer_group": order.withdrawal_id, "limit": 100}
            found = [_transfer(one) for one in (await _ask(self._client.v1.transfers.list_async(params))).data]
        return next((one for one in found if one.withdrawal_id == order.withdrawal_id), None)

    async def retrieve_payout(self, ref: str) -> Payout:
        if ref.startswith("tr_"):
            return _transfer(await _ask(self._client.v1.transfers.retrieve_async(ref)))
        return _refund(await _ask(self._client.v1.refunds.retrieve_async(ref)))

    async def retrieve_chargeback(self, ref: str) -> Chargeback:
        dispute = await _ask(self._client.v1.disputes.retrieve_async(ref))
        return Chargeback(
            ref=dispute.id,
            state=CHARGEBACK_STATES.get(dispute.status, ChargebackState.OPEN),
            charge_ref=str(dispute.payment_intent or ""),
            amount=dispute.amount,
            currency=dispute.currency.upper(),
        )

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        params: Any = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "expand": ["data.source"],
            "limit": 100,
        }
        while True:
            page = await _ask(self._client.v1.balance_transactions.list_async(params))
            for one in page.data:
                yield _movement(one)
            if not page.has_more:
                return
            params = params | {"starting_after": page.data[-1].id}

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedMethod:
        if token.startswith("acct_"):
            account = await _ask(self._client.v1.accounts.retrieve_async(token))
            if not account.payouts_enabled:
                raise ProviderRefusedError("payouts_not_enabled")
            return SavedMethod(kind=MethodKind.ACCOUNT, token=token, brand="stripe", last4=token[-4:])
        if not token.startswith("pm_"):
            raise ProviderRefusedError("not_a_method")
        return await self._save_card(user_id=user_id, method_id=method_id, token=token)

    async def _save_card(self, *, user_id: str, method_id: str, token: str) -> SavedMethod:
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
        return SavedMethod(
            kind=MethodKind.CARD,
            token=method.id,
            customer=customer.id,
            brand=method.card.brand,
            last4=method.card.last4,
            expires_month=method.card.exp_month,
            expires_year=method.card.exp_year,
        )

    async def forget_method(self, token: str) -> None:
        if not token.startswith("pm_"):  # an account stays its owner's
            return
        try:
            await _ask(self._client.v1.payment_methods.detach_async(token, {}))
        except ProviderRefusedError:
            return

    async def read_webhook(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        signature = headers.get("stripe-signature", "")
        if not self._webhook_secrets:
            return None
        if not any(_is_signed(body, signature, secret) for secret in self._webhook_secrets):
            raise WebhookRefused
        try:
            notice = msgspec.json.decode(body, type=_Notice)
        except msgspec.DecodeError as error:
            raise WebhookRefused from error
        return Notice(notice.id, notice.type, NOTICES.get(notice.type, About.NOTHING), notice.data.object.id)


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


def _transfer(transfer: stripe.Transfer) -> Payout:
    return Payout(
        ref=transfer.id,
        state=PayoutState.RETURNED if transfer.reversed else PayoutState.PAID,
        amount=transfer.amount,
        currency=transfer.currency.upper(),
        withdrawal_id=transfer.metadata.to_dict().get("withdrawal_id"),
        failure_code="reversed" if transfer.reversed else None,
    )


def _refund(refund: stripe.Refund) -> Payout:
    state = REFUND_STATES.get(refund.status or "", PayoutState.IN_TRANSIT)
    metadata = refund.metadata
    return Payout(
        ref=refund.id,
        state=state,
        amount=refund.amount,
        currency=refund.currency.upper(),
        withdrawal_id=metadata.to_dict().get("withdrawal_id") if metadata else None,
        failure_code=getattr(refund, "failure_reason", None) or ("failed" if state is PayoutState.FAILED else None),
    )


def _movement(transaction: stripe.BalanceTransaction) -> Movement:
    source: Any = transaction.source
    found: dict[str, Any] = source.to_dict() if source is not None and not isinstance(source, str) else {}
    # A charge belongs to its intent, and a reversal to what it reverses; all else is known by itself.
    ref = found.get("payment_intent") if found.get("object") == "charge" else found.get("transfer")
    return Movement(
        id=transaction.id,
        ref=str(ref or found.get("id") or source or transaction.id),
        amount=transaction.amount,
        currency=transaction.currency.upper(),
        at=datetime.fromtimestamp(transaction.created, UTC),
        fee=transaction.fee,
        is_settlement=transaction.type in ("payout", "payout_failure", "payout_cancel"),
    )


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    if not signature.isascii():  # which the SDK's comparison does not take
        return False
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, tolerance=WEBHOOK_TOLERANCE_S)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True
