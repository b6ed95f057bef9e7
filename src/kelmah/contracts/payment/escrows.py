"""Escrow: money that is held for a milestone."""

from datetime import datetime
from enum import StrEnum

from kelmah.contracts.common import Balance, Id, Money, Request, Response
from kelmah.contracts.payment.wallets import DepositView, PaymentToken, Provider


class EscrowStatus(StrEnum):
    """Where an escrow stands; the legal steps are one table in the payment service."""

    PENDING = "pending"
    FUNDED = "funded"
    RELEASED = "released"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    SETTLED = "settled"
    VOIDED = "voided"
    EXPIRED = "expired"


class FundEscrow(Request, frozen=True, kw_only=True):
    """Put a milestone's amount into escrow: from the wallet, or straight from a provider if one is named.

    By card with `methodId` or `paymentMethod`, as for a deposit.
    """

    contract_id: Id
    milestone_id: Id
    provider: Provider | None = None
    method_id: Id | None = None
    payment_method: PaymentToken | None = None


class ReleaseEscrow(Request, frozen=True, kw_only=True):
    """Pay out part of an escrow; the rest stays in it. Without an amount, all that is left."""

    amount: Money | None = None


class EscrowView(Response, frozen=True, kw_only=True):
    """Money held for a milestone: `held` is still inside, of `released` went `net` to the worker.

    `fee` is the platform's, `tax` is withheld for the state. With `pending`, `payment` says how the payer goes on.
    """

    id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    status: EscrowStatus
    amount: Money
    created_at: datetime
    updated_at: datetime
    held: Balance
    released: Balance
    net: Balance | None = None
    fee: Balance | None = None
    tax: Balance | None = None
    refunded: Balance | None = None
    payment: DepositView | None = None
