"""Who is told of which event, and as what: one table. What is not here is nobody's news."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kelmah.contracts.auth import DataExportReady, PasswordChanged
from kelmah.contracts.common import Event
from kelmah.contracts.job import (
    AmendmentClosed,
    AmendmentProposed,
    ApplicationAccepted,
    ApplicationReceived,
    ApplicationRejected,
    ApplicationShortlisted,
    ApplicationWithdrawn,
    BookingRefused,
    ContractCancelled,
    ContractCompleted,
    ContractOfferAnswered,
    ContractOffered,
    ContractOfferExpired,
    ContractSigned,
    ContractTermsChanged,
    CounterOfferAnswered,
    CounterOfferMade,
    InvitationDeclined,
    JobAlert,
    JobExpired,
    MilestoneApproved,
    MilestoneChangesRequested,
    MilestoneDue,
    MilestoneSubmitted,
)
from kelmah.contracts.messaging import NotificationKind as Kind
from kelmah.contracts.payment import (
    ChargebackChanged,
    DisputeAnswered,
    DisputeAppealed,
    DisputeEscalated,
    DisputeEvidenceAdded,
    DisputeOfferMade,
    DisputeRaised,
    DisputeResolved,
    DisputeRuled,
    DisputeWithdrawn,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
    PaymentProcessed,
    WithdrawalFailed,
)
from kelmah.contracts.review import ReviewHeld, ReviewModerated, ReviewRevealed
from kelmah.contracts.user import CertificateDecided, CertificateExpiring, Verification


class Notice(NamedTuple):
    """What is made of an event. Each of `to`, `but` and `about` names fields of the event.

    `but` holds who did it and knows; `about` are the ids that go with the notification.
    """

    kind: Kind
    to: tuple[str, ...]
    about: tuple[str, ...]
    but: str | None = None

    def people(self, event: Event) -> list[str]:
        """Who is told."""
        knows = None if self.but is None else getattr(event, self.but)
        return [user_id for name in self.to if (user_id := getattr(event, name)) not in (None, knows)]


_HIRER = ("hirer_id",)
_WORKER = ("worker_id",)
_BOTH = ("worker_id", "hirer_id")
_USER = ("user_id",)
_JOB = ("job_id",)
_APPLICATION = ("application_id", "job_id")
_INVITATION = ("invitation_id", "job_id")
_CONTRACT = ("contract_id", "job_id")
_MILESTONE = ("contract_id", "milestone_id")
_ESCROW = ("escrow_id", "contract_id", "milestone_id")
_DISPUTE = ("dispute_id", *_ESCROW)


def _job_alert(event: JobAlert) -> Notice:
    return Notice(Kind.JOB_INVITATION if event.because == "invitation" else Kind.JOB_ALERT, _WORKER, _JOB)


def _counter_offer_answered(event: CounterOfferAnswered) -> Notice:
    return Notice(Kind.COUNTER_OFFER_TAKEN if event.taken else Kind.COUNTER_OFFER_LEFT, _HIRER, _APPLICATION)


def _contract_offer_answered(event: ContractOfferAnswered) -> Notice:
    return Notice(Kind.CONTRACT_OFFER_TAKEN if event.taken else Kind.CONTRACT_OFFER_DECLINED, _HIRER, _CONTRACT)


def _milestone_due(event: MilestoneDue) -> Notice:
    return Notice(Kind.MILESTONE_LATE if event.late else Kind.MILESTONE_DUE, _BOTH, _MILESTONE)


def _certificate_decided(event: CertificateDecided) -> Notice:
    is_verified = event.verification == Verification.VERIFIED
    return Notice(Kind.CERTIFICATE_VERIFIED if is_verified else Kind.CERTIFICATE_REJECTED, _USER, ("certificate_id",))


def _contract_signed(event: ContractSigned) -> Notice:
    if event.complete:
        return Notice(Kind.CONTRACT_ACTIVE, _BOTH, _CONTRACT)
    return Notice(Kind.CONTRACT_SIGNED, _BOTH, _CONTRACT, but="signed_by")


def _amendment_closed(event: AmendmentClosed) -> Notice:
    kind = Kind.AMENDMENT_SIGNED if event.signed else Kind.AMENDMENT_DROPPED
    return Notice(kind, _BOTH, ("contract_id",), but="closed_by")


def _payment_processed(event: PaymentProcessed) -> Notice:
    kind = Kind.WITHDRAWAL_PROCESSED if event.purpose == "withdrawal" else Kind.DEPOSIT_PROCESSED
    return Notice(kind, _USER, ("transaction_id",))


def _chargeback_changed(event: ChargebackChanged) -> Notice:
    """For the payer; the workers whose escrows are frozen for it hear of the dispute."""
    kinds = {"open": Kind.CHARGEBACK_OPENED, "won": Kind.CHARGEBACK_WON, "lost": Kind.CHARGEBACK_LOST}
    return Notice(kinds[event.status], _USER, ("chargeback_id", "deposit_id"))


#: Event → what is made of it, or the function that says what.
NOTICES: Mapping[type[Event], Notice | Callable[[Any], Notice]] = {
    JobAlert: _job_alert,
    JobExpired: Notice(Kind.JOB_EXPIRED, _HIRER, _JOB),
    InvitationDeclined: Notice(Kind.INVITATION_DECLINED, _HIRER, _INVITATION),
    ApplicationReceived: Notice(Kind.APPLICATION_RECEIVED, _HIRER, _APPLICATION),
    ApplicationShortlisted: Notice(Kind.APPLICATION_SHORTLISTED, _WORKER, _APPLICATION),
    ApplicationAccepted: Notice(Kind.APPLICATION_ACCEPTED, _WORKER, (*_APPLICATION, "contract_id")),
    ApplicationRejected: Notice(Kind.APPLICATION_REJECTED, _WORKER, _APPLICATION),
    ApplicationWithdrawn: Notice(Kind.APPLICATION_WITHDRAWN, _HIRER, _APPLICATION),
    CounterOfferMade: Notice(Kind.COUNTER_OFFER_MADE, _WORKER, _APPLICATION),
    CounterOfferAnswered: _counter_offer_answered,
    ContractSigned: _contract_signed,
    ContractTermsChanged: Notice(Kind.CONTRACT_TERMS_CHANGED, _BOTH, _CONTRACT, but="changed_by"),
    ContractOffered: Notice(Kind.CONTRACT_OFFERED, _WORKER, _CONTRACT),
    ContractOfferAnswered: _contract_offer_answered,
    ContractOfferExpired: Notice(Kind.CONTRACT_OFFER_EXPIRED, _BOTH, _CONTRACT),
    BookingRefused: Notice(Kind.BOOKING_REFUSED, _BOTH, _CONTRACT),
    ContractCancelled: Notice(Kind.CONTRACT_CANCELLED, _BOTH, _CONTRACT, but="cancelled_by"),
    ContractCompleted: Notice(Kind.CONTRACT_COMPLETED, _BOTH, _CONTRACT),
    AmendmentProposed: Notice(Kind.AMENDMENT_PROPOSED, _BOTH, ("contract_id",), but="proposed_by"),
    AmendmentClosed: _amendment_closed,
    MilestoneDue: _milestone_due,
    MilestoneSubmitted: Notice(Kind.MILESTONE_SUBMITTED, _HIRER, _MILESTONE),
    MilestoneChangesRequested: Notice(Kind.CHANGES_REQUESTED, _WORKER, _MILESTONE),
    MilestoneApproved: Notice(Kind.MILESTONE_APPROVED, _WORKER, _MILESTONE),
    EscrowFunded: Notice(Kind.ESCROW_FUNDED, _WORKER, _ESCROW),
    EscrowReleased: Notice(Kind.ESCROW_RELEASED, _BOTH, _ESCROW),
    EscrowRefunded: Notice(Kind.ESCROW_REFUNDED, _BOTH, _ESCROW),
    DisputeRaised: Notice(Kind.DISPUTE_RAISED, _BOTH, _DISPUTE, but="raised_by"),
    DisputeAnswered: Notice(Kind.DISPUTE_ANSWERED, _BOTH, _DISPUTE, but="answered_by"),
    DisputeEvidenceAdded: Notice(Kind.DISPUTE_EVIDENCE_ADDED, _BOTH, _DISPUTE, but="added_by"),
    DisputeOfferMade: Notice(Kind.DISPUTE_OFFER_MADE, _BOTH, _DISPUTE, but="offered_by"),
    DisputeEscalated: Notice(Kind.DISPUTE_ESCALATED, _BOTH, _DISPUTE),
    DisputeRuled: Notice(Kind.DISPUTE_RULED, _BOTH, _DISPUTE),
    DisputeAppealed: Notice(Kind.DISPUTE_APPEALED, _BOTH, _DISPUTE, but="appealed_by"),
    DisputeResolved: Notice(Kind.DISPUTE_RESOLVED, _BOTH, _DISPUTE),
    DisputeWithdrawn: Notice(Kind.DISPUTE_WITHDRAWN, _BOTH, _DISPUTE, but="withdrawn_by"),
    PaymentProcessed: _payment_processed,
    WithdrawalFailed: Notice(Kind.WITHDRAWAL_FAILED, _USER, ("withdrawal_id",)),
    ChargebackChanged: _chargeback_changed,
    ReviewRevealed: Notice(Kind.REVIEW_REVEALED, ("subject_id",), ("review_id", "contract_id")),
    ReviewHeld: Notice(Kind.REVIEW_HELD, ("reviewer_id",), ("review_id", "contract_id")),
    ReviewModerated: Notice(Kind.REVIEW_DECIDED, ("reviewer_id", "subject_id"), ("review_id",)),
    CertificateExpiring: Notice(Kind.CERTIFICATE_EXPIRING, _USER, ("certificate_id",)),
    CertificateDecided: _certificate_decided,
    PasswordChanged: Notice(Kind.PASSWORD_CHANGED, _USER, ()),
    DataExportReady: Notice(Kind.DATA_EXPORT_READY, _USER, ("export_id",)),
}


def notice_of(event: Event) -> Notice:
    """What is made of this event, which is one of the table's."""
    notice = NOTICES[type(event)]
    return notice if isinstance(notice, Notice) else notice(event)
