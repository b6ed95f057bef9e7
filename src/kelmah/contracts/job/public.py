"""Public requests and answers of the job service."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kelmah.contracts.common import (
    DEFAULT_CURRENCY,
    MAX_SAFE_INTEGER,
    Currency,
    FieldChange,
    Id,
    Latitude,
    Location,
    Longitude,
    Money,
    Request,
    Response,
)
from kelmah.contracts.job.states import (
    ApplicationStatus,
    BookingStatus,
    ContractStatus,
    InvitationStatus,
    JobStatus,
    MilestoneStatus,
)

#: Milestones that one contract may have.
MAX_MILESTONES = 20

Title = Annotated[str, Meta(min_length=1, max_length=120, examples=["Fix a leaking kitchen sink"])]
Description = Annotated[str, Meta(min_length=1, max_length=10_000)]
Label = Annotated[str, Meta(min_length=1, max_length=60, examples=["plumbing"])]
Skills = Annotated[list[Label], Meta(min_length=1, max_length=20)]
Note = Annotated[str, Meta(max_length=2_000)]
Reason = Annotated[str, Meta(min_length=1, max_length=2_000)]
Deadline = Annotated[
    datetime,
    Meta(tz=True, description="With a time zone; in the future, at most a year.", examples=["2026-12-24T12:00:00Z"]),
]
Instant = Annotated[datetime, Meta(tz=True, description="With a time zone.", examples=["2026-12-24T08:00:00Z"])]
AutoApproveAfterDays = Annotated[
    int, Meta(ge=1, le=30, description="Days of the hirer's silence after which handed in work counts as approved.")
]
MinorUnits = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER, description="Minor units of the rate's currency.")]


class CreateJob(Request, frozen=True, kw_only=True):
    """A new job; it is a draft until it is published."""

    title: Title
    description: Description
    category: Label
    skills: Skills
    budget: Money
    location: Location
    urgent: bool = False
    application_deadline: Deadline | None = None


class UpdateJob(Request, frozen=True, kw_only=True):
    """Changes to a job; what is absent stays."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    category: Label | UnsetType = UNSET
    skills: Skills | UnsetType = UNSET
    budget: Money | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    urgent: bool | UnsetType = UNSET
    application_deadline: Deadline | UnsetType | None = UNSET


class Why(Response, frozen=True, kw_only=True):
    """Why a search found a job: which `part` of the query was found in it, and where.

    `how` a word was found: as the `word` itself, by its `beginning`, or with another `spelling`. `points` are more
    for a word in a more prominent place.
    """

    part: str
    found: str
    where: str
    asked: str | None = None
    how: str | None = None
    points: int = 0


class JobView(Response, frozen=True, kw_only=True):
    """A job. `category` and `skills` are ids of trades, as `GET /skills` lists them.

    While it is open it takes applications until `expiresAt`, which is `applicationDeadline` if its hirer set one.
    `distanceKm` is from the place that was searched near, rounded to 100 m; `why` is there if it was asked for.
    """

    id: str
    hirer_id: str
    status: JobStatus
    version: int
    title: str
    description: str
    category: str
    skills: list[str]
    budget: Money
    location: Location
    application_count: int
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    urgent: bool = False
    application_deadline: datetime | None = None
    expires_at: datetime | None = None
    distance_km: float | None = None
    why: list[Why] | None = None


class JobVersion(Response, frozen=True, kw_only=True):
    """A job as it read before it was changed at `replacedAt`, and what that edit made of it."""

    version: int
    replaced_at: datetime
    changed: list[str]
    diff: list[FieldChange]
    job: JobView


class Facet(Response, frozen=True, kw_only=True):
    """How many open jobs have this value."""

    value: str
    name: str
    count: int


class JobFacets(Response, frozen=True, kw_only=True):
    """How the jobs that fit spread: exact below 1,000. A job counts for each of its trades. Without `isComplete` there
    may be more, of which 1,000 were counted, not chosen by chance.
    """

    count: int
    is_complete: bool
    urgent: int
    trades: list[Facet]
    regions: list[Facet]


class JobSuggestions(Response, frozen=True, kw_only=True):
    """What the words that were typed may go on to, the most likely first."""

    items: list[str]


class PopularJobSearch(Response, frozen=True, kw_only=True):
    """Words that several people looked for in jobs in the last 7 days, and how many people did."""

    q: str
    people: int


class ProposedMilestone(Request, frozen=True, kw_only=True):
    """A part of the work with its price: minor units of the rate's currency, or the same with the currency.

    `dueAt`, if there is one, is when it is to be handed in: in the future, at most a year ahead.
    """

    title: Title
    amount: MinorUnits | Money
    due_at: Instant | None = None


class Apply(Request, frozen=True, kw_only=True):
    """A worker's application. Milestones sum to the rate; without any, the whole is one."""

    proposed_rate: Money
    cover_letter: Annotated[str, Meta(min_length=1, max_length=5_000)]
    milestones: Annotated[list[ProposedMilestone], Meta(max_length=MAX_MILESTONES)] | None = None


class CounterOffer(Request, frozen=True, kw_only=True):
    """Other terms for an application, from the hirer. Milestones sum to the rate; without any, the whole is one."""

    proposed_rate: Money
    milestones: Annotated[list[ProposedMilestone], Meta(max_length=MAX_MILESTONES)] | None = None
    note: Note | None = None


class AnswerCounterOffer(Request, frozen=True, kw_only=True):
    """Names the counter-offer that was read, so that no other one is answered."""

    id: Id


class GiveReason(Request, frozen=True, kw_only=True):
    """Why, in words that the other side reads. Optional."""

    reason: Note | None = None


class MilestoneOffer(Response, frozen=True, kw_only=True):
    """A milestone as it was proposed."""

    title: str
    amount: Money
    due_at: datetime | None = None


class CounterOfferView(Response, frozen=True, kw_only=True):
    """Terms that the hirer offers and the worker may take or leave."""

    id: str
    proposed_rate: Money
    milestones: list[MilestoneOffer]
    offered_at: datetime
    note: str | None = None


class ApplicationView(Response, frozen=True, kw_only=True):
    """An application, for its worker and for the job's hirer. `contractId` is set once it is accepted."""

    id: str
    job_id: str
    hirer_id: str
    worker_id: str
    status: ApplicationStatus
    proposed_rate: Money
    cover_letter: str
    milestones: list[MilestoneOffer]
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    contract_id: str | None = None
    counter_offer: CounterOfferView | None = None


class MilestoneView(Response, frozen=True, kw_only=True):
    """A milestone. While it is submitted, `autoApprovesAt` is when the hirer's silence becomes approval."""

    id: str
    title: str
    amount: Money
    status: MilestoneStatus
    due_at: datetime | None = None
    submission_count: int = 0
    note: str | None = None
    submitted_at: datetime | None = None
    auto_approves_at: datetime | None = None
    changes_requested: str | None = None
    approved_at: datetime | None = None
    auto_approved: bool = False
    escrow_id: str | None = None


class SignatureView(Response, frozen=True, kw_only=True):
    """One side's signature under the terms with this hash."""

    user_id: str
    terms_hash: str
    signed_at: datetime


class WorkWindow(Request, frozen=True, kw_only=True):
    """When the work is done: from `startsAt` up to, not including, `endsAt`. The worker is booked for it."""

    starts_at: Instant
    ends_at: Instant


class ChangeTerms(Request, frozen=True, kw_only=True):
    """Changes to unsigned terms; what is absent stays, and `work` may be null. Both sides then sign the new terms."""

    auto_approve_after_days: AutoApproveAfterDays | UnsetType = UNSET
    work: WorkWindow | UnsetType | None = UNSET


class ProposeAmendment(Request, frozen=True, kw_only=True):
    """A change of an active contract, and why. Both sides sign before it holds; proposing signs for one.

    At least one of the others is given: milestones to add, other days of silence, or another time of the work.
    """

    reason: Reason
    milestones: Annotated[list[ProposedMilestone], Meta(max_length=MAX_MILESTONES)] = msgspec.field(
        default_factory=list
    )
    auto_approve_after_days: AutoApproveAfterDays | None = None
    work: WorkWindow | None = None


class WorkPeriod(Response, frozen=True, kw_only=True):
    """When the work is done."""

    starts_at: datetime
    ends_at: datetime


class BookingView(Response, frozen=True, kw_only=True):
    """Whether the worker's time is taken for this contract. `code` says why a booking was refused.

    A refused one leaves the contract as it is: both agree other dates by an amendment, or one cancels.
    """

    status: BookingStatus
    code: str | None = None


class AmendmentView(Response, frozen=True, kw_only=True):
    """A change of an active contract that the other side may sign or decline. `termsHash` is that of the new terms.

    What stays as it is is null.
    """

    proposed_by: str
    proposed_at: datetime
    reason: str
    milestones: list[MilestoneOffer]
    auto_approve_after_days: int | None
    work: WorkPeriod | None
    terms: str
    terms_hash: str


class ContractView(Response, frozen=True, kw_only=True):
    """A contract, for its two sides. One that was offered directly has no application; it may be taken until
    `offerExpiresAt`.

    `termsHash` is the SHA-256 of `terms`, which is JSON with sorted keys and no white space.
    """

    id: str
    job_id: str
    application_id: str | None
    hirer_id: str
    worker_id: str
    status: ContractStatus
    version: int
    title: str
    value: Money
    milestones: list[MilestoneView]
    auto_approve_after_days: int
    work: WorkPeriod | None
    booking: BookingView | None
    terms: str
    terms_hash: str
    signatures: list[SignatureView]
    amendment: AmendmentView | None = None
    offer_expires_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    signed_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    reason: str | None = None


class AcceptedApplication(ApplicationView, frozen=True, kw_only=True):
    """An application that was just accepted, and the contract that both sides now sign."""

    contract: ContractView


class SignContract(Request, frozen=True, kw_only=True):
    """A signature. With `termsHash` it is refused if the terms are not those that were read."""

    terms_hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None


class SubmitMilestone(Request, frozen=True, kw_only=True):
    """A word to the hirer about the work that is handed in. Optional."""

    note: Note | None = None


class RequestChanges(Request, frozen=True, kw_only=True):
    """What the worker is to change."""

    reason: Reason


class NextStep(Response, frozen=True, kw_only=True):
    """What one side is to do now, until `at` if that is set, or what happens by itself then.

    `by` is `hirer`, `worker` or `nobody`.
    """

    by: str
    action: str
    text: str
    milestone_id: str | None = None
    at: datetime | None = None


class NextSteps(Response, frozen=True, kw_only=True):
    """What happens next under a contract; what has a time comes first, the earliest before."""

    items: list[NextStep]


class MilestoneList(Response, frozen=True, kw_only=True):
    """All milestones of a contract, in their order; there is never a second page."""

    items: list[MilestoneView]
    next_cursor: None = None


class Recommendation(Response, frozen=True, kw_only=True):
    """A job for a worker. `score` is 0 to 1000; `contributions` sum to it, `reasons` say it in words.

    `sides` are how likely the hirer takes the worker and the worker the job; the score is their geometric mean.
    """

    job: JobView
    score: int
    contributions: dict[str, int]
    sides: dict[str, int]
    reasons: list[str]


class MatchedWorker(Response, frozen=True, kw_only=True):
    """What a hirer sees of a worker among matches. The worker's place is only told as a rounded distance."""

    user_id: str
    display_name: str
    skills: list[str]
    hourly_rate: Money | None = None
    rating_milli: int | None = None
    review_count: int = 0
    distance_km: int | None = None


class Match(Response, frozen=True, kw_only=True):
    """A worker for a job, scored as in `Recommendation`."""

    worker: MatchedWorker
    score: int
    contributions: dict[str, int]
    sides: dict[str, int]
    reasons: list[str]


class SaveSearch(Request, frozen=True, kw_only=True):
    """A search of which one wants to hear; its fields are those of `GET /jobs`, `near` is `[longitude, latitude]`."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    q: Annotated[str, Meta(max_length=200)] | None = None
    category: Label | None = None
    skill: Annotated[tuple[Label, ...], Meta(max_length=20)] = ()
    near: tuple[Longitude, Latitude] | None = None
    radius_km: Annotated[float, Meta(gt=0, le=500)] | None = None
    region: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    min_budget: Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)] | None = None
    max_budget: Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)] | None = None
    currency: Currency = DEFAULT_CURRENCY
    urgent: bool | None = None


class SavedSearch(Response, frozen=True, kw_only=True):
    """A saved search."""

    id: str
    created_at: datetime
    search: SaveSearch


class SavedSearchList(Response, frozen=True, kw_only=True):
    """All saved searches of a worker; there is never a second page."""

    items: list[SavedSearch]
    next_cursor: None = None


class Invite(Request, frozen=True, kw_only=True):
    """Asks a worker to apply."""

    worker_id: Id
    note: Note | None = None


class InvitationView(Response, frozen=True, kw_only=True):
    """An invitation, for its worker and for the job's hirer."""

    id: str
    job_id: str
    hirer_id: str
    worker_id: str
    status: InvitationStatus
    created_at: datetime
    updated_at: datetime
    note: str | None = None
