"""Disputes over an escrow."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, field

from kelmah.contracts.common import MAX_SAFE_INTEGER, Id, Money, Request, Response

#: Minor units that may be zero.
MinorUnits = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER, description="Minor units.", examples=[15000])]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]


class DisputeStatus(StrEnum):
    """Where a dispute stands."""

    OPEN = "open"
    ANSWERED = "answered"
    IN_REVIEW = "in_review"
    RULED = "ruled"
    APPEALED = "appealed"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


class RaiseDispute(Request, frozen=True, kw_only=True):
    """Dispute a funded escrow; its money is frozen until the sides agree or support rules."""

    escrow_id: Id
    reason: Text


class AnswerDispute(Request, frozen=True, kw_only=True):
    """What the other side says."""

    text: Text


class OfferSettlement(Request, frozen=True, kw_only=True):
    """How one would share the escrow out, to the last minor unit. It takes the place of one's last offer."""

    worker_amount: MinorUnits
    hirer_amount: MinorUnits


class AcceptSettlement(Request, frozen=True, kw_only=True):
    """Agree to an offer of the other side, by its id: one that was replaced meanwhile is not agreed to."""

    offer_id: Id


class AppealRuling(Request, frozen=True, kw_only=True):
    """Ask for a second ruling, by somebody else; once in a dispute."""

    reason: Text


class ResolveDispute(Request, frozen=True, kw_only=True):
    """A ruling. The two amounts (minor units of the escrow's currency) must add up to the escrow exactly.

    The platform's fee is taken from the worker's part. The money moves when nobody may appeal any more.
    """

    worker_amount: MinorUnits
    hirer_amount: MinorUnits
    note: Text


class SettlementOffer(Response, frozen=True, kw_only=True):
    """An offer that stands."""

    id: str
    by: str
    worker_amount: int
    hirer_amount: int
    at: datetime


class EvidenceView(Response, frozen=True, kw_only=True):
    """A file that a side brought."""

    id: str
    by: str
    file_name: str
    media_type: str
    size: int
    at: datetime


class DisputeView(Response, frozen=True, kw_only=True):
    """A dispute over an escrow, with its ruling once there is one.

    `deadline_at` is when its state ends by itself; what happens then is the first of its outcomes.
    """

    id: str
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    raised_by: str
    chargeback_id: str | None = None
    reason: str
    status: DisputeStatus
    amount: Money
    created_at: datetime
    deadline_at: datetime | None = None
    answer: str | None = None
    offers: list[SettlementOffer] = field(default_factory=list)
    evidence: list[EvidenceView] = field(default_factory=list)
    worker_amount: int | None = None
    hirer_amount: int | None = None
    note: str | None = None
    resolved_by: str | None = None
    appealed_by: str | None = None
    appeal: str | None = None
    resolved_at: datetime | None = None


class OutcomeKind(StrEnum):
    """What would end a dispute."""

    DEADLINE = "deadline"
    OFFER = "offer"
    RELEASE = "release"
    REFUND = "refund"
    ASKED = "asked"


class DisputeOutcome(Response, frozen=True, kw_only=True):
    """What each side would have of it, in minor units; `worker_net` is what is left to the worker after fee and tax.

    `referral` is the part of the fee that goes to who brought the worker. All is rounded as it will be posted.

    At a deadline after which support rules there are no amounts.
    """

    kind: OutcomeKind
    at: datetime | None = None
    offer_id: str | None = None
    worker_net: int | None = None
    fee: int | None = None
    referral: int | None = None
    tax: int | None = None
    hirer_amount: int | None = None


class DisputeOutcomes(Response, frozen=True, kw_only=True):
    """All that may come of a dispute now: its deadline, the offers that stand, and the two ends of a ruling."""

    currency: str
    outcomes: list[DisputeOutcome]
