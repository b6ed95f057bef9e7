"""Documents of the review service as contracts."""

from datetime import datetime

import msgspec

from kelmah.contracts.review import (
    Criteria,
    DecisionView,
    QueuedReview,
    Reply,
    ReviewStatus,
    ReviewView,
)
from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.services.review.documents import ReviewDocument


def text_context(review_id: str) -> bytes:
    """The place that a review's sealed text is bound to."""
    return f"review.review.text:{review_id}".encode()


def review_view(review: ReviewDocument, ring: KeyRing, *, by: Principal | None = None) -> ReviewView:
    """A review as `by` sees it: its two sides see what was decided on it."""
    is_party = by is not None and by.user_id in (review.reviewer_id, review.subject_id)
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
        suspicions=review.suspicions,
        decision=_decision(review) if is_party else None,
    )


def _decision(review: ReviewDocument) -> DecisionView | None:
    if review.decision is None:
        return None
    return DecisionView(
        reason=review.decision.reason, decided_at=review.decision.decided_at, can_appeal=review.appeal is None
    )


def queued_view(review: ReviewDocument, ring: KeyRing, now: datetime) -> QueuedReview:
    if review.queued_at is None:
        raise ValueError("the review is not in the queue")
    return QueuedReview(
        review=review_view(review, ring),
        labels=review.labels,
        report_count=review.report_count,
        reasons=review.report_reasons,
        appeal=ring.open(review.appeal.text, context=text_context(review.id)) if review.appeal else None,
        queued_at=review.queued_at,
        waiting_s=int((now - review.queued_at).total_seconds()),
    )
