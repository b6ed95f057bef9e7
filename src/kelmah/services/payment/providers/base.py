"""What the payment service asks of a payment provider, and what may come of it.

A charge is made in two steps: `create` names it and moves nothing, `confirm` takes the money. Between them the name
is stored, so that whatever happens during `confirm` can be asked about by name and is never tried under another.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from kelmah.contracts.common import Money
from kelmah.contracts.payment import BankAccount, MethodKind


class ChargeState(StrEnum):
    """Where a provider's charge stands, in our words."""

    CREATED = "created"
    #: The payer agreed, and the money is there to be taken by `confirm`.
    APPROVED = "approved"
    ACTION = "action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELED = "canceled"


class Charge(NamedTuple):
    """A provider's charge: `amount` minor units of `currency`, received if it succeeded."""

    ref: str
    state: ChargeState
    amount: int
    currency: str
    deposit_id: str | None = None
    client_secret: str | None = None
    failure_code: str | None = None
    action_url: str | None = None
    pay_to: BankAccount | None = None


class PayoutState(StrEnum):
    """Where money that a provider sends out stands, in our words."""

    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"


class PayoutOrder(NamedTuple):
    """What is to be sent: to an account (`destination`), or back where a charge came from (`charge_ref`)."""

    withdrawal_id: str
    amount: Money
    destination: str | None = None
    charge_ref: str | None = None


class Payout(NamedTuple):
    """A provider's payout, transfer or refund."""

    ref: str
    state: PayoutState
    amount: int
    currency: str
    withdrawal_id: str | None = None
    failure_code: str | None = None


class ChargebackState(StrEnum):
    """Where a payer's bank stands about a payment that it took back."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Chargeback(NamedTuple):
    """A payment that the payer's bank took back, for now or for good."""

    ref: str
    state: ChargebackState
    charge_ref: str
    amount: int
    currency: str


class SavedMethod(NamedTuple):
    """A method that the provider keeps: a card of a customer, or an account that can be paid to."""

    kind: MethodKind
    token: str
    brand: str
    last4: str
    customer: str = ""
    expires_month: int | None = None
    expires_year: int | None = None


class About(StrEnum):
    """What a notice is about."""

    CHARGE = "charge"
    PAYOUT = "payout"
    CHARGEBACK = "chargeback"
    FILE = "file"
    NOTHING = "nothing"


class Notice(NamedTuple):
    """A verified webhook: there is news of the provider's object `ref`. About nothing: nothing is to be done."""

    id: str
    type: str
    about: About = About.NOTHING
    ref: str = ""


class Movement(NamedTuple):
    """What a provider booked of our money: `amount` more that it owes us, or less; it kept `fee` for itself.

    `ours` is our name for what it is about, if the provider kept it, `ref` the provider's. A settlement is what it
    sent to our own bank account.
    """

    id: str
    ref: str
    amount: int
    currency: str
    at: datetime
    fee: int = 0
    ours: str | None = None
    is_settlement: bool = False


class Terms(NamedTuple):
    """What a provider takes: by currency, the least that it pays in and out, in minor units.

    Its fee on a payment in is at most `fee_basis_points` of it and `fee_fixed` minor units.
    """

    pay_in: Mapping[str, int]
    pay_out: Mapping[str, int]
    fee_basis_points: int = 0
    fee_fixed: int = 0


class ProviderRefusedError(Exception):
    """The provider says no, for good; nothing moved. `code` is its own word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ProviderUnsureError(Exception):
    """No usable answer: the request may have had its effect, or may not."""


class PaymentProvider(Protocol):
    """A provider that takes and sends money. Every method may raise `ProviderUnsureError`.

    None may be called in a transaction. Each carries a key of our own, so that a repetition is no second effect.
    """

    terms: Terms
    #: Whether a deposit needs a saved method or a token; without, the payer agrees at the provider.
    needs_method: bool

    async def create(self, *, deposit_id: str, amount: Money, method: str, customer: str | None) -> Charge:
        """Name a charge without taking money. Raises `ProviderRefusedError`."""

    async def confirm(self, ref: str, *, deposit_id: str) -> Charge:
        """Take the money of a created charge. Of any other, tell where it stands."""

    async def retrieve(self, ref: str) -> Charge:
        """Where a charge stands now. Raises `ProviderRefusedError`: there is no such charge."""

    async def cancel(self, ref: str) -> Charge:
        """Make sure that a charge that took no money never will; tell where it stands if it is too late."""

    async def send(self, order: PayoutOrder) -> Payout:
        """Send money out. Raises `ProviderRefusedError`: nothing was sent."""

    async def find_payout(self, order: PayoutOrder) -> Payout | None:
        """What an earlier `send` of this order made. None: it made nothing."""

    async def retrieve_payout(self, ref: str) -> Payout:
        """Where a payout stands now. Raises `ProviderRefusedError`: there is no such payout."""

    async def retrieve_chargeback(self, ref: str) -> Chargeback:
        """Where a chargeback stands now. Raises `ProviderRefusedError`: there is no such chargeback."""

    def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        """What the provider booked of our money between two instants, by its own report."""

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedMethod:
        """Keep a method for a person. Raises `ProviderRefusedError`."""

    async def forget_method(self, token: str) -> None:
        """Keep a method no more. Not there: nothing to do."""

    async def read_webhook(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        """Verify a notice on its raw body, at most 300 seconds old. None when notices are not taken.

        Raises:
            WebhookRefused: the signature is missing, wrong or stale, or the body is not a notice.
        """
