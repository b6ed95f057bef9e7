"""Reviews out of the old database, and back into its shape."""

from collections.abc import Sequence
from functools import partial

from kelmah.contracts.review import ReviewStatus
from kelmah.kit import clock
from kelmah.kit.crypto import random_token
from kelmah.kit.mongo import add_all
from kelmah.legacy.entities.reviews import OldReview
from kelmah.legacy.twins import Claims, without_twins
from kelmah.services.review import mapping
from kelmah.services.review.documents import ReplyPart, ReviewDocument
from kelmah.services.review.documents import legacy as documents
from kelmah.services.review.service.context import Context
from kelmah.services.review.service.reputations import recount
from kelmah.services.review.service.reviews import commitment


def review_claims(context: Context, one: OldReview) -> Claims:
    """What no two reviews may have."""
    return {f"{one.contract_id}:{one.reviewer_id}": "reviews.reviewer_id: this side has another review"}


async def move_reviews(context: Context, old: Sequence[OldReview]) -> dict[str, str]:
    """Store old reviews in the open transaction, and tell of those that cannot be: id → reason."""
    there = {f"{contract}:{side}" for contract, side in await documents.sides_of([one.contract_id for one in old])}
    made, refused = without_twins(old, partial(review_claims, context), there)
    await add_all([_moved(context, one) for one in made])
    for one in made:
        await documents.close_exchange(one.contract_id, one.reviewer_id, one.submitted_at)
    for subject_id in dict.fromkeys(one.subject_id for one in made if one.status is ReviewStatus.REVEALED):
        await recount(context, subject_id, clock.now())
    return refused


async def reviews_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldReview]:
    """Reviews as the old database would have them."""
    return {
        one.id: OldReview(
            id=one.id,
            contract_id=one.contract_id,
            reviewer_id=one.reviewer_id,
            subject_id=one.subject_id,
            reviewer_is_hirer=one.reviewer_is_hirer,
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
        reviewer_is_hirer=old.reviewer_is_hirer,
        status=old.status,
        rating=old.rating,
        criteria=old.criteria,
        would_work_again=None,
        text=context.ring.seal(old.text, context=mapping.text_context(old.id)),
        private_note=None,
        salt=salt,
        digest=commitment(salt, old.rating, old.text),
        submitted_at=old.submitted_at,
        revealed_at=None if old.status is ReviewStatus.HELD else old.submitted_at,
        reply=ReplyPart(text=old.reply, replied_at=old.replied_at) if old.reply and old.replied_at else None,
        queued_at=old.submitted_at if old.status is ReviewStatus.HELD else None,
    )
