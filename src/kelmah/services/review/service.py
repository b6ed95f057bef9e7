"""The rules of reviews: who may write one, when it opens, and what it does to a reputation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from kelmah.clients.job import JobClient
from kelmah.contracts.common import Page
from kelmah.contracts.job import ContractFacts, MilestoneStatus
from kelmah.contracts.review import (
    Decision,
    MonthOfReviews,
    NewDecision,
    NewReply,
    NewReport,
    NewReview,
    QueuedReview,
    Reputation,
    ReputationChanged,
    ReviewAnalytics,
    ReviewModerated,
    ReviewRevealed,
    ReviewStatus,
    ReviewSubmitted,
    ReviewView,
)
from kelmah.kit import clock, pagination
from kelmah.kit.context import Principal
from kelmah.kit.crypto import random_token
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import add_all
from kelmah.kit.resources import Resources
from kelmah.kit.text import clean_text
from kelmah.legacy.entities.reviews import OldReview
from kelmah.services.review import documents, mapping
from kelmah.services.review.documents import MarkDocument, ReplyPart, ReviewDocument
from kelmah.services.review.errors import (
    AlreadyReplied,
    AlreadyReported,
    AlreadyReviewed,
    ContractNotReviewable,
    NothingReleasedYet,
    OwnReview,
    ReviewNotFound,
    WindowClosed,
)
from kelmah.services.review.settings import ReviewSettings

#: Milestones whose money was paid out, wholly or by a ruling, open a contract for reviews.
_PAID = frozenset({MilestoneStatus.RELEASED})


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """What the review service works with."""

    settings: ReviewSettings
    job: JobClient


async def submit_review(context: Context, new: NewReview, *, by: Principal) -> ReviewView:
    """Seal a review; the second side's opens both.

    Raises:
        ContractNotReviewable, NothingReleasedYet, AlreadyReviewed, WindowClosed.
    """
    text = _cleaned("text", new.text, 4000)
    note = _cleaned("privateNote", new.private_note, 2000) if new.private_note else None
    contract = await _reviewable(context, new.contract_id, by)
    review = _sealed(context, new, text, note, contract, by)

    async def change() -> ReviewView:
        exchange = await documents.join_exchange(contract.id, by.user_id)
        if exchange is None:
            raise WindowClosed
        if await documents.find_by_side(contract.id, by.user_id):
            raise AlreadyReviewed
        await documents.insert_review(review)
        await context.events.append(
            ReviewSubmitted(
                review_id=review.id,
                contract_id=contract.id,
                reviewer_id=review.reviewer_id,
                subject_id=review.subject_id,
                digest=review.digest,
            ),
            subject=f"review:{review.id}",
        )
        opened = [review]
        if len(exchange.reviewers) == 2:
            opened = await _reveal(context, contract.id)
            await context.timers.cancel(f"reveal:{contract.id}")
        else:
            due = review.submitted_at + timedelta(days=context.settings.sealed_days)
            await context.timers.set(f"reveal:{contract.id}", "review.reveal", [contract.id], due=due)
        own = next(one for one in opened if one.id == review.id)
        return mapping.review_view(own, context.ring)

    return await context.mongo.transact(change)


async def reveal(context: Context, contract_id: str) -> None:
    """Open what is sealed, though the other side is silent. The timer's target; a second call does nothing."""

    async def change() -> None:
        await _reveal(context, contract_id)

    await context.mongo.transact(change)


async def _reveal(context: Context, contract_id: str) -> list[ReviewDocument]:
    now = clock.now()
    reviews = await documents.reveal_exchange(contract_id, now)
    for review in reviews:
        await context.events.append(
            ReviewRevealed(
                review_id=review.id,
                contract_id=contract_id,
                reviewer_id=review.reviewer_id,
                subject_id=review.subject_id,
                rating=review.rating,
            ),
            subject=f"review:{review.id}",
        )
        await _recount(context, review.subject_id, now)
    return reviews


async def _recount(context: Context, user_id: str, now: datetime) -> None:
    standing = mapping.reputation(user_id, await documents.tally(user_id, now))
    await context.events.append(
        ReputationChanged(user_id=user_id, review_count=standing.review_count, rating_milli=standing.rating_milli),
        subject=f"reputation:{user_id}",
    )


async def _reviewable(context: Context, contract_id: str, by: Principal) -> ContractFacts:
    try:
        contract = await context.job.get_contract(contract_id=contract_id)
    except NotFound as error:
        raise ContractNotReviewable from error
    if by.user_id not in (contract.hirer_id, contract.worker_id):
        raise ContractNotReviewable
    if not any(milestone.status in _PAID for milestone in contract.milestones):
        raise NothingReleasedYet
    return contract


def _sealed(
    context: Context, new: NewReview, text: str, note: str | None, contract: ContractFacts, by: Principal
) -> ReviewDocument:
    review_id, salt = new_id(), random_token()
    place = mapping.text_context(review_id)
    return ReviewDocument(
        id=review_id,
        contract_id=contract.id,
        reviewer_id=by.user_id,
        subject_id=contract.worker_id if by.user_id == contract.hirer_id else contract.hirer_id,
        status=ReviewStatus.SEALED,
        rating=new.rating,
        criteria=msgspec.to_builtins(new.criteria),
        would_work_again=new.would_work_again,
        text=context.ring.seal(text, context=place),
        private_note=context.ring.seal(note, context=place) if note else None,
        salt=salt,
        digest=commitment(salt, new.rating, text),
        submitted_at=clock.now(),
    )


def commitment(salt: str, rating: int, text: str) -> str:
    """What is published while a review is sealed: SHA-256 over salt, stars and text, so that nobody can alter it."""
    return hashlib.sha256(f"{salt}\n{rating}\n{text}".encode()).hexdigest()


async def get_review(context: Context, review_id: str, *, by: Principal | None) -> ReviewView:
    """A public review, or one of one's own.

    Raises:
        ReviewNotFound: there is none, or it is sealed or removed and not the caller's.
    """
    review = await documents.find_review(review_id)
    is_own = review is not None and by is not None and review.reviewer_id == by.user_id
    if review is None or (review.status != ReviewStatus.REVEALED and not is_own):
        raise ReviewNotFound
    return mapping.review_view(review, context.ring)


async def list_of_subject(context: Context, subject_id: str, *, cursor: str | None, limit: int) -> Page[ReviewView]:
    """Public reviews of a person, newest first."""
    found = await documents.list_revealed(subject_id, _after(cursor), limit + 1)
    return _page(context, found, limit, "revealed_at")


async def list_written(context: Context, *, by: Principal, cursor: str | None, limit: int) -> Page[ReviewView]:
    """Reviews that the caller wrote, sealed ones too, newest first."""
    found = await documents.list_written(by.user_id, _after(cursor), limit + 1)
    return _page(context, found, limit, "submitted_at")


def _page(context: Context, found: list[ReviewDocument], limit: int, field: str) -> Page[ReviewView]:
    return pagination.page(
        found,
        limit,
        view=lambda review: mapping.review_view(review, context.ring),
        last=lambda review: (getattr(review, field), review.id),
    )


def _after(cursor: str | None) -> documents.Cursor | None:
    values = pagination.read_cursor(cursor, (datetime, str))
    return None if values is None else (values[0], values[1])


async def reply(context: Context, review_id: str, new: NewReply, *, by: Principal) -> ReviewView:
    """Answer a public review of oneself, once.

    Raises:
        ReviewNotFound, AlreadyReplied.
    """
    text = _cleaned("text", new.text, 2000)
    review = await documents.set_reply(review_id, by.user_id, ReplyPart(text=text, replied_at=clock.now()))
    if review is None:
        found = await documents.find_review(review_id)
        if found and found.subject_id == by.user_id and found.reply:
            raise AlreadyReplied
        raise ReviewNotFound
    return mapping.review_view(review, context.ring)


async def mark_helpful(context: Context, review_id: str, *, by: Principal) -> ReviewView:
    """Say that a public review helped; said twice it counts once.

    Raises:
        ReviewNotFound, OwnReview.
    """

    async def change() -> ReviewView:
        await _public_and_not_own(review_id, by)
        mark = MarkDocument(id=f"helpful:{review_id}:{by.user_id}", at=clock.now())
        is_new = await documents.insert_mark(mark)
        review = await (documents.count_helpful(review_id) if is_new else documents.find_review(review_id))
        if review is None:
            raise ReviewNotFound
        return mapping.review_view(review, context.ring)

    return await context.mongo.transact(change)


async def report(context: Context, review_id: str, new: NewReport, *, by: Principal) -> None:
    """Tell the moderators of a public review; enough reports put it into their queue.

    Raises:
        ReviewNotFound, OwnReview, AlreadyReported.
    """
    text = _cleaned("text", new.text, 1000) if new.text else ""

    async def change() -> None:
        await _public_and_not_own(review_id, by)
        mark = MarkDocument(id=f"report:{review_id}:{by.user_id}", text=text, at=clock.now())
        if not await documents.insert_mark(mark):
            raise AlreadyReported
        review = await documents.count_report(review_id, new.reason)
        if review and review.report_count >= context.settings.report_threshold:
            await documents.queue_review(review_id, clock.now())

    await context.mongo.transact(change)


async def _public_and_not_own(review_id: str, by: Principal) -> None:
    review = await documents.find_review(review_id)
    if review is None or review.status != ReviewStatus.REVEALED:
        raise ReviewNotFound
    if review.reviewer_id == by.user_id:
        raise OwnReview


async def list_queue(context: Context, *, cursor: str | None, limit: int) -> Page[QueuedReview]:
    """Reported reviews, those that wait longest first."""
    found = await documents.list_queue(_after(cursor), limit + 1)
    return pagination.page(
        found,
        limit,
        view=lambda review: mapping.queued_view(review, context.ring),
        last=lambda review: (review.queued_at, review.id),
    )


async def decide(context: Context, review_id: str, new: NewDecision, *, by: Principal) -> ReviewView:
    """Settle a queued review. A removed one no longer counts for the reputation.

    Raises:
        ReviewNotFound: it is not in the queue.
    """
    status = ReviewStatus.REMOVED if new.decision is Decision.REMOVE else ReviewStatus.REVEALED

    async def change() -> ReviewView:
        review = await documents.decide(review_id, status)
        if review is None:
            raise ReviewNotFound
        await context.events.append(
            ReviewModerated(
                review_id=review.id,
                subject_id=review.subject_id,
                moderator_id=by.user_id,
                decision=status.value,
                reason=new.reason,
            ),
            subject=f"review:{review.id}",
        )
        await _recount(context, review.subject_id, clock.now())
        return mapping.review_view(review, context.ring)

    return await context.mongo.transact(change)


async def get_reputation(context: Context, user_id: str) -> Reputation:
    """A person's standing; somebody without reviews stands at the prior."""
    return mapping.reputation(user_id, await documents.find_reputation(user_id))


async def get_analytics(context: Context, *, by: Principal) -> ReviewAnalytics:
    """How the caller's reviews develop, month by month."""
    months = await documents.months_of(by.user_id)
    return ReviewAnalytics(
        received=sum(month["count"] for month in months),
        written=await documents.count_written(by.user_id),
        replied=sum(month["replied"] for month in months),
        months=[
            MonthOfReviews(
                month=month["_id"], count=month["count"], mean_milli=round(1000 * month["stars"] / month["count"])
            )
            for month in months
        ],
    )


def _cleaned(field: str, text: str, max_chars: int) -> str:
    try:
        return clean_text(text, max_chars)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error


# --- Out of the old database, and back into its shape ---


async def move_reviews(context: Context, old: Sequence[OldReview]) -> dict[str, str]:
    """Store old reviews in the open transaction, and tell of those that cannot be: id → reason."""
    there = await documents.sides_of([one.contract_id for one in old])
    refused: dict[str, str] = {}
    made: list[OldReview] = []
    for one in old:
        if (one.contract_id, one.reviewer_id) in there:
            refused[one.id] = "reviews.reviewer_id: this side has another review"
            continue
        there.add((one.contract_id, one.reviewer_id))
        made.append(one)
    await add_all([_moved(context, one) for one in made])
    for one in made:
        await documents.close_exchange(one.contract_id, one.reviewer_id, one.submitted_at)
    for subject_id in dict.fromkeys(one.subject_id for one in made if one.status is ReviewStatus.REVEALED):
        await _recount(context, subject_id, clock.now())
    return refused


async def reviews_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldReview]:
    """Reviews as the old database would have them."""
    return {
        one.id: OldReview(
            id=one.id,
            contract_id=one.contract_id,
            reviewer_id=one.reviewer_id,
            subject_id=one.subject_id,
            rating=one.rating,
            criteria=one.criteria,
            text=context.ring.open(one.text, context=mapping.text_context(one.id)),
            status=one.status,
            submitted_at=one.submitted_at,
            reply=one.reply.text if one.reply else None,
            replied_at=one.reply.replied_at if one.reply else None,
        )
        for one in await documents.reviews_by_id(ids)
    }


def _moved(context: Context, old: OldReview) -> ReviewDocument:
    salt = random_token()
    return ReviewDocument(
        id=old.id,
        contract_id=old.contract_id,
        reviewer_id=old.reviewer_id,
        subject_id=old.subject_id,
        status=old.status,
        rating=old.rating,
        criteria=old.criteria,
        would_work_again=None,
        text=context.ring.seal(old.text, context=mapping.text_context(old.id)),
        private_note=None,
        salt=salt,
        digest=commitment(salt, old.rating, old.text),
        submitted_at=old.submitted_at,
        revealed_at=old.submitted_at,
        reply=ReplyPart(text=old.reply, replied_at=old.replied_at) if old.reply and old.replied_at else None,
        queued_at=old.submitted_at if old.waits else None,
    )
