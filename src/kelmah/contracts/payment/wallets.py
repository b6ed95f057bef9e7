"""Wallets: deposits, withdrawals and every movement."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Balance, Contract, Currency, Id, Money, Request, Response

#: A name that the card provider gave in exchange for card details, which never reach us.
PaymentToken = Annotated[
    str,
    Meta(
        pattern=r"^pm_[A-Za-z0-9_]{1,250}\Z",
        description="The card provider's token of a payment method; card numbers are refused.",
        examples=["pm_card_visa"],
    ),
]


class Provider(StrEnum):
    """Who moves money in and out of the platform."""

    STRIPE = "stripe"
    PAYPAL = "paypal"
    BANK = "bank"


class BankAccount(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a bank pays to: a bank account, or a mobile-money wallet with its network in the place of the bank."""

    holder: Annotated[str, Meta(min_length=1, max_length=70, pattern=r"^[A-Za-z0-9 .,'()/+:?-]+\Z")]
    bank: Annotated[
        str,
        Meta(
            pattern=r"^([A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?|MTN|TELECEL|AIRTELTIGO)\Z",
            description="The BIC (ISO 9362), or the network of a mobile-money wallet.",
        ),
    ]
    number: Annotated[
        str,
        Meta(
            pattern=r"^([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}|[0-9]{8,20})\Z",
            description="An IBAN, a national account number or a phone number, without spaces.",
        ),
    ]

    @property
    def is_bic(self) -> bool:
        """Whether `bank` is a bank and not a mobile network."""
        return self.bank not in ("MTN", "TELECEL", "AIRTELTIGO")


class WalletBalance(Response, frozen=True, kw_only=True):
    """What a person has in one currency.

    `available` to spend, `pending` deposits that are not settled yet, `held` withdrawals that are on their way.
    """

    currency: Currency
    available: Balance
    pending: Balance
    held: Balance


class PastWallet(Response, frozen=True, kw_only=True):
    """What a person had at an instant, by currency."""

    user_id: str
    at: datetime
    balances: list[Balance]


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
    """A deposit. With `requires_action`, the payer goes on with `clientSecret` (3-D Secure) or at `actionUrl`,
    or sends the exact amount to `payTo` by bank with `reference` as the purpose.

    `unknown` means that the provider has not said yet whether it was paid: it is asked again, never charged again.
    """

    id: str
    status: DepositStatus
    amount: Money
    provider: Provider
    created_at: datetime
    client_secret: str | None = None
    action_url: str | None = None
    reference: str | None = None
    pay_to: BankAccount | None = None
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
    """Give a deposit back to where it came from, out of the wallet that it went to.

    A deposit by bank goes to an account that its payer saved (`methodId`).
    """

    amount: Money
    method_id: Id | None = None


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
    CHARGEBACK_RECOVERY = "chargeback_recovery"
    ESCROW_FUNDING = "escrow_funding"
    ESCROW_RELEASE = "escrow_release"
    ESCROW_REFUND = "escrow_refund"
    DISPUTE_RULING = "dispute_ruling"
    SUSPENSE_CLEARED = "suspense_cleared"
    PROVIDER_FEE = "provider_fee"
    SETTLEMENT = "settlement"
    REVERSAL = "reversal"


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
