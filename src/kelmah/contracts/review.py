"""What the review service says: reviews and reputation."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from kelmah.contracts.common import Event, Id, Request, Response

Stars = Annotated[int, Meta(ge=1, le=5, description="1 (poor) to 5 (excellent).", examples=[5])]
ReviewText = Annotated[str, Meta(min_length=1, max_length=4000, examples=["On time, and the wiring is tidy."])]


class ReviewSubmitted(Event, frozen=True, kw_only=True):
    """A sealed review is in; `digest` (SHA-256) proves later that it was not altered."""

    TYPE: ClassVar[str] = "review.review_submitted.v1"
    review_id: str
    contract_id: str
    reviewer_id: str
    subject_id: str
    digest: str


class ReviewRevealed(Event, frozen=True, kw_only=True):
    """A review became public: both sides are in, or the window closed."""

    TYPE: ClassVar[str] = "review.review_revealed.v1"
    review_id: str
    contract_id: str
    reviewer_id: str
    subject_id: str
    rating: int


class ReputationChanged(Event, frozen=True, kw_only=True):
    """A person's reputation moved. `rating_milli` is the Bayesian mean times 1,000."""

    TYPE: ClassVar[str] = "review.reputation_changed.v1"
    user_id: str
    review_count: int
    rating_milli: int


class ReviewModerated(Event, frozen=True, kw_only=True):
    """A moderator decided on a review: `published` or `removed`, for a reason that both sides are shown."""

    TYPE: ClassVar[str] = "review.review_moderated.v1"
    review_id: str
    subject_id: str
    moderator_id: str
    decision: str
    reason: str


# --- Public API ---


class ReviewStatus(StrEnum):
    """Where a review stands; the legal steps are one table in the review service."""

    SEALED = "sealed"
    REVEALED = "revealed"
    REMOVED = "removed"


class Criteria(Request, frozen=True, kw_only=True):
    """What the stars are made of."""

    quality: Stars
    communication: Stars
    timeliness: Stars
    professionalism: Stars
    value: Stars


class NewReview(Request, frozen=True, kw_only=True):
    """What one side of a contract says of the other."""

    contract_id: Id
    rating: Stars
    text: ReviewText
    criteria: Criteria | None = None
    would_work_again: bool | None = None
    private_note: Annotated[str, Meta(max_length=2000, description="Read by the platform only.")] | None = None


class Reply(Response, frozen=True, kw_only=True):
    """The one answer of the person who was reviewed."""

    text: str
    replied_at: datetime


class ReviewView(Response, frozen=True, kw_only=True):
    """A review. While it is sealed only its author sees what it says; `digest` proves later that it is unchanged."""

    id: str
    contract_id: str
    reviewer_id: str
    subject_id: str
    status: ReviewStatus
    rating: int
    text: str
    criteria: Criteria | None
    would_work_again: bool | None
    digest: str
    submitted_at: datetime
    revealed_at: datetime | None
    reply: Reply | None
    helpful_count: int


class NewReply(Request, frozen=True, kw_only=True):
    """An answer to a review of oneself."""

    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class ReportReason(StrEnum):
    """Why a review should not be there."""

    INSULT = "insult"
    THREAT = "threat"
    PERSONAL_DATA = "personal_data"
    SPAM = "spam"
    FALSE = "false"
    OTHER = "other"


class NewReport(Request, frozen=True, kw_only=True):
    """A report of a review to the moderators."""

    reason: ReportReason
    text: Annotated[str, Meta(max_length=1000)] = ""


class Decision(StrEnum):
    """What a moderator decides."""

    PUBLISH = "publish"
    REMOVE = "remove"


class NewDecision(Request, frozen=True, kw_only=True):
    """A moderator's decision and its reason, which both sides are shown."""

    decision: Decision
    reason: Annotated[str, Meta(min_length=3, max_length=1000)]


class QueuedReview(Response, frozen=True, kw_only=True):
    """A reported review that waits for a moderator, oldest first."""

    review: ReviewView
    report_count: int
    reasons: list[ReportReason]
    queued_at: datetime


class Formula(Response, frozen=True, kw_only=True):
    """How the score is made: (priorWeight x priorMeanMilli + 1000 x sum of stars) / (priorWeight + count)."""

    prior_mean_milli: int
    prior_weight: int
    sum_of_stars: int
    count: int


class Reputation(Response, frozen=True, kw_only=True):
    """A person's standing with everything it is computed from. `nextFiveStarsMilli` is the score after one more."""

    user_id: str
    rating_milli: int
    review_count: int
    histogram: dict[str, int]
    would_work_again_yes: int
    would_work_again_no: int
    would_work_again_lower_bound: float | None
    formula: Formula
    next_five_stars_milli: int
    next_one_star_milli: int


class MonthOfReviews(Response, frozen=True, kw_only=True):
    """The reviews that a person received in one month (UTC)."""

    month: str
    count: int
    mean_milli: int


class ReviewAnalytics(Response, frozen=True, kw_only=True):
    """How the caller's reviews develop."""

    received: int
    written: int
    replied: int
    months: list[MonthOfReviews]
