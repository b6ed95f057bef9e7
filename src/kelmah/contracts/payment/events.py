"""What the payment service tells of."""

from datetime import datetime
from typing import ClassVar, Literal

from kelmah.contracts.common import Event, Money


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
    status: Literal["open", "won", "lost"]


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
    """Escrow was paid out: of `amount` the worker was charged a fee, and tax was withheld.

    `held_amount` minor units stay in the escrow; it is over when that is zero.
    """

    TYPE: ClassVar[str] = "payment.escrow_released.v1"
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: Money
    fee_amount: int
    tax_amount: int = 0
    held_amount: int = 0


class EscrowRefunded(Event, frozen=True, kw_only=True):
    """What was left in an escrow went back to the hirer; `released_amount` minor units had been paid out before."""

    TYPE: ClassVar[str] = "payment.escrow_refunded.v1"
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: Money
    released_amount: int = 0


class DisputeEvent(Event, frozen=True, kw_only=True):
    """What every event of a dispute says."""

    dispute_id: str
    escrow_id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str


class DisputeRaised(DisputeEvent, frozen=True, kw_only=True):
    """One side disputes an escrow; its money is frozen until a ruling."""

    TYPE: ClassVar[str] = "payment.dispute_raised.v1"
    raised_by: str


class DisputeAnswered(DisputeEvent, frozen=True, kw_only=True):
    """The other side of a dispute answered in time."""

    TYPE: ClassVar[str] = "payment.dispute_answered.v1"
    answered_by: str


class DisputeEvidenceAdded(DisputeEvent, frozen=True, kw_only=True):
    """A side of a dispute brought a file."""

    TYPE: ClassVar[str] = "payment.dispute_evidence_added.v1"
    evidence_id: str
    added_by: str


class DisputeOfferMade(DisputeEvent, frozen=True, kw_only=True):
    """A side of a dispute offers how to share the escrow; amounts are minor units of its currency."""

    TYPE: ClassVar[str] = "payment.dispute_offer_made.v1"
    offer_id: str
    offered_by: str
    worker_amount: int
    hirer_amount: int


class DisputeEscalated(DisputeEvent, frozen=True, kw_only=True):
    """The sides did not agree in time; support rules."""

    TYPE: ClassVar[str] = "payment.dispute_escalated.v1"


class DisputeRuled(DisputeEvent, frozen=True, kw_only=True):
    """There is a ruling, by support or because nobody answered; it takes effect unless somebody appeals in time."""

    TYPE: ClassVar[str] = "payment.dispute_ruled.v1"
    worker_amount: int
    hirer_amount: int
    ruled_by: str
    appeal_until: datetime


class DisputeAppealed(DisputeEvent, frozen=True, kw_only=True):
    """A side asks for a second ruling, by somebody else."""

    TYPE: ClassVar[str] = "payment.dispute_appealed.v1"
    appealed_by: str


class DisputeResolved(DisputeEvent, frozen=True, kw_only=True):
    """A disputed escrow was split, by ruling or by agreement; amounts are minor units of its currency."""

    TYPE: ClassVar[str] = "payment.dispute_resolved.v1"
    worker_amount: int
    hirer_amount: int
    fee_amount: int = 0
    tax_amount: int = 0


class DisputeWithdrawn(DisputeEvent, frozen=True, kw_only=True):
    """Whoever raised a dispute took it back, or the bank gave back what it was about: the escrow is as it was."""

    TYPE: ClassVar[str] = "payment.dispute_withdrawn.v1"
    withdrawn_by: str


class ExceptionResolved(Event, frozen=True, kw_only=True):
    """Somebody took a difference out of the queue; money in suspense went to `credited_user_id`, if anybody."""

    TYPE: ClassVar[str] = "payment.exception_resolved.v1"
    exception_id: str
    kind: str
    resolved_by: str
    reason: str
    credited_user_id: str | None = None


class PastMoneyViewed(Event, frozen=True, kw_only=True):
    """An admin looked at how something stood at a past instant."""

    TYPE: ClassVar[str] = "payment.past_money_viewed.v1"
    viewer_id: str
    viewed: str
    at: str


class ReferrerNamed(Event, frozen=True, kw_only=True):
    """A worker said who brought them."""

    TYPE: ClassVar[str] = "payment.referrer_named.v1"
    worker_id: str
    referrer_id: str
