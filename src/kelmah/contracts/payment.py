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
#: Minor units that may be zero.
MinorUnits = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER, description="Minor units.", examples=[15000])]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]


class Provider(StrEnum):
    """Who moves money in and out of the platform."""

    STRIPE = "stripe"


class WalletBalance(Response, frozen=True, kw_only=True):
    """What a person has in one currency: `available` to spend, `pending` deposits that are not settled yet."""

    currency: Currency
    available: Balance
    pending: Balance


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
    """Pay into one's own wallet, with a saved method (`methodId`) or with a token for this once."""

    amount: Money
    provider: Provider = Provider.STRIPE
    method_id: Id | None = None
    payment_method: PaymentToken | None = None


class DepositView(Response, frozen=True, kw_only=True):
    """A deposit. With `requires_action`, `clientSecret` lets the client finish 3-D Secure with the provider.

    `unknown` means that the provider has not said yet whether it was paid: it is asked again, never charged again.
    """

    id: str
    status: DepositStatus
    amount: Money
    provider: Provider
    created_at: datetime
    client_secret: str | None = None
    failure_code: str | None = None


class TransactionKind(StrEnum):
    """Why money moved in the ledger."""

    DEPOSIT = "deposit"
    SUSPENSE = "suspense"
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


class SaveMethod(Request, frozen=True, kw_only=True):
    """Keep a payment method for later deposits."""

    token: PaymentToken
    provider: Provider = Provider.STRIPE


class MethodView(Response, frozen=True, kw_only=True):
    """A saved payment method, as its owner recognises it."""

    id: str
    provider: Provider
    brand: str
    last4: str
    expires_month: int
    expires_year: int
    created_at: datetime


class WebhookReceived(Response, frozen=True, kw_only=True):
    """A provider's notice was stored; it is handled after this answer."""

    received: bool = True
