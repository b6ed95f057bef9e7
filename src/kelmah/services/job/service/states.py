"""The legal steps of jobs, applications, contracts and milestones: one table each. What is not here is refused."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from kelmah.contracts.job import (
    ApplicationStatus,
    ContractStatus,
    InvitationStatus,
    JobStatus,
    MilestoneMoneyState,
    MilestoneStatus,
)

StatusT = TypeVar("StatusT", bound=StrEnum)

JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    # The job of a direct offer is never open: it is in progress as soon as it is there.
    JobStatus.DRAFT: frozenset({JobStatus.OPEN, JobStatus.IN_PROGRESS}),
    JobStatus.OPEN: frozenset({JobStatus.PAUSED, JobStatus.EXPIRED, JobStatus.IN_PROGRESS, JobStatus.CANCELLED}),
    JobStatus.PAUSED: frozenset({JobStatus.OPEN, JobStatus.CANCELLED}),
    # Those who applied in time can still be accepted.
    JobStatus.EXPIRED: frozenset({JobStatus.OPEN, JobStatus.IN_PROGRESS, JobStatus.CANCELLED}),
    # A cancelled contract pauses its job, so that it is not offered again before its hirer says so.
    JobStatus.IN_PROGRESS: frozenset({JobStatus.COMPLETED, JobStatus.PAUSED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
#: States in which a hirer may still change what a job says.
EDITABLE_JOB = frozenset({JobStatus.DRAFT, JobStatus.OPEN, JobStatus.PAUSED, JobStatus.EXPIRED})

APPLICATION_TRANSITIONS: Mapping[ApplicationStatus, frozenset[ApplicationStatus]] = {
    ApplicationStatus.SUBMITTED: frozenset(
        {
            ApplicationStatus.SHORTLISTED,
            ApplicationStatus.ACCEPTED,
            ApplicationStatus.REJECTED,
            ApplicationStatus.WITHDRAWN,
        }
    ),
    ApplicationStatus.SHORTLISTED: frozenset(
        {ApplicationStatus.ACCEPTED, ApplicationStatus.REJECTED, ApplicationStatus.WITHDRAWN}
    ),
    ApplicationStatus.ACCEPTED: frozenset(),
    ApplicationStatus.REJECTED: frozenset(),
    ApplicationStatus.WITHDRAWN: frozenset(),
}

INVITATION_TRANSITIONS: Mapping[InvitationStatus, frozenset[InvitationStatus]] = {
    InvitationStatus.SENT: frozenset({InvitationStatus.DECLINED, InvitationStatus.APPLIED}),
    # Who said no may still apply while the job is open.
    InvitationStatus.DECLINED: frozenset({InvitationStatus.APPLIED}),
    InvitationStatus.APPLIED: frozenset(),
}

CONTRACT_TRANSITIONS: Mapping[ContractStatus, frozenset[ContractStatus]] = {
    # Made from a template for one worker; an accepted application starts at the next.
    ContractStatus.OFFERED: frozenset({ContractStatus.AWAITING_SIGNATURES, ContractStatus.CANCELLED}),
    ContractStatus.AWAITING_SIGNATURES: frozenset({ContractStatus.ACTIVE, ContractStatus.CANCELLED}),
    ContractStatus.ACTIVE: frozenset({ContractStatus.COMPLETED, ContractStatus.CANCELLED}),
    ContractStatus.COMPLETED: frozenset(),
    ContractStatus.CANCELLED: frozenset(),
}

#: What payment's news can make of a milestone at any time, whatever its work has come to.
_SETTLED = frozenset({MilestoneStatus.REFUNDED, MilestoneStatus.RELEASED})
_BY_MONEY = _SETTLED | {MilestoneStatus.DISPUTED}
#: Disputed, refunded, released: each outranks those before it, and funded moves only what is agreed. So news of
#: money leads to the same state in whatever order it arrives; that of a split dispute is `released`. A dispute that is
#: withdrawn takes a milestone back to where it was, which is no step that anybody asks for: `milestones.note_dispute`.
MILESTONE_TRANSITIONS: Mapping[MilestoneStatus, frozenset[MilestoneStatus]] = {
    MilestoneStatus.AGREED: _BY_MONEY | {MilestoneStatus.FUNDED},
    MilestoneStatus.FUNDED: _BY_MONEY | {MilestoneStatus.SUBMITTED},
    MilestoneStatus.SUBMITTED: _BY_MONEY | {MilestoneStatus.CHANGES_REQUESTED, MilestoneStatus.APPROVED},
    MilestoneStatus.CHANGES_REQUESTED: _BY_MONEY | {MilestoneStatus.SUBMITTED},
    MilestoneStatus.APPROVED: _BY_MONEY,
    MilestoneStatus.DISPUTED: _SETTLED,
    MilestoneStatus.REFUNDED: frozenset({MilestoneStatus.RELEASED}),
    MilestoneStatus.RELEASED: frozenset(),
}
#: What a milestone may be again after a dispute that was withdrawn.
AFTER_DISPUTE = frozenset(
    {
        MilestoneStatus.FUNDED,
        MilestoneStatus.SUBMITTED,
        MilestoneStatus.CHANGES_REQUESTED,
        MilestoneStatus.APPROVED,
    }
)
#: What a milestone becomes by payment's news.
BY_MONEY_STATE: Mapping[MilestoneMoneyState, MilestoneStatus] = {
    MilestoneMoneyState.FUNDED: MilestoneStatus.FUNDED,
    MilestoneMoneyState.REFUNDED: MilestoneStatus.REFUNDED,
    MilestoneMoneyState.RELEASED: MilestoneStatus.RELEASED,
}
#: While any milestone is in one of these, its contract cannot be cancelled: money is held or was paid out.
WITH_MONEY = frozenset(MilestoneStatus) - {MilestoneStatus.AGREED, MilestoneStatus.REFUNDED}


def sources(transitions: Mapping[StatusT, frozenset[StatusT]], target: StatusT) -> frozenset[StatusT]:
    """The states from which `target` can be reached in one step."""
    return frozenset(source for source, targets in transitions.items() if target in targets)
