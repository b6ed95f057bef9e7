"""Figures about reviews, for a person and for the platform."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from kelmah.contracts.review import CriterionMean, MonthOfReviews, PlatformReviewAnalytics, ReviewAnalytics
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.review import documents
from kelmah.services.review.service.reputations import mean_milli

#: How far back the platform's figures go.
PLATFORM_WINDOW = timedelta(days=365)


async def get_analytics(*, by: Principal) -> ReviewAnalytics:
    """How the caller's reviews develop, month by month."""
    months = await documents.months_of(by.user_id)
    received, replied = (sum(month[name] for month in months) for name in ("count", "replied"))
    criteria: Mapping[str, tuple[int, int]] = await documents.criteria_of(by.user_id)
    return ReviewAnalytics(
        received=received,
        written=await documents.count_written(by.user_id),
        replied=replied,
        reply_rate_milli=mean_milli(replied, received) if received else None,
        criteria=[
            CriterionMean(name=name, count=count, mean_milli=mean_milli(stars, count))
            for name, (count, stars) in criteria.items()
        ],
        months=_months(months),
    )


async def get_platform_analytics() -> PlatformReviewAnalytics:
    """The last year's reviews and their moderation."""
    now = clock.now()
    since = now - PLATFORM_WINDOW
    waiting, first = await documents.queue_state()
    return PlatformReviewAnalytics(
        by_status=await documents.platform_counts("status", since),
        by_label=await documents.platform_counts("labels", since),
        by_suspicion=await documents.platform_counts("suspicions", since),
        queue_length=waiting,
        oldest_waiting_s=int((now - first).total_seconds()) if first else None,
        months=_months(await documents.months(since)),
    )


def _months(rows: Sequence[dict[str, Any]]) -> list[MonthOfReviews]:
    return [
        MonthOfReviews(month=row["_id"], count=row["count"], mean_milli=mean_milli(row["stars"], row["count"]))
        for row in rows
    ]
