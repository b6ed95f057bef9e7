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
    """A review became public: both sides are in, or the window closed, and nothing held it back.

    With `ReviewModerated` it is all that reputations are made of.
    """

    TYPE: ClassVar[str] = "review.review_revealed.v1"
    review_id: str
    contract_id: str
    reviewer_id: str
    subject_id: str
    rating: int
    would_work_again: bool | None = None
    trade: str | None = None
    region: str | None = None


class ReviewHeld(Event, frozen=True, kw_only=True):
    """A review would have become public, but looks like what has no place here; a moderator decides."""

    TYPE: ClassVar[str] = "review.review_held.v1"
    review_id: str
    contract_id: str
    reviewer_id: str
    subject_id: str
    labels: list[str]


class ReviewAppealed(Event, frozen=True, kw_only=True):
    """A side of a review asks for another moderator's eyes on a decision."""

    TYPE: ClassVar[str] = "review.review_appealed.v1"
    review_id: str
    appellant_id: str


class ReputationChanged(Event, frozen=True, kw_only=True):
    """A person's reputation moved. `rating_milli` is the Bayesian mean times 1,000."""

    TYPE: ClassVar[str] = "review.reputation_changed.v1"
    user_id: str
    review_count: int
    rating_milli: int


class ReviewModerated(Event, frozen=True, kw_only=True):
    """A moderator decided on a review: it is now `revealed`, `excluded` or `removed`; both sides see the reason."""

    TYPE: ClassVar[str] = "review.review_moderated.v1"
    review_id: str
    subject_id: str
    moderator_id: str
    decision: str
    reason: str
    reviewer_id: str | None = None
    is_appeal: bool = False


# --- Public API ---


class ReviewStatus(StrEnum):
    """Where a review stands; the legal steps are one table in the review service."""

    SEALED = "sealed"
    #: Looks like what has no place here; a moderator decides.
    HELD = "held"
    REVEALED = "revealed"
    #: Everybody may read it, but it does not count for the reputation.
    EXCLUDED = "excluded"
    REMOVED = "removed"


class Label(StrEnum):
    """What a text looks like to the screen."""

    INSULT = "insult"
    HATE = "hate"
    THREAT = "threat"
    PERSONAL_DATA = "personal_data"
    SPAM = "spam"
    PAID_REVIEW = "paid_review"


class Suspicion(StrEnum):
    """Why a review may not be what it seems. It counts all the same until a moderator excludes it."""

    #: Both sides wrote from the same address and device.
    SAME_DEVICE = "same_device"
    #: Two or three people who hire each other in a circle.
    RING = "ring"
    #: The contract was worth next to nothing.
    TINY_CONTRACT = "tiny_contract"
    #: The same words stand in another review by the same person or of the same person.
    COPIED_TEXT = "copied_text"
    #: Many more reviews within a day than this person ever gets.
    BURST = "burst"


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


class DecisionView(Response, frozen=True, kw_only=True):
    """What a moderator decided, shown to the two sides of a review. `can_appeal` until one side did, within 30 days."""

    reason: str
    decided_at: datetime
    can_appeal: bool


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
    suspicions: list[Suspicion]
    decision: DecisionView | None


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
    """What a moderator decides: all may read it and it counts; all may read it; nobody may."""

    PUBLISH = "publish"
    EXCLUDE = "exclude"
    REMOVE = "remove"


class NewDecision(Request, frozen=True, kw_only=True):
    """A moderator's decision and its reason, which both sides are shown."""

    decision: Decision
    reason: Annotated[str, Meta(min_length=3, max_length=1000)]


class NewAppeal(Request, frozen=True, kw_only=True):
    """Why a moderator's decision is wrong, in the words of a side of the review."""

    text: Annotated[str, Meta(min_length=10, max_length=2000)]


class QueuedReview(Response, frozen=True, kw_only=True):
    """A review that waits for a moderator: held, reported, suspicious or appealed. `waiting_s` is seconds."""

    review: ReviewView
    labels: list[Label]
    report_count: int
    reasons: list[ReportReason]
    appeal: str | None
    queued_at: datetime
    waiting_s: int


class MonthInFormula(Response, frozen=True, kw_only=True):
    """What the reviews of one month (UTC) bring in: their number and stars, times `weight_milli` / 1000."""

    month: str
    weight_milli: int
    count: int
    sum_of_stars: int


class Formula(Response, frozen=True, kw_only=True):
    """How the rating is made: a mean in which reviews lose half of their weight every `half_life_months`.

    (priorWeight x 1000 x priorMeanMilli + sum of weightMilli x 1000 x sumOfStars)
    / (priorWeight x 1000 + sum of weightMilli x count), rounded half up.
    """

    prior_mean_milli: int
    prior_weight: int
    half_life_months: int
    months: list[MonthInFormula]
    sum_of_stars: int
    count: int


class ScorePart(Response, frozen=True, kw_only=True):
    """A part of the score: `value_milli` (0 to 1000) times `weight_milli` / 1000 gives `points`, rounded half up."""

    name: str
    value_milli: int
    weight_milli: int
    points: int


class FlaggedEffect(Response, frozen=True, kw_only=True):
    """Reviews that look suspicious for one reason, and the rating without them."""

    suspicion: Suspicion
    count: int
    rating_milli_without: int


class Trend(Response, frozen=True, kw_only=True):
    """The last six months (UTC, the current one among them) beside the six before; means None without reviews."""

    recent_count: int
    recent_mean_milli: int | None
    earlier_count: int
    earlier_mean_milli: int | None


class Standing(Response, frozen=True, kw_only=True):
    """Where a worker stands among the reviewed workers of a trade and region: `percentile` % of them rate lower."""

    trade: str
    region: str
    workers: int
    percentile: int


class Reputation(Response, frozen=True, kw_only=True):
    """A person's standing with everything it is computed from, and what would change it.

    `score` is 0 to 1000. `next_…` are rating and score after one more review; `ages_at` is when the next month
    begins and all reviews weigh a little less.
    """

    user_id: str
    rating_milli: int
    score: int
    score_parts: list[ScorePart]
    review_count: int
    histogram: dict[str, int]
    would_work_again_yes: int
    would_work_again_no: int
    would_work_again_lower_bound: float | None
    formula: Formula
    next_five_stars_milli: int
    next_one_star_milli: int
    next_five_stars_score: int
    next_one_star_score: int
    ages_at: datetime
    flagged: list[FlaggedEffect]
    trend: Trend
    standing: Standing | None


class MonthOfReviews(Response, frozen=True, kw_only=True):
    """The reviews that a person received in one month (UTC)."""

    month: str
    count: int
    mean_milli: int


class CriterionMean(Response, frozen=True, kw_only=True):
    """The mean of one criterion over the reviews that state it."""

    name: str
    count: int
    mean_milli: int


class ReviewAnalytics(Response, frozen=True, kw_only=True):
    """How the caller's reviews develop. `reply_rate_milli` is the share of them that the caller answered."""

    received: int
    written: int
    replied: int
    reply_rate_milli: int | None
    criteria: list[CriterionMean]
    months: list[MonthOfReviews]


class PlatformReviewAnalytics(Response, frozen=True, kw_only=True):
    """Reviews and their moderation over the whole platform. Counts are of now; `months` of what became public."""

    by_status: dict[str, int]
    by_label: dict[str, int]
    by_suspicion: dict[str, int]
    queue_length: int
    oldest_waiting_s: int | None
    months: list[MonthOfReviews]
