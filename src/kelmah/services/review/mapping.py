"""Documents of the review service as contracts, and the open formula of reputation."""

import math

import msgspec

from kelmah.contracts.review import (
    Criteria,
    Formula,
    QueuedReview,
    Reply,
    Reputation,
    ReviewStatus,
    ReviewView,
)
from kelmah.kit.crypto import KeyRing
from kelmah.services.review.documents import ReputationDocument, ReviewDocument

#: The Bayesian prior: a person without reviews stands at 4.0 stars, and the prior weighs as much as 5 reviews
#: (IMDb's weighted mean, with C = 4 and m = 5).
PRIOR_MEAN_MILLI, PRIOR_WEIGHT = 4000, 5
#: 95 % confidence, two-sided.
_Z = 1.96


def text_context(review_id: str) -> bytes:
    """The place that a review's sealed text is bound to."""
    return f"review.review.text:{review_id}".encode()


def review_view(review: ReviewDocument, ring: KeyRing) -> ReviewView:
    return ReviewView(
        id=review.id,
        contract_id=review.contract_id,
        reviewer_id=review.reviewer_id,
        subject_id=review.subject_id,
        status=ReviewStatus(review.status),
        rating=review.rating,
        text=ring.open(review.text, context=text_context(review.id)),
        criteria=msgspec.convert(review.criteria, Criteria) if review.criteria else None,
        would_work_again=review.would_work_again,
        digest=review.digest,
        submitted_at=review.submitted_at,
        revealed_at=review.revealed_at,
        reply=Reply(text=review.reply.text, replied_at=review.reply.replied_at) if review.reply else None,
        helpful_count=review.helpful_count,
    )


def queued_view(review: ReviewDocument, ring: KeyRing) -> QueuedReview:
    if review.queued_at is None:
        raise ValueError("the review is not in the queue")
    return QueuedReview(
        review=review_view(review, ring),
        report_count=review.report_count,
        reasons=review.report_reasons,
        queued_at=review.queued_at,
    )


def rating_milli(count: int, sum_of_stars: int) -> int:
    """The Bayesian mean in thousandths of a star, rounded half up, by integers only."""
    total, weight = PRIOR_WEIGHT * PRIOR_MEAN_MILLI + 1000 * sum_of_stars, PRIOR_WEIGHT + count
    return (2 * total + weight) // (2 * weight)


def wilson_lower_bound(yes: int, no: int) -> float | None:
    """The share of `yes` that is at least to be expected (Wilson score, 95 %); None without an answer."""
    count = yes + no
    if count == 0:
        return None
    share = yes / count
    centre = share + _Z**2 / (2 * count)
    margin = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return round(max(0.0, (centre - margin) / (1 + _Z**2 / count)), 4)


def reputation(user_id: str, found: ReputationDocument | None) -> Reputation:
    histogram = found.stars if found else dict.fromkeys("12345", 0)
    yes, no = (found.yes, found.no) if found else (0, 0)
    count = sum(histogram.values())
    stars = sum(int(star) * number for star, number in histogram.items())
    return Reputation(
        user_id=user_id,
        rating_milli=rating_milli(count, stars),
        review_count=count,
        histogram=histogram,
        would_work_again_yes=yes,
        would_work_again_no=no,
        would_work_again_lower_bound=wilson_lower_bound(yes, no),
        formula=Formula(prior_mean_milli=PRIOR_MEAN_MILLI, prior_weight=PRIOR_WEIGHT, sum_of_stars=stars, count=count),
        next_five_stars_milli=rating_milli(count + 1, stars + 5),
        next_one_star_milli=rating_milli(count + 1, stars + 1),
    )
