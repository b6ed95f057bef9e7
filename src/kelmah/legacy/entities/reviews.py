"""Reviews."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from kelmah.contracts.review import Criteria, ReviewStatus
from kelmah.legacy.database import Row
from kelmah.legacy.entity import Entity, Group, Part, Reference, To
from kelmah.legacy.reading import old_uuid

STATUSES = {
    "published": ReviewStatus.REVEALED,
    "pending": ReviewStatus.HELD,
    "hidden": ReviewStatus.REMOVED,
    "removed": ReviewStatus.REMOVED,
}
_OLD_STATUSES = {
    ReviewStatus.SEALED: "pending",
    ReviewStatus.HELD: "pending",
    ReviewStatus.REVEALED: "published",
    ReviewStatus.EXCLUDED: "published",
    ReviewStatus.REMOVED: "removed",
}


class OldReview(msgspec.Struct, frozen=True, kw_only=True):
    """What one side said of the other."""

    id: str
    contract_id: str
    reviewer_id: str
    subject_id: str
    rating: int
    criteria: dict[str, int] | None
    text: str
    status: ReviewStatus
    submitted_at: datetime
    reply: str | None = None
    replied_at: datetime | None = None
    reviewer_is_hirer: bool = True

    def compared(self) -> "OldReview":
        return self


def make(group: Group) -> OldReview:
    row = group.root
    criteria = row.soft(lambda: row.json("criteria", Criteria) if row.raw("criteria") else None, None)
    reply = row.soft(lambda: row.optional_text("reply", 2_000), None)
    submitted_at = row.instant("created_at")
    replied_at = row.soft(lambda: row.optional_instant("replied_at"), None)
    return OldReview(
        id=row.id("id", "reviews"),
        contract_id=row.id("contract_id", "contracts"),
        reviewer_id=row.id("reviewer_id", "users"),
        subject_id=row.id("subject_id", "users"),
        rating=row.whole("rating", least=1, most=5),
        criteria=msgspec.to_builtins(criteria) if criteria else None,
        text=row.optional_text("text", 4_000) or "",
        status=row.choice("status", STATUSES),
        submitted_at=submitted_at,
        reply=reply,
        replied_at=(replied_at or submitted_at) if reply else None,
        reviewer_is_hirer=row.raw("of_worker") != "false",
    )


def rows(review: OldReview) -> Iterator[tuple[str, Row]]:
    """As the old table has it."""
    yield (
        "reviews",
        {
            "id": old_uuid(review.id),
            "contract_id": old_uuid(review.contract_id),
            "reviewer_id": old_uuid(review.reviewer_id),
            "subject_id": old_uuid(review.subject_id),
            "rating": review.rating,
            "criteria": None if review.criteria is None else msgspec.json.encode(review.criteria).decode(),
            "text": review.text,
            "reply": review.reply,
            "replied_at": review.replied_at,
            "status": _OLD_STATUSES[review.status],
            "created_at": review.submitted_at,
        },
    )


REVIEWS = Entity(
    name="reviews",
    service="review",
    make=make,
    rows=rows,
    references=(
        Reference("contract_id", "contracts", "job", strict=True),
        Reference("reviewer_id", "users", "auth"),
        Reference("subject_id", "users", "auth"),
    ),
    root=Part(
        table="reviews",
        extra={"of_worker": "SELECT c.hirer_id = t.reviewer_id FROM {contracts} c WHERE c.id = t.contract_id"},
        columns={
            "id": To("reviews._id", "the UUID without dashes"),
            "contract_id": To("reviews.contract_id", "the contract's exchange is over"),
            "reviewer_id": To("reviews.reviewer_id"),
            "subject_id": To("reviews.subject_id"),
            "rating": To("reviews.rating", "1 to 5, else refused"),
            "criteria": To("reviews.criteria", "JSON of the five criteria, else left out"),
            "text": To("reviews.text", "sealed, with a digest"),
            "reply": To("reviews.reply.text"),
            "replied_at": To("reviews.reply.replied_at"),
            "status": To("reviews.status", "published → revealed; pending → held, in the queue; hidden → removed"),
            "created_at": To("reviews.submitted_at, revealed_at"),
        },
    ),
)
