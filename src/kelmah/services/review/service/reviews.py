"""Writing reviews, opening them, and reading, answering and marking those that are public."""

import hashlib
import re
from datetime import datetime, timedelta

import msgspec

from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.common import Page
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ContractFacts, MilestoneStatus
from kelmah.contracts.payment import DisputeResolved
from kelmah.contracts.review import (
    NewReply,
    NewReview,
    ReviewHeld,
    ReviewRevealed,
    ReviewStatus,
    ReviewSubmitted,
    ReviewView,
    Suspicion,
)
from kelmah.kit import clock, pagination
from kelmah.kit.context import Principal
from kelmah.kit.crypto import random_token
from kelmah.kit.errors import BadInput, NotFound
from kelmah.kit.ids import new_id
from kelmah.kit.text import clean_text
from kelmah.services.review import documents, mapping
from kelmah.services.review.documents import MarkDocument, ReplyPart, ReviewDocument
from kelmah.services.review.errors import (
    AlreadyReplied,
    AlreadyReviewed,
    ContractNotReviewable,
    NothingReleasedYet,
    OwnReview,
    ReviewNotFound,
    TextRefused,
    WindowClosed,
)
from kelmah.services.review.service import reputations, screening, suspicion
from kelmah.services.review.service.context import Context

#: A milestone in this state was paid, wholly or in part, to the worker.
_PAID = MilestoneStatus.RELEASED
#: Answers are JSON and mails escape, so this would run nowhere; whoever writes it means harm all the same.
_MARKUP = re.compile(r"<\s*[/!?]?[a-z]|javascript:", re.IGNORECASE)
#: Where everybody may read a review.
PUBLIC = frozenset({ReviewStatus.REVEALED, ReviewStatus.EXCLUDED})


async def submit_review(context: Context, new: NewReview, *, by: Principal) -> ReviewView:
    """Seal a review; the second side's opens both.

    Raises:
        ContractNotReviewable, NothingReleasedYet, AlreadyReviewed, WindowClosed.
    """
    text = cleaned("text", new.text, 4000)
    note = cleaned("privateNote", new.private_note, 2000) if new.private_note else None
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
    exchange = await documents.open_exchange(contract_id, now)
    return [await _open(context, review, exchange, now) for review in exchange]


async def _open(
    context: Context, sealed: ReviewDocument, exchange: list[ReviewDocument], now: datetime
) -> ReviewDocument:
    found = await suspicion.suspicions_of(sealed, exchange, now)
    status = ReviewStatus.HELD if sealed.labels else ReviewStatus.REVEALED
    queue = bool(sealed.labels) or not suspicion.TO_BE_LOOKED_AT.isdisjoint(found)
    review = await documents.reveal(sealed.id, status, now, found, queue=queue)
    if review is None:
        raise RuntimeError("a sealed review of an exchange that this transaction opened is gone")
    if status is ReviewStatus.HELD:
        await context.events.append(
            ReviewHeld(
                review_id=review.id,
                contract_id=review.contract_id,
                reviewer_id=review.reviewer_id,
                subject_id=review.subject_id,
                labels=[label.value for label in review.labels],
            ),
            subject=f"review:{review.id}",
        )
        return review
    if Suspicion.BURST in found:
        await documents.flag(review.subject_id, now - suspicion.BURST_WINDOW, Suspicion.BURST)
    await tell_revealed(context, review)
    subjects = {review.subject_id}
    if Suspicion.RING in found:  # what began it is as suspicious as what closed it
        subjects |= await documents.flag_contracts(await suspicion.ring_of(review, now), Suspicion.RING)
    for subject_id in sorted(subjects):
        await reputations.recount(context, subject_id, now)
    return review


async def tell_revealed(context: Context, review: ReviewDocument) -> None:
    """Append the event that a review is public and counts. Joins the open transaction."""
    await context.events.append(
        ReviewRevealed(
            review_id=review.id,
            contract_id=review.contract_id,
            reviewer_id=review.reviewer_id,
            subject_id=review.subject_id,
            rating=review.rating,
            would_work_again=review.would_work_again,
            trade=review.trade,
            region=review.region,
        ),
        subject=f"review:{review.id}",
    )


async def on_dispute_resolved(context: Context, envelope: Envelope, event: DisputeResolved) -> None:
    """A ruling opens its contract for reviews, whoever got the money."""

    async def effect() -> None:
        await documents.insert_ruling(event.contract_id, clock.now())

    await context.events.consume("review.note_ruling", envelope.id, effect)


async def _reviewable(context: Context, contract_id: str, by: Principal) -> ContractFacts:
    try:
        contract = await context.job.get_contract(contract_id=contract_id)
    except NotFound as error:
        raise ContractNotReviewable from error
    # Nobody reviews themselves, however such a contract came about.
    if by.user_id not in (contract.hirer_id, contract.worker_id) or contract.hirer_id == contract.worker_id:
        raise ContractNotReviewable
    is_paid = any(milestone.status is _PAID for milestone in contract.milestones)
    if not is_paid and not await documents.has_ruling(contract_id):
        raise NothingReleasedYet
    return contract


def _sealed(
    context: Context, new: NewReview, text: str, note: str | None, contract: ContractFacts, by: Principal
) -> ReviewDocument:
    review_id, salt = new_id(), random_token()
    place = mapping.text_context(review_id)
    is_hirer = by.user_id == contract.hirer_id
    # Several currencies have no common measure here; a limit in minor units tells next to nothing from something.
    is_tiny = sum(milestone.amount.amount for milestone in contract.milestones) < context.settings.tiny_contract_amount
    return ReviewDocument(
        id=review_id,
        contract_id=contract.id,
        reviewer_id=by.user_id,
        subject_id=contract.worker_id if is_hirer else contract.hirer_id,
        reviewer_is_hirer=is_hirer,
        trade=contract.trade,
        region=contract.region,
        status=ReviewStatus.SEALED,
        rating=new.rating,
        criteria=msgspec.to_builtins(new.criteria),
        would_work_again=new.would_work_again,
        text=context.ring.seal(text, context=place),
        private_note=context.ring.seal(note, context=place) if note else None,
        salt=salt,
        digest=commitment(salt, new.rating, text),
        text_fingerprint=suspicion.text_fingerprint(context.ring, text),
        device_fingerprint=suspicion.device_fingerprint(context.ring, by),
        labels=screening.labels_of(text),
        suspicions=[Suspicion.TINY_CONTRACT] if is_tiny else [],
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
    if review is None or (review.status not in PUBLIC and not is_own):
        raise ReviewNotFound
    return mapping.review_view(review, context.ring, by=by)


async def list_of_subject(context: Context, subject_id: str, *, cursor: str | None, limit: int) -> Page[ReviewView]:
    """Public reviews of a person, newest first."""
    found = await documents.list_public(subject_id, after(cursor), limit + 1)
    return _page(context, found, limit, "revealed_at", None)


async def list_written(context: Context, *, by: Principal, cursor: str | None, limit: int) -> Page[ReviewView]:
    """Reviews that the caller wrote, sealed ones too, newest first."""
    found = await documents.list_written(by.user_id, after(cursor), limit + 1)
    return _page(context, found, limit, "submitted_at", by)


def _page(
    context: Context, found: list[ReviewDocument], limit: int, field: str, by: Principal | None
) -> Page[ReviewView]:
    return pagination.page(
        found,
        limit,
        view=lambda review: mapping.review_view(review, context.ring, by=by),
        last=lambda review: (getattr(review, field), review.id),
    )


def after(cursor: str | None) -> documents.Cursor | None:
    """The position of a cursor."""
    values = pagination.read_cursor(cursor, (datetime, str))
    return None if values is None else (values[0], values[1])


async def reply(context: Context, review_id: str, new: NewReply, *, by: Principal) -> ReviewView:
    """Answer a public review of oneself, once. A reply cannot be held back, so one that would be is refused.

    Raises:
        ReviewNotFound, AlreadyReplied, TextRefused.
    """
    text = cleaned("text", new.text, 2000)
    if labels := screening.labels_of(text):
        raise TextRefused("it looks like: " + ", ".join(label.value for label in labels))

    async def change() -> ReviewView:
        review = await documents.set_reply(review_id, by.user_id, ReplyPart(text=text, replied_at=clock.now()))
        if review is None:
            found = await documents.find_review(review_id)
            if found and found.subject_id == by.user_id and found.reply:
                raise AlreadyReplied
            raise ReviewNotFound
        return mapping.review_view(review, context.ring)

    return await context.mongo.transact(change)


async def mark_helpful(context: Context, review_id: str, *, by: Principal) -> ReviewView:
    """Say that a public review helped; said twice it counts once.

    Raises:
        ReviewNotFound, OwnReview.
    """

    async def change() -> ReviewView:
        await public_and_not_own(review_id, by)
        mark = MarkDocument(id=f"helpful:{review_id}:{by.user_id}", at=clock.now())
        is_new = await documents.insert_mark(mark)
        review = await (documents.count_helpful(review_id) if is_new else documents.find_review(review_id))
        if review is None:
            raise ReviewNotFound
        return mapping.review_view(review, context.ring)

    return await context.mongo.transact(change)


async def public_and_not_own(review_id: str, by: Principal) -> None:
    """Raises ReviewNotFound or OwnReview."""
    review = await documents.find_review(review_id)
    if review is None or review.status not in PUBLIC:
        raise ReviewNotFound
    if review.reviewer_id == by.user_id:
        raise OwnReview


async def on_account_deleted(context: Context, envelope: Envelope, event: AccountDeleted) -> None:
    """Erase what the person noted in private. Reviews stay, for the sake of those they are of; the name beside one
    comes from the user service, which calls the person deleted. Doing it twice changes nothing."""
    await documents.forget_person(event.user_id)


def cleaned(field: str, text: str, max_chars: int) -> str:
    """A text in its normal form.

    Raises:
        BadInput: it names the field.
    """
    try:
        text = clean_text(text, max_chars)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from error
    if _MARKUP.search(text):
        raise BadInput.of(field, "holds markup or a script; plain text is taken")
    return text
