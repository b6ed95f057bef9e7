"""PayPal: orders that the payer approves, refunds, payouts, disputes and notices, through the official SDK.

The SDK is synchronous and has faults: no timeout, a new connection for each call, an endless loop on a token that is
refused, tokens and bodies in its debug log. `PayPalApi` mends them; calls run in a small pool of threads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import paypalrestsdk
import requests
from paypalrestsdk import exceptions

from kelmah.contracts.common import Money
from kelmah.contracts.payment import MethodKind, Provider
from kelmah.kit.mongo import in_transaction
from kelmah.services.payment.errors import ProviderUnavailable, WebhookRefused
from kelmah.services.payment.providers.base import (
    Charge,
    Chargeback,
    ChargebackState,
    ChargeState,
    Movement,
    Notice,
    Payout,
    PayoutOrder,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedMethod,
)
from kelmah.services.payment.providers.paypal_api import MAX_CALLS, PayPalApi
from kelmah.services.payment.providers.paypal_notices import Certificates, is_signed
from kelmah.services.payment.providers.paypal_rows import (
    BATCH,
    REFUND,
    PayPalNotice,
    Row,
    charge_of,
    money_of,
    movement_of,
    payout_of,
    payout_value_of,
    refund_of,
    subject_of,
    value_of,
)
from kelmah.services.payment.providers.terms import TERMS
from kelmah.services.payment.settings import PaymentSettings

ResultT = TypeVar("ResultT")
#: The longest time that one report covers, and how it wants instants.
REPORT_SPAN = timedelta(days=31)
TIME = "%Y-%m-%dT%H:%M:%SZ"


class _Batch(paypalrestsdk.Payout):  # type: ignore[misc]  # the SDK has no types
    """The SDK's payout. Its own path ends with a slash, at which its joining of paths doubles the id."""

    path = "/v1/payments/payouts"


class PayPal:
    """A `PaymentProvider`. Made by `connect`."""

    terms = TERMS[Provider.PAYPAL]
    needs_method = False

    def __init__(
        self,
        api: PayPalApi,
        pool: ThreadPoolExecutor,
        certificates: Certificates,
        *,
        webhook_ids: list[str],
        return_url: str,
    ) -> None:
        self._api = api
        self._pool = pool
        self._certificates = certificates
        self._webhook_ids = webhook_ids
        self._return_url = return_url

    async def create(self, *, deposit_id: str, amount: Money, method: str, customer: str | None) -> Charge:
        body = {
            "intent": "CAPTURE",
            "purchase_units": [{"reference_id": deposit_id, "custom_id": deposit_id, "amount": value_of(amount)}],
            "payment_source": {
                "paypal": {
                    "experience_context": {
                        "return_url": self._return_url,
                        "cancel_url": self._return_url,
                        "user_action": "PAY_NOW",
                        "shipping_preference": "NO_SHIPPING",
                    }
                }
            },
        }
        order = await self._post("v2/checkout/orders", body, key=f"deposit:{deposit_id}:create")
        return charge_of(order)

    async def confirm(self, ref: str, *, deposit_id: str) -> Charge:
        try:
            order = await self._post(f"v2/checkout/orders/{ref}/capture", {}, key=f"deposit:{deposit_id}:confirm")
        except ProviderRefusedError as refusal:
            charge = await self.retrieve(ref)
            if refusal.code == "INSTRUMENT_DECLINED":
                return charge._replace(state=ChargeState.DECLINED, failure_code=refusal.code.lower())
            return charge
        return charge_of(order)

    async def retrieve(self, ref: str) -> Charge:
        return charge_of(await self._get(f"v2/checkout/orders/{ref}"))

    async def cancel(self, ref: str) -> Charge:
        charge = await self.retrieve(ref)
        # PayPal forgets orders by itself. Nothing is taken unless we capture it, and of this one we never will.
        left = (ChargeState.ACTION, ChargeState.APPROVED)
        return charge._replace(state=ChargeState.CANCELED) if charge.state in left else charge

    async def send(self, order: PayoutOrder) -> Payout:
        if order.charge_ref is not None:
            return await self._refund(order, order.charge_ref)
        payout = _Batch(
            {
                "sender_batch_header": {"sender_batch_id": order.withdrawal_id},
                "items": [
                    {
                        "recipient_type": "PAYPAL_ID",
                        "receiver": order.destination,
                        "sender_item_id": order.withdrawal_id,
                        "amount": payout_value_of(order.amount),
                    }
                ],
            },
            api=self._api,
        )
        payout.request_id = f"withdrawal:{order.withdrawal_id}"
        try:
            await self._run(payout.create)
        except _BatchExists as twin:
            return await self.retrieve_payout(BATCH + twin.batch_id)
        return await self.retrieve_payout(BATCH + payout.batch_header.payout_batch_id)

    async def find_payout(self, order: PayoutOrder) -> Payout | None:
        if order.charge_ref is None:
            # There is no search by our name, but `send` again cannot pay twice: PayPal knows the batch's name.
            return None
        unit = (await self._get(f"v2/checkout/orders/{order.charge_ref}"))["purchase_units"][0]
        refunds = unit.get("payments", {}).get("refunds", [])
        return next((refund_of(one) for one in refunds if one.get("custom_id") == order.withdrawal_id), None)

    async def retrieve_payout(self, ref: str) -> Payout:
        if ref.startswith(REFUND):
            return refund_of(await self._get(f"v2/payments/refunds/{ref.removeprefix(REFUND)}"))
        name = ref.removeprefix(BATCH)
        found = await self._run(lambda: _Batch.find(name, api=self._api))
        return payout_of(found.to_dict())

    async def retrieve_chargeback(self, ref: str) -> Chargeback:
        dispute = await self._get(f"v1/customer/disputes/{ref}")
        capture = await self._get(
            f"v2/payments/captures/{dispute['disputed_transactions'][0]['seller_transaction_id']}"
        )
        amount = money_of(dispute["dispute_amount"])
        state = ChargebackState.OPEN
        if dispute["status"] == "RESOLVED":
            lost = dispute.get("dispute_outcome", {}).get("outcome_code") in ("RESOLVED_BUYER_FAVOUR", "ACCEPTED")
            state = ChargebackState.LOST if lost else ChargebackState.WON
        order_id = capture["supplementary_data"]["related_ids"]["order_id"]
        return Chargeback(dispute["dispute_id"], state, order_id, amount.amount, amount.currency)

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        start = since
        while start < until:  # one report spans at most 31 days
            end = min(start + REPORT_SPAN, until)
            page = pages = 1
            while page <= pages:
                query = {
                    "start_date": start.strftime(TIME),
                    "end_date": end.strftime(TIME),
                    "fields": "transaction_info",
                    "page_size": 500,
                    "page": page,
                }
                report = await self._get(f"v1/reporting/transactions?{urlencode(query)}")
                for one in report["transaction_details"]:
                    yield movement_of(one["transaction_info"])
                page, pages = page + 1, report["total_pages"]
            start = end

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedMethod:
        if "_" in token:
            raise ProviderRefusedError("not_a_payer_id")
        return SavedMethod(kind=MethodKind.ACCOUNT, token=token, brand="paypal", last4=token[-4:])

    async def forget_method(self, token: str) -> None:
        """Payer ids are PayPal's; there is nothing of ours to forget there."""

    async def read_webhook(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        if not self._webhook_ids:
            return None
        certificate = await self._call(lambda: self._certificates.get(headers.get("paypal-cert-url", "")))
        if certificate is None or not is_signed(body, headers, certificate, self._webhook_ids):
            raise WebhookRefused
        try:
            notice = msgspec.json.decode(body, type=PayPalNotice)
        except msgspec.DecodeError as error:
            raise WebhookRefused from error
        return Notice(notice.id, notice.event_type, *subject_of(notice))

    async def _refund(self, order: PayoutOrder, charge_ref: str) -> Payout:
        unit = (await self._get(f"v2/checkout/orders/{charge_ref}"))["purchase_units"][0]
        captures = unit.get("payments", {}).get("captures", [])
        if not captures:
            raise ProviderRefusedError("not_captured")
        body = {"amount": value_of(order.amount), "custom_id": order.withdrawal_id}
        path = f"v2/payments/captures/{captures[0]['id']}/refund"
        return refund_of(await self._post(path, body, key=f"withdrawal:{order.withdrawal_id}"))

    async def _get(self, path: str) -> Row:
        found: Row = await self._run(lambda: self._api.get(path))
        return found

    async def _post(self, path: str, body: Row, *, key: str) -> Row:
        headers = {"PayPal-Request-Id": key, "Prefer": "return=representation"}
        made: Row = await self._run(lambda: self._api.post(path, body, headers=headers))
        return made

    async def _run(self, call: Callable[[], ResultT]) -> ResultT:
        """One call of the SDK in a thread; what goes wrong is sorted by whether money may have moved."""
        try:
            return await self._call(call)
        except (exceptions.BadRequest, exceptions.ResourceNotFound, exceptions.ResourceInvalid) as error:
            raise _refused(error) from error
        except (exceptions.UnauthorizedAccess, exceptions.ForbiddenAccess) as error:
            raise ProviderUnavailable from error
        except (exceptions.ConnectionError, requests.RequestException, ValueError) as error:
            raise ProviderUnsureError from error

    async def _call(self, call: Callable[[], ResultT]) -> ResultT:
        if in_transaction():
            raise RuntimeError("move calls to providers out of the transaction")
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


class _BatchExists(ProviderRefusedError):
    """A payout of this name was made before; `batch_id` is PayPal's name for it."""

    def __init__(self, batch_id: str) -> None:
        super().__init__("batch_exists")
        self.batch_id = batch_id


@asynccontextmanager
async def connect(settings: PaymentSettings) -> AsyncIterator[PayPal | None]:
    """Open the client of a process, and close it. None when PayPal is off."""
    if settings.paypal_client_id is None or settings.paypal_client_secret is None:
        yield None
        return
    api = PayPalApi(
        client_id=settings.paypal_client_id,
        client_secret=settings.paypal_client_secret.get_secret_value(),
        mode=settings.paypal_mode,
        base_url=settings.paypal_base_url,
        timeout_s=settings.paypal_timeout_s,
    )
    certificates = Certificates(
        [f"https://{host}" for host in settings.paypal_certificate_hosts]
        + ([settings.paypal_base_url] if settings.paypal_base_url else []),
        timeout_s=settings.paypal_timeout_s,
    )
    pool = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="paypal")
    try:
        yield PayPal(
            api,
            pool,
            certificates,
            webhook_ids=settings.paypal_webhook_ids,
            return_url=settings.public_url,
        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        api.close()


def _refused(error: exceptions.ClientError) -> ProviderRefusedError | ProviderUnsureError:
    try:
        body = msgspec.json.decode(error.content or "{}", type=Row)
        details = body.get("details") or [{}]
    except msgspec.DecodeError:
        return ProviderUnsureError()  # not PayPal's words: something on the way answered
    for link in details[0].get("link", []):
        if details[0].get("field") == "SENDER_BATCH_ID" and link.get("rel") == "self":
            return _BatchExists(str(link["href"]).rsplit("/", 1)[-1])
    return ProviderRefusedError(str(details[0].get("issue") or body.get("name") or "refused"))
