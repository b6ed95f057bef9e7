"""Who may call which operation of the job service. Whether a thing is the caller's own is part of each query."""

from kelmah.contracts.common import Role
from kelmah.kit.policy import PUBLIC, Policy, roles, services

HIRERS = roles(Role.HIRER)
WORKERS = roles(Role.WORKER)
PARTIES = roles(Role.HIRER, Role.WORKER)

POLICY: Policy = {
    "CreateJob": HIRERS,
    "ListJobs": PUBLIC,
    "CountJobs": PUBLIC,
    "SuggestWords": PUBLIC,
    "GetJob": PUBLIC,
    "ListJobVersions": HIRERS,
    "UpdateJob": HIRERS,
    "DeleteJob": HIRERS,
    "PublishJob": HIRERS,
    "PauseJob": HIRERS,
    "CloseJob": HIRERS,
    "ListRecommendedJobs": WORKERS,
    "ListJobMatches": HIRERS,
    "ListSavedJobs": WORKERS,
    "SaveJob": WORKERS,
    "ForgetJob": WORKERS,
    "ListSearches": WORKERS,
    "SaveSearch": WORKERS,
    "ForgetSearch": WORKERS,
    "InviteWorker": HIRERS,
    "ListJobInvitations": HIRERS,
    "ListMyInvitations": WORKERS,
    "DeclineInvitation": WORKERS,
    "ApplyToJob": WORKERS,
    "ListJobApplications": HIRERS,
    "ListMyApplications": WORKERS,
    "GetApplication": PARTIES,
    "AcceptApplication": HIRERS,
    "RejectApplication": HIRERS,
    "ShortlistApplication": HIRERS,
    "WithdrawApplication": WORKERS,
    "MakeCounterOffer": HIRERS,
    "TakeCounterOffer": WORKERS,
    "LeaveCounterOffer": WORKERS,
    "ListContracts": PARTIES,
    # Admins see how it stood (`?at=`), and not how it stands.
    "GetContract": roles(Role.HIRER, Role.WORKER, Role.ADMIN),
    "SignContract": PARTIES,
    "ChangeTerms": PARTIES,
    "CancelContract": PARTIES,
    "EndContract": PARTIES,
    "GetNextSteps": PARTIES,
    "ProposeAmendment": PARTIES,
    "SignAmendment": PARTIES,
    "DropAmendment": PARTIES,
    "AddMilestone": PARTIES,
    "ListMilestones": PARTIES,
    "SubmitMilestone": WORKERS,
    "ApproveMilestone": HIRERS,
    "RequestMilestoneChanges": HIRERS,
    "GetContractFacts": services("payment", "review", "messaging"),
    "NoteMilestoneMoney": services("payment"),
}
