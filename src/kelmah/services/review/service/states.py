"""The legal steps of a review: one table. What is not here is refused."""

from collections.abc import Mapping

from kelmah.contracts.review import ReviewStatus

#: A moderator who decides that nothing changes has decided, too.
_DECIDED = frozenset({ReviewStatus.REVEALED, ReviewStatus.EXCLUDED, ReviewStatus.REMOVED})
REVIEW_TRANSITIONS: Mapping[ReviewStatus, frozenset[ReviewStatus]] = {
    ReviewStatus.SEALED: frozenset({ReviewStatus.REVEALED, ReviewStatus.HELD}),
    ReviewStatus.HELD: _DECIDED,
    ReviewStatus.REVEALED: _DECIDED,
    ReviewStatus.EXCLUDED: _DECIDED,
    ReviewStatus.REMOVED: _DECIDED,
}
