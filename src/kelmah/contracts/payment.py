"""What the payment service says: wallets, escrow and the ledger."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from kelmah.contracts.common import (
    MAX_SAFE_INTEGER,
    Balance,
    Currency,
    Event,
    Id,
    Money,
    Request,
    Response,
)


class EscrowStatus(StrEnum):
    """Where an escrow stands; the legal steps are one table in the payment service."""

    FUNDED = "funded"
    RELEASED = "released"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    SETTLED = "settled"


class PaymentProcessed(Event, frozen=True, kw_only=True):
    """A provider's payment was posted to a wallet (`deposit`) or sent out of it (`withdrawal`)."""

    TYPE: ClassVar[str] = "payment.payment_processed.v1"
    transaction_id: str
    user_id: str
    purpose: str
    amount: Money


class WithdrawalFailed(Event, frozen=True, kw_only=True):
    """Money on its way out of a wallet came back: refused, canceled by its owner, or returned later."""

    TYPE: ClassVar[str] = "payment.withdrawal_failed.v1"
    withdrawal_id: str
    user_id: str
    amount: Money
    failure_code: str


class ChargebackChanged(Event, frozen=True, kw_only=True):
    """A payer's bank took a deposit back (`open`), gave it back (`won`) or kept it (`lost`)."""

    TYPE: ClassVar[str] = "payment.chargeback_changed.v1"
    chargeback_id: str
    deposit_id: str
    user_id: str
    amount: Money
    status: str


class EscrowFunded(Event, frozen=True, kw_only=True):
    """A milestone's money is held in escrow; work on it may start."""

    TYPE: ClassVar[str] = "payment.escrow_funded.v1"
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: Money


class EscrowReleased(Event, frozen=True, kw_only=True):
    """Escrow was paid out: `amount` is the gross, of which the platform kept `fee_amount` minor units."""

    TYPE: ClassVar[str] = "payment.escrow_released.v1"
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: Money
    fee_amount: int


class EscrowRefunded(Event, frozen=True, kw_only=True):
    """Escrow went back to the hirer."""

    TYPE: ClassVar[str] = "payment.escrow_refunded.v1"
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: Money


class DisputeRaised(Event, frozen=True, kw_only=True):
    """One side disputes an escrow; its money is frozen until a ruling."""

    TYPE: ClassVar[str] = "payment.dispute_raised.v1"
    dispute_id: str
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    raised_by: str


class DisputeResolved(Event, frozen=True, kw_only=True):
    """Support ruled how a disputed escrow is split; amounts are minor units of its currency."""

    TYPE: ClassVar[str] = "payment.dispute_resolved.v1"
    dispute_id: str
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    worker_amount: int
    hirer_amount: int


# --- For other services (/internal) ---


class EscrowFacts(Response, frozen=True, kw_only=True):
    """An escrow as job needs it. `fee_amount` is minor units of the escrow's currency."""

    id: str
    contract_id: str
    milestone_id: str
    status: EscrowStatus
    amount: Money
    fee_amount: int = 0


# --- Public operations ---

#: A name that the card provider gave in exchange for card details, which never reach us.
PaymentToken = Annotated[
    str,
    Meta(
        pattern=r"^pm_[A-Za-z0-9_]{1,250}\Z",
        description="The card provider's token of a payment method; card numbers are refused.",
        examples=["pm_card_visa"],
    ),
]
#: A provider's name for a card (`pm_…`), for an account to be paid to (`acct_…`) or for a PayPal payer.
MethodToken = Annotated[
    str,
    Meta(
        pattern=r"^((pm|acct)_[A-Za-z0-9_]{1,250}|[A-Z0-9]{13})\Z",
        description="A card (pm_…) or an account to be paid to (acct_…) at Stripe, or a PayPal payer id.",
        examples=["pm_card_visa"],
    ),
]
#: Minor units that may be zero.
MinorUnits = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER, description="Minor units.", examples=[15000])]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]


class Provider(StrEnum):
    """Who moves money in and out of the platform."""

    STRIPE = "stripe"
    PAYPAL = "paypal"


class WalletBalance(Response, frozen=True, kw_only=True):
    """What a person has in one currency.

    `available` to spend, `pending` deposits that are not settled yet, `held` withdrawals that are on their way.
    """

    currency: Currency
    available: Balance
    pending: Balance
    held: Balance


class WalletView(Response, frozen=True, kw_only=True):
    """A person's wallet: one balance a currency, at least that of the default currency."""

    user_id: str
    balances: list[WalletBalance]


class DepositStatus(StrEnum):
    """Where a deposit stands; the legal steps are one table in the payment service."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELED = "canceled"
    MISMATCHED = "mismatched"


class CreateDeposit(Request, frozen=True, kw_only=True):
    """Pay into one's own wallet.

    By card with a saved method (`methodId`) or with a token for this once; by PayPal with neither: the answer says
    where the payer agrees.
    """

    amount: Money
    provider: Provider = Provider.STRIPE
    method_id: Id | None = None
    payment_method: PaymentToken | None = None


class DepositView(Response, frozen=True, kw_only=True):
    """A deposit. With `requires_action`, the payer goes on with `clientSecret` (3-D Secure) or at `actionUrl`.

    `unknown` means that the provider has not said yet whether it was paid: it is asked again, never charged again.
    """

    id: str
    status: DepositStatus
    amount: Money
    provider: Provider
    created_at: datetime
    client_secret: str | None = None
    action_url: str | None = None
    failure_code: str | None = None


class WithdrawalStatus(StrEnum):
    """Where money on its way out stands; the legal steps are one table in the payment service."""

    PENDING = "pending"
    SENDING = "sending"
    IN_TRANSIT = "in_transit"
    UNKNOWN = "unknown"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"
    RETURNED = "returned"


class CreateWithdrawal(Request, frozen=True, kw_only=True):
    """Pay out of one's own wallet to a saved account of one's own."""

    amount: Money
    method_id: Id


class RefundDeposit(Request, frozen=True, kw_only=True):
    """Give a deposit back to where it came from, out of the wallet that it went to."""

    amount: Money


class WithdrawalView(Response, frozen=True, kw_only=True):
    """Money on its way out of a wallet, to an account (`methodId`) or back to a deposit's payer (`depositId`).

    It is held from the first moment. `unknown` means that the provider has not said yet whether it was sent.
    """

    id: str
    status: WithdrawalStatus
    amount: Money
    provider: Provider
    created_at: datetime
    updated_at: datetime
    method_id: str | None = None
    deposit_id: str | None = None
    failure_code: str | None = None


class TransactionKind(StrEnum):
    """Why money moved in the ledger."""

    OPENING = "opening"
    DEPOSIT = "deposit"
    SUSPENSE = "suspense"
    WITHDRAWAL_HOLD = "withdrawal_hold"
    WITHDRAWAL_PAID = "withdrawal_paid"
    WITHDRAWAL_VOID = "withdrawal_void"
    WITHDRAWAL_RETURN = "withdrawal_return"
    CHARGEBACK_OPEN = "chargeback_open"
    CHARGEBACK_WON = "chargeback_won"
    CHARGEBACK_LOST = "chargeback_lost"
    ESCROW_FUNDING = "escrow_funding"
    ESCROW_RELEASE = "escrow_release"
    ESCROW_REFUND = "escrow_refund"
    DISPUTE_RULING = "dispute_ruling"


class TransactionDirection(StrEnum):
    """Into the wallet, or out of it."""

    IN = "in"
    OUT = "out"


class TransactionView(Response, frozen=True, kw_only=True):
    """One movement of a wallet, with the balance that it left."""

    id: str
    kind: TransactionKind
    direction: TransactionDirection
    amount: Money
    balance_after: Balance
    at: datetime
    deposit_id: str | None = None
    escrow_id: str | None = None
    dispute_id: str | None = None
    withdrawal_id: str | None = None
    chargeback_id: str | None = None


class FundEscrow(Request, frozen=True, kw_only=True):
    """Put a milestone's amount from the hirer's wallet into escrow."""

    contract_id: Id
    milestone_id: Id


class EscrowView(Response, frozen=True, kw_only=True):
    """Money held for a milestone. Once it is paid out, `net` went to the worker and `fee` to the platform."""

    id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    status: EscrowStatus
    amount: Money
    created_at: datetime
    updated_at: datetime
    net: Balance | None = None
    fee: Balance | None = None
    refunded: Balance | None = None


class DisputeStatus(StrEnum):
    """Where a dispute stands."""

    OPEN = "open"
    RESOLVED = "resolved"


class RaiseDispute(Request, frozen=True, kw_only=True):
    """Dispute a funded escrow; its money is frozen until support rules."""

    escrow_id: Id
    reason: Text


class ResolveDispute(Request, frozen=True, kw_only=True):
    """A ruling. The two amounts (minor units of the escrow's currency) must add up to the escrow exactly.

    The platform's fee is taken from the worker's part.
    """

    worker_amount: MinorUnits
    hirer_amount: MinorUnits
    note: Text


class DisputeView(Response, frozen=True, kw_only=True):
    """A dispute over an escrow, with its ruling once there is one."""

    id: str
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    raised_by: str
    reason: str
    status: DisputeStatus
    amount: Money
    created_at: datetime
    worker_amount: int | None = None
    hirer_amount: int | None = None
    note: str | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None


class MethodKind(StrEnum):
    """What a saved method is for: a card pays in, an account is paid out to."""

    CARD = "card"
    ACCOUNT = "account"


class SaveMethod(Request, frozen=True, kw_only=True):
    """Keep a card for later deposits, or an account for withdrawals."""

    token: MethodToken
    provider: Provider = Provider.STRIPE


class MethodView(Response, frozen=True, kw_only=True):
    """A saved payment method, as its owner recognises it."""

    id: str
    provider: Provider
    kind: MethodKind
    brand: str
    last4: str
    created_at: datetime
    expires_month: int | None = None
    expires_year: int | None = None


class WebhookReceived(Response, frozen=True, kw_only=True):
    """A provider's notice was stored; it is handled after this answer."""

    received: bool = True
