"""Disputes over an escrow."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import MAX_SAFE_INTEGER, Id, Money, Request, Response

#: Minor units that may be zero.
MinorUnits = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER, description="Minor units.", examples=[15000])]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]


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
