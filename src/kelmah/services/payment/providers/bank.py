"""A bank: money comes in with a reference, and goes out in files; statements say what became of both.

Nothing here calls the bank. Orders wait in our database for `kelmah bank export`, and `kelmah bank import`, or the
bank's notices, bring its files (see `service.bank`).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

import msgspec

from kelmah.contracts.common import Money
from kelmah.contracts.payment import BankAccount, DepositStatus, MethodKind, Provider
from kelmah.kit import clock
from kelmah.kit.crypto import KeyRing
from kelmah.kit.mongo import in_transaction
from kelmah.services.payment.documents import bank as documents
from kelmah.services.payment.documents import deposits
from kelmah.services.payment.errors import BankFileRefused, WebhookRefused
from kelmah.services.payment.providers.base import (
    About,
    Charge,
    Chargeback,
    ChargeState,
    Movement,
    Notice,
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
    SavedMethod,
    Terms,
)
from kelmah.services.payment.providers.iso20022 import read_file
from kelmah.services.payment.providers.references import is_checked, make_reference
from kelmah.services.payment.settings import PaymentSettings

#: How old a notice may be.
WEBHOOK_TOLERANCE_S = 300
MAX_SIGNATURES = 8
PAYOUT_STATES = {
    documents.PAID: PayoutState.PAID,
    documents.FAILED: PayoutState.FAILED,
    documents.RETURNED: PayoutState.RETURNED,
}


class Bank:
    """A `PaymentProvider`. Made by `connect`."""

    needs_method = False

    def __init__(self, accounts: Mapping[str, BankAccount], ring: KeyRing, *, webhook_secrets: list[str]) -> None:
        self.terms = Terms(pay_in=dict.fromkeys(accounts, 1), pay_out=dict.fromkeys(accounts, 1))
        self._accounts = accounts
        self._ring = ring
        self._webhook_secrets = webhook_secrets

    async def create(self, *, deposit_id: str, amount: Money, method: str, customer: str | None) -> Charge:
        account = self._accounts[amount.currency]
        reference = make_reference(deposit_id)
        return Charge(reference, ChargeState.ACTION, amount.amount, amount.currency, deposit_id, pay_to=account)

    async def confirm(self, ref: str, *, deposit_id: str) -> Charge:
        return await self.retrieve(ref)

    async def retrieve(self, ref: str) -> Charge:
        _outside()
        deposit = await deposits.find_by_provider_ref(Provider.BANK, ref)
        if deposit is None:
            raise ProviderRefusedError("unknown_reference")
        is_paid = deposit.status is DepositStatus.SUCCEEDED
        return Charge(
            ref,
            ChargeState.SUCCEEDED if is_paid else ChargeState.ACTION,
            deposit.amount,
            deposit.currency,
            deposit.id,
            pay_to=self._accounts.get(deposit.currency),
        )

    async def cancel(self, ref: str) -> Charge:
        charge = await self.retrieve(ref)
        # Money that comes later all the same fits no open deposit, and goes to suspense.
        return charge._replace(state=ChargeState.CANCELED) if charge.state is ChargeState.ACTION else charge

    async def send(self, order: PayoutOrder) -> Payout:
        _outside()
        if order.destination is None:
            raise ProviderRefusedError("banks_pay_to_accounts_only")
        payout = documents.BankPayoutDocument(
            id=order.withdrawal_id,
            amount=order.amount.amount,
            currency=order.amount.currency,
            destination=self._ring.encrypt(order.destination.encode(), context=order.withdrawal_id.encode()),
            created_at=clock.now(),
        )
        return _payout(await documents.queue_payout(payout))

    async def find_payout(self, order: PayoutOrder) -> Payout | None:
        _outside()
        payout = await documents.find_payout(order.withdrawal_id)
        return _payout(payout) if payout else None

    async def retrieve_payout(self, ref: str) -> Payout:
        _outside()
        payout = await documents.find_payout(ref)
        if payout is None:
            raise ProviderRefusedError("unknown_payout")
        return _payout(payout)

    async def retrieve_chargeback(self, ref: str) -> Chargeback:
        raise ProviderRefusedError("banks_take_nothing_back")

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        async for line in documents.lines_between(since, until):
            is_suspense = line.outcome.startswith(documents.SUSPENSE)
            ref = line.id if is_suspense or line.subject_id is None else line.subject_id
            yield Movement(line.id, ref, line.amount, line.currency, line.booked_at)

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedMethod:
        account = msgspec.json.decode(token, type=BankAccount)
        if account.number[0].isalpha() and not is_checked(account.number):
            raise ProviderRefusedError("iban_check_digits")
        if not account.is_bic and not account.number.isdigit():
            raise ProviderRefusedError("not_a_phone_number")
        kind = MethodKind.ACCOUNT if account.is_bic else MethodKind.MOBILE_MONEY
        return SavedMethod(kind=kind, token=token, brand=account.bank.lower(), last4=account.number[-4:])

    async def forget_method(self, token: str) -> None:
        """The bank keeps nothing of it."""

    async def read_webhook(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        """As https://www.standardwebhooks.com has it; the body is a file."""
        if not self._webhook_secrets:
            return None
        name, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not (0 < len(name) <= 100 and name.isascii() and name.isprintable() and _is_fresh(sent_at)):
            raise WebhookRefused
        signed = f"{name}.{sent_at}.".encode() + body
        given = [_decoded(one) for one in headers.get("webhook-signature", "").split(" ")[:MAX_SIGNATURES]]
        for secret in self._webhook_secrets:
            right = hmac.digest(secret.encode(), signed, hashlib.sha256)
            if any(hmac.compare_digest(right, one) for one in given):
                break
        else:
            raise WebhookRefused
        try:
            read_file(body)
        except BankFileRefused as error:
            raise WebhookRefused from error
        return Notice(name, "file", About.FILE, name)


def connect(settings: PaymentSettings, ring: KeyRing) -> Bank | None:
    """The bank, unless it is off."""
    if not settings.bank_accounts:
        return None
    secrets = [secret.get_secret_value() for secret in settings.bank_webhook_secrets]
    return Bank(settings.bank_accounts, ring, webhook_secrets=secrets)


def _payout(payout: documents.BankPayoutDocument) -> Payout:
    state = PAYOUT_STATES.get(payout.status, PayoutState.IN_TRANSIT)
    return Payout(payout.id, state, payout.amount, payout.currency, payout.id, payout.failure_code)


def _is_fresh(sent_at: str) -> bool:
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
        return False
    return abs(clock.now().timestamp() - int(sent_at)) <= WEBHOOK_TOLERANCE_S


def _decoded(signature: str) -> bytes:
    version, _, value = signature.partition(",")
    try:
        return base64.b64decode(value, validate=True) if version == "v1" else b""
    except (binascii.Error, ValueError):
        return b""


def _outside() -> None:
    if in_transaction():
        raise RuntimeError("move calls to providers out of the transaction")
