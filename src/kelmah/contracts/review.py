"""What the review service says: reviews and reputation."""

from typing import ClassVar

from kelmah.contracts.common import Event


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
