"""The events of the job service."""

from typing import ClassVar

from kelmah.contracts.common import Event, Money


class JobCreated(Event, frozen=True, kw_only=True):
    """A hirer wrote a job; it is a draft until published."""

    TYPE: ClassVar[str] = "job.job_created.v1"
    job_id: str
    hirer_id: str


class JobPublished(Event, frozen=True, kw_only=True):
    """A job became open for applications."""

    TYPE: ClassVar[str] = "job.job_published.v1"
    job_id: str
    hirer_id: str


class JobClosed(Event, frozen=True, kw_only=True):
    """A job takes no more applications."""

    TYPE: ClassVar[str] = "job.job_closed.v1"
    job_id: str
    hirer_id: str


class ApplicationReceived(Event, frozen=True, kw_only=True):
    """A worker applied to a job."""

    TYPE: ClassVar[str] = "job.application_received.v1"
    application_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class ApplicationAccepted(Event, frozen=True, kw_only=True):
    """The hirer accepted an application; the contract awaits both signatures."""

    TYPE: ClassVar[str] = "job.application_accepted.v1"
    application_id: str
    job_id: str
    contract_id: str
    hirer_id: str
    worker_id: str


class ApplicationRejected(Event, frozen=True, kw_only=True):
    """The hirer turned an application down, by hand or by accepting another."""

    TYPE: ClassVar[str] = "job.application_rejected.v1"
    application_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class ContractSigned(Event, frozen=True, kw_only=True):
    """One side signed; `complete` once both have and the contract is active."""

    TYPE: ClassVar[str] = "job.contract_signed.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    signed_by: str
    complete: bool


class ContractCancelled(Event, frozen=True, kw_only=True):
    """A contract ended before any of its money was released."""

    TYPE: ClassVar[str] = "job.contract_cancelled.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    cancelled_by: str


class MilestoneSubmitted(Event, frozen=True, kw_only=True):
    """The worker handed in a milestone's work."""

    TYPE: ClassVar[str] = "job.milestone_submitted.v1"
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str


class MilestoneChangesRequested(Event, frozen=True, kw_only=True):
    """The hirer asked for changes to the submitted work."""

    TYPE: ClassVar[str] = "job.milestone_changes_requested.v1"
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str


class MilestoneApproved(Event, frozen=True, kw_only=True):
    """The hirer accepted the work; the escrow of this milestone is to be released."""

    TYPE: ClassVar[str] = "job.milestone_approved.v1"
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: Money


class ContractCompleted(Event, frozen=True, kw_only=True):
    """Every milestone of the contract was released."""

    TYPE: ClassVar[str] = "job.contract_completed.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class JobUpdated(Event, frozen=True, kw_only=True):
    """A hirer changed the named fields of a job."""

    TYPE: ClassVar[str] = "job.job_updated.v1"
    job_id: str
    hirer_id: str
    changed: list[str]


class JobPaused(Event, frozen=True, kw_only=True):
    """A job takes no applications for now: its hirer paused it, or its contract was cancelled."""

    TYPE: ClassVar[str] = "job.job_paused.v1"
    job_id: str
    hirer_id: str


class JobDeleted(Event, frozen=True, kw_only=True):
    """A draft was thrown away."""

    TYPE: ClassVar[str] = "job.job_deleted.v1"
    job_id: str
    hirer_id: str


class ApplicationShortlisted(Event, frozen=True, kw_only=True):
    """The hirer put an application on the short list."""

    TYPE: ClassVar[str] = "job.application_shortlisted.v1"
    application_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class ApplicationWithdrawn(Event, frozen=True, kw_only=True):
    """The worker took an application back."""

    TYPE: ClassVar[str] = "job.application_withdrawn.v1"
    application_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class ContractTermsChanged(Event, frozen=True, kw_only=True):
    """The terms of an unsigned contract changed; signatures given before no longer count."""

    TYPE: ClassVar[str] = "job.contract_terms_changed.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    changed_by: str
    terms_hash: str


class JobExpired(Event, frozen=True, kw_only=True):
    """A job's time for applications ended; its hirer may still accept one of them or publish it again."""

    TYPE: ClassVar[str] = "job.job_expired.v1"
    job_id: str
    hirer_id: str


class JobAlert(Event, frozen=True, kw_only=True):
    """A job that may be something for this worker: `because` is `invitation`, `saved_search` or `urgent`."""

    TYPE: ClassVar[str] = "job.job_alert.v1"
    job_id: str
    hirer_id: str
    worker_id: str
    because: str


class AmendmentProposed(Event, frozen=True, kw_only=True):
    """One side of an active contract proposed more milestones; the other may sign or decline."""

    TYPE: ClassVar[str] = "job.amendment_proposed.v1"
    contract_id: str
    hirer_id: str
    worker_id: str
    proposed_by: str
    terms_hash: str


class AmendmentClosed(Event, frozen=True, kw_only=True):
    """An amendment was signed by the other side and holds, or was declined or taken back."""

    TYPE: ClassVar[str] = "job.amendment_closed.v1"
    contract_id: str
    hirer_id: str
    worker_id: str
    closed_by: str
    signed: bool
    terms_hash: str


class ContractOffered(Event, frozen=True, kw_only=True):
    """A hirer offered a worker a contract directly."""

    TYPE: ClassVar[str] = "job.contract_offered.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class ContractOfferAnswered(Event, frozen=True, kw_only=True):
    """The worker took a direct offer, which both sides now sign, or declined it."""

    TYPE: ClassVar[str] = "job.contract_offer_answered.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    taken: bool


class ContractOfferExpired(Event, frozen=True, kw_only=True):
    """The worker did not answer a direct offer in time; its job is paused."""

    TYPE: ClassVar[str] = "job.contract_offer_expired.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class MilestoneDue(Event, frozen=True, kw_only=True):
    """A milestone is to be handed in within a day, or should have been (`late`), and is not."""

    TYPE: ClassVar[str] = "job.milestone_due.v1"
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    late: bool


class CancelledContractFunded(Event, frozen=True, kw_only=True):
    """Money came into escrow for a contract that was cancelled at the same moment; it is to go back."""

    TYPE: ClassVar[str] = "job.cancelled_contract_funded.v1"
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str


class BookingRefused(Event, frozen=True, kw_only=True):
    """The worker's time could not be taken for an active contract: `code` says why. Other dates are needed."""

    TYPE: ClassVar[str] = "job.booking_refused.v1"
    contract_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    code: str


class InvitationDeclined(Event, frozen=True, kw_only=True):
    """A worker said no to an invitation."""

    TYPE: ClassVar[str] = "job.invitation_declined.v1"
    invitation_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class CounterOfferMade(Event, frozen=True, kw_only=True):
    """The hirer offered other terms for an application."""

    TYPE: ClassVar[str] = "job.counter_offer_made.v1"
    application_id: str
    job_id: str
    hirer_id: str
    worker_id: str


class CounterOfferAnswered(Event, frozen=True, kw_only=True):
    """The worker took the hirer's terms, which are now the application's, or left them."""

    TYPE: ClassVar[str] = "job.counter_offer_answered.v1"
    application_id: str
    job_id: str
    hirer_id: str
    worker_id: str
    taken: bool


class PastJobViewed(Event, frozen=True, kw_only=True):
    """An admin looked at how something stood at a past instant."""

    TYPE: ClassVar[str] = "job.past_job_viewed.v1"
    viewer_id: str
    viewed: str
    at: str
