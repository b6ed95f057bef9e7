"""The rules of reviews: who may write one, when it opens, what it does to a reputation, who moderates."""

from kelmah.services.review.service.analytics import get_analytics, get_platform_analytics
from kelmah.services.review.service.context import Context
from kelmah.services.review.service.moderation import appeal, decide, list_queue, report
from kelmah.services.review.service.reputations import age_reputation, get_reputation, projections
from kelmah.services.review.service.reviews import (
    commitment,
    get_review,
    list_of_subject,
    list_written,
    mark_helpful,
    on_account_deleted,
    on_dispute_resolved,
    reply,
    reveal,
    submit_review,
)

__all__ = [
    "Context",
    "age_reputation",
    "appeal",
    "commitment",
    "decide",
    "get_analytics",
    "get_platform_analytics",
    "get_reputation",
    "get_review",
    "list_of_subject",
    "list_queue",
    "list_written",
    "mark_helpful",
    "on_account_deleted",
    "on_dispute_resolved",
    "projections",
    "reply",
    "report",
    "reveal",
    "submit_review",
]
