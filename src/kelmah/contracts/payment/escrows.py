"""Escrow: money that is held for a milestone."""

from datetime import datetime
from enum import StrEnum

from kelmah.contracts.common import Balance, Id, Money, Request, Response


class EscrowStatus(StrEnum):
    """Where an escrow stands; the legal steps are one table in the payment service."""

    FUNDED = "funded"
    RELEASED = "released"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    SETTLED = "settled"


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
