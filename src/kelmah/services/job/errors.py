"""Every failure that the job service tells of."""

from enum import StrEnum
from typing import Self

from kelmah.contracts.common import FieldError
from kelmah.kit.errors import Conflict, Forbidden, NotFound


class JobNotFound(NotFound):
    code, title = "job.job_not_found", "There is no such job"


class ApplicationNotFound(NotFound):
    code, title = "job.application_not_found", "There is no such application"


class ContractNotFound(NotFound):
    code, title = "job.contract_not_found", "There is no such contract"


class MilestoneNotFound(NotFound):
    code, title = "job.milestone_not_found", "There is no such milestone"


class OwnJob(Forbidden):
    code, title = "job.own_job", "You cannot apply to your own job"


class IllegalStep(Conflict):
    """The thing's state does not allow the step. `errors` tells the current state as the field `status`."""

    code, title = "job.illegal_step", "The current state does not allow this"

    @classmethod
    def of(cls, noun: str, status: StrEnum) -> Self:
        """A refusal that names the current state."""
        return cls(
            f"{cls.title}: the {noun} is {status.value.replace('_', ' ')}.",
            errors=[FieldError(field="status", message=status.value)],
        )


class JobNotOpen(IllegalStep):
    code, title = "job.not_open", "The job is not open"


class MilestoneNotFunded(IllegalStep):
    code, title = "job.milestone_not_funded", "Work starts only on a funded milestone"


class ContractNotActive(IllegalStep):
    code, title = "job.contract_not_active", "The contract is not active"


class ContractHasMoney(Conflict):
    code, title = "job.contract_has_money", "A contract with money in escrow or paid out cannot be cancelled"


class AlreadyApplied(Conflict):
    code, title = "job.already_applied", "You have a live application to this job"


class ApplicationsFull(Conflict):
    code, title = "job.applications_full", "The job takes no more applications"


class DeadlinePassed(Conflict):
    code, title = "job.deadline_passed", "The time for applications is over"


class AlreadySigned(Conflict):
    code, title = "job.already_signed", "You have signed these terms"


class TermsChanged(Conflict):
    code, title = "job.terms_changed", "These are not the contract's current terms"


class TooManyMilestones(Conflict):
    code, title = "job.too_many_milestones", "The contract has as many milestones as one may have"


class NothingPaid(Conflict):
    code, title = "job.nothing_paid", "Nothing was paid under this contract yet: cancel it instead"


class AmendmentPending(Conflict):
    code, title = "job.amendment_pending", "An amendment of this contract waits for an answer"


class NoAmendment(NotFound):
    code, title = "job.no_amendment", "No amendment of this contract waits for an answer"


class OwnAmendment(Conflict):
    code, title = "job.own_amendment", "The other side is to sign this amendment"


class InvitationNotFound(NotFound):
    code, title = "job.invitation_not_found", "There is no such invitation"


class SearchNotFound(NotFound):
    code, title = "job.search_not_found", "There is no such saved search"


class AlreadyInvited(Conflict):
    code, title = "job.already_invited", "This worker was invited to the job"


class InvitationsFull(Conflict):
    code, title = "job.invitations_full", "The job takes no more invitations"


class TemplateNotFound(NotFound):
    code, title = "job.template_not_found", "There is no such contract template"


class TooManySaved(Conflict):
    code, title = "job.too_many_saved", "You keep as many as one may"


class TooManyOffers(Conflict):
    code, title = "job.too_many_offers", "As many direct offers as one may make wait for an answer"


class OfferExpired(Conflict):
    code, title = "job.offer_expired", "The time to answer this offer is over"


class FeedNotFound(NotFound):
    code, title = "job.feed_not_found", "There is no such calendar feed"


class VersionNotFound(NotFound):
    code, title = "job.version_not_found", "The job has no such version"


class CounterOfferNotFound(NotFound):
    code, title = "job.counter_offer_not_found", "There is no such counter-offer, or it was answered"


class TurnedDown(Conflict):
    code, title = "job.turned_down", "The hirer turned you down: to apply again you need an invitation"
