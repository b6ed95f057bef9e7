"""Moderation: reports, the queue, decisions and appeals against them."""

from datetime import timedelta

from kelmah.contracts.common import Page
from kelmah.contracts.review import (
    Decision,
    NewAppeal,
    NewDecision,
    NewReport,
    QueuedReview,
    ReviewAppealed,
    ReviewModerated,
    ReviewStatus,
    ReviewView,
)
from kelmah.kit import clock, pagination
from kelmah.kit.context import Principal
from kelmah.services.review import documents, mapping
from kelmah.services.review.documents import AppealPart, DecisionPart, MarkDocument
from kelmah.services.review.errors import AlreadyReported, NothingToAppeal, OwnDecision, ReviewNotFound
from kelmah.services.review.service import reputations
from kelmah.services.review.service.context import Context
from kelmah.services.review.service.reviews import after, cleaned, public_and_not_own, tell_revealed
from kelmah.services.review.service.states import REVIEW_TRANSITIONS

APPEAL_WINDOW = timedelta(days=30)
_OUTCOMES = {
    Decision.PUBLISH: ReviewStatus.REVEALED,
    Decision.EXCLUDE: ReviewStatus.EXCLUDED,
    Decision.REMOVE: ReviewStatus.REMOVED,
}


async def report(context: Context, review_id: str, new: NewReport, *, by: Principal) -> None:
    """Tell the moderators of a public review; enough reports put it into their queue.

    Raises:
        ReviewNotFound, OwnReview, AlreadyReported.
    """
    text = cleaned("text", new.text, 1000) if new.text else ""

    async def change() -> None:
        await public_and_not_own(review_id, by)
        mark = MarkDocument(id=f"report:{review_id}:{by.user_id}", text=text, at=clock.now())
        if not await documents.insert_mark(mark):
            raise AlreadyReported
        review = await documents.count_report(review_id, new.reason)
        if review and review.report_count >= context.settings.report_threshold:
            await documents.queue_review(review_id, clock.now())

    await context.mongo.transact(change)


async def list_queue(context: Context, *, cursor: str | None, limit: int) -> Page[QueuedReview]:
    """Reviews that wait for a moderator, those that wait longest first."""
    found = await documents.list_queue(after(cursor), limit + 1)
    now = clock.now()
    return pagination.page(
        found,
        limit,
        view=lambda review: mapping.queued_view(review, context.ring, now),
        last=lambda review: (review.queued_at, review.id),
    )


async def decide(context: Context, review_id: str, new: NewDecision, *, by: Principal) -> ReviewView:
    """Settle a queued review; only a published one counts for the reputation. A decision on an appeal is the last.

    Raises:
        ReviewNotFound: it is not in the queue.
        OwnDecision: the appeal is against the caller's own decision.
    """
    status, now = _OUTCOMES[new.decision], clock.now()
    reason = cleaned("reason", new.reason, 1000)
    sources = [source for source, targets in REVIEW_TRANSITIONS.items() if status in targets]

    async def change() -> ReviewView:
        before = await documents.find_review(review_id)
        if before is None or before.queued_at is None:
            raise ReviewNotFound
        decision = DecisionPart(moderator_id=by.user_id, reason=reason, decided_at=now)
        review = await documents.decide(before, status, decision, sources=sources)
        if review is None:
            raise OwnDecision
        if before.revealed_at is None and review.revealed_at is not None:
            await tell_revealed(context, review)
        await context.events.append(
            ReviewModerated(
                review_id=review.id,
                subject_id=review.subject_id,
                moderator_id=by.user_id,
                decision=status.value,
                reason=reason,
                reviewer_id=review.reviewer_id,
                is_appeal=review.appeal is not None,
            ),
            subject=f"review:{review.id}",
        )
        await reputations.recount(context, review.subject_id, now)
        return mapping.review_view(review, context.ring)

    return await context.mongo.transact(change)


async def appeal(context: Context, review_id: str, new: NewAppeal, *, by: Principal) -> ReviewView:
    """Ask for another moderator: either side of a decided review may, one of them once, within 30 days.

    Raises:
        ReviewNotFound: there is none, or it is not about the caller.
        NothingToAppeal: nobody decided on it lately, or there was an appeal.
    """
    text, now = cleaned("text", new.text, 2000), clock.now()
    sealed = context.ring.seal(text, context=mapping.text_context(review_id))
    part = AppealPart(appellant_id=by.user_id, text=sealed, appealed_at=now)

    async def change() -> ReviewView:
        review = await documents.appeal(review_id, part, decided_after=now - APPEAL_WINDOW)
        if review is None:
            found = await documents.find_review(review_id)
            is_party = found is not None and by.user_id in (found.reviewer_id, found.subject_id)
            raise NothingToAppeal if is_party else ReviewNotFound
        await context.events.append(
            ReviewAppealed(review_id=review.id, appellant_id=by.user_id), subject=f"review:{review.id}"
        )
        return mapping.review_view(review, context.ring, by=by)

    return await context.mongo.transact(change)
