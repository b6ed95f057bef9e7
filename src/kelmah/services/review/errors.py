"""What can go wrong with reviews."""

from kelmah.kit.errors import Conflict, Forbidden, KelmahError, NotFound


class ReviewNotFound(NotFound):
    code, title = "review.not_found", "There is no such review"


class ContractNotReviewable(Forbidden):
    code, title = "review.contract_not_yours", "You can review contracts of your own only"


class NothingReleasedYet(Conflict):
    code, title = "review.nothing_released", "A contract can be reviewed once some of its money was released"


class AlreadyReviewed(Conflict):
    code, title = "review.already_reviewed", "You have reviewed this contract"


class WindowClosed(Conflict):
    code, title = "review.window_closed", "The reviews of this contract are public; no more are taken"


class AlreadyReplied(Conflict):
    code, title = "review.already_replied", "A review takes one reply"


class AlreadyReported(Conflict):
    code, title = "review.already_reported", "You have reported this review"


class OwnReview(Conflict):
    code, title = "review.own_review", "That is your own review"


class TextRefused(KelmahError):
    status_code, code, title = 400, "review.text_refused", "This text has no place here; please write it differently"


class NothingToAppeal(Conflict):
    code, title = (
        "review.nothing_to_appeal",
        "There is no decision of the last 30 days that had no appeal yet",
    )


class OwnDecision(Conflict):
    code, title = "review.own_decision", "The appeal is against a decision of your own; another moderator decides"
