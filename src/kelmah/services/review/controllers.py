"""The operations of the review service, and who may call them."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from kelmah.contracts.common import Page, Role
from kelmah.contracts.review import (
    NewAppeal,
    NewDecision,
    NewReply,
    NewReport,
    NewReview,
    PlatformReviewAnalytics,
    QueuedReview,
    Reputation,
    ReviewAnalytics,
    ReviewView,
)
from kelmah.kit import exports
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal, current_principal
from kelmah.kit.errors import BadInput, Unauthenticated
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy, roles
from kelmah.services.review import service
from kelmah.services.review.service.context import Context
from kelmah.services.review.service.exports import PARTS

POLICY: Policy = {
    "SubmitReview": roles(Role.HIRER, Role.WORKER),
    "ListReviews": PUBLIC,
    "GetReview": PUBLIC,
    "ReplyToReview": SIGNED_IN,
    "ReportReview": SIGNED_IN,
    "MarkReviewHelpful": SIGNED_IN,
    "GetReputation": PUBLIC,
    "ListReviewQueue": roles(Role.MODERATOR, Role.ADMIN),
    "DecideOnReview": roles(Role.MODERATOR, Role.ADMIN),
    "AppealReviewDecision": SIGNED_IN,
    "GetReviewAnalytics": SIGNED_IN,
    "GetPlatformReviewAnalytics": roles(Role.MODERATOR, Role.ADMIN),
    exports.OPERATION: exports.RULE,
}

ContextIn = NamedDependency[Context]
PrincipalIn = NamedDependency[Principal]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


@post(f"{API_PREFIX}/reviews", operation_id="SubmitReview", tags=["Reviews"], summary="Review a contract")
async def submit_review(data: JSONBody[NewReview], context: ContextIn, principal: PrincipalIn) -> ReviewView:
    return await service.submit_review(context, data, by=principal)


@get(f"{API_PREFIX}/reviews", operation_id="ListReviews", tags=["Reviews"], summary="Reviews of a person, or one's own")
async def list_reviews(
    context: ContextIn,
    subject_id: Annotated[str | None, QueryParameter(name="subjectId")] = None,
    mine: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 20,
) -> Page[ReviewView]:
    if mine:
        by = current_principal.get()
        if by is None:
            raise Unauthenticated
        return await service.list_written(context, by=by, cursor=cursor, limit=limit)
    if subject_id is None:
        raise BadInput.of("subjectId", "name the person, or ask for mine=true")
    return await service.list_of_subject(context, subject_id, cursor=cursor, limit=limit)


@get(f"{API_PREFIX}/reviews/{{review_id:str}}", operation_id="GetReview", tags=["Reviews"], summary="One review")
async def get_review(review_id: FromPath[str], context: ContextIn) -> ReviewView:
    return await service.get_review(context, review_id, by=current_principal.get())


@post(
    f"{API_PREFIX}/reviews/{{review_id:str}}/reply",
    operation_id="ReplyToReview",
    tags=["Reviews"],
    summary="Answer a review of oneself, once",
)
async def reply_to_review(
    review_id: FromPath[str], data: JSONBody[NewReply], context: ContextIn, principal: PrincipalIn
) -> ReviewView:
    return await service.reply(context, review_id, data, by=principal)


@post(
    f"{API_PREFIX}/reviews/{{review_id:str}}/report",
    operation_id="ReportReview",
    tags=["Reviews"],
    summary="Tell the moderators of a review",
    status_code=204,
)
async def report_review(
    review_id: FromPath[str], data: JSONBody[NewReport], context: ContextIn, principal: PrincipalIn
) -> None:
    await service.report(context, review_id, data, by=principal)


@post(
    f"{API_PREFIX}/reviews/{{review_id:str}}/helpful",
    operation_id="MarkReviewHelpful",
    tags=["Reviews"],
    summary="Say that a review helped",
    status_code=200,
)
async def mark_helpful(review_id: FromPath[str], context: ContextIn, principal: PrincipalIn) -> ReviewView:
    return await service.mark_helpful(context, review_id, by=principal)


@get(
    f"{API_PREFIX}/users/{{user_id:str}}/reputation",
    operation_id="GetReputation",
    tags=["Reputation"],
    summary="A person's standing and the formula behind it",
)
async def get_reputation(user_id: FromPath[str]) -> Reputation:
    return await service.get_reputation(user_id)


@get(
    f"{API_PREFIX}/moderation/reviews",
    operation_id="ListReviewQueue",
    tags=["Moderation"],
    summary="Reviews that wait for a moderator, oldest first",
)
async def list_queue(context: ContextIn, cursor: FromQuery[str | None] = None, limit: Limit = 20) -> Page[QueuedReview]:
    return await service.list_queue(context, cursor=cursor, limit=limit)


@post(
    f"{API_PREFIX}/moderation/reviews/{{review_id:str}}/decision",
    operation_id="DecideOnReview",
    tags=["Moderation"],
    summary="Settle a review that waits",
    status_code=200,
)
async def decide(
    review_id: FromPath[str], data: JSONBody[NewDecision], context: ContextIn, principal: PrincipalIn
) -> ReviewView:
    return await service.decide(context, review_id, data, by=principal)


@post(
    f"{API_PREFIX}/reviews/{{review_id:str}}/appeal",
    operation_id="AppealReviewDecision",
    tags=["Reviews"],
    summary="Ask for another moderator's decision",
    status_code=200,
)
async def appeal(
    review_id: FromPath[str], data: JSONBody[NewAppeal], context: ContextIn, principal: PrincipalIn
) -> ReviewView:
    return await service.appeal(context, review_id, data, by=principal)


@get(
    f"{API_PREFIX}/analytics/reviews",
    operation_id="GetReviewAnalytics",
    tags=["Reviews"],
    summary="How one's own reviews develop",
)
async def get_analytics(principal: PrincipalIn) -> ReviewAnalytics:
    return await service.get_analytics(by=principal)


@get(
    f"{API_PREFIX}/analytics/reviews/platform",
    operation_id="GetPlatformReviewAnalytics",
    tags=["Moderation"],
    summary="The last year's reviews and their moderation",
)
async def get_platform_analytics() -> PlatformReviewAnalytics:
    return await service.get_platform_analytics()


CONTROLLERS: list[ControllerRouterHandler] = [
    submit_review,
    list_reviews,
    get_review,
    reply_to_review,
    report_review,
    mark_helpful,
    get_reputation,
    list_queue,
    decide,
    appeal,
    get_analytics,
    get_platform_analytics,
    exports.export_handler(PARTS),
]
