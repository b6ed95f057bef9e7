"""Operations on applications."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from kelmah.contracts.common import Page
from kelmah.contracts.job import (
    AcceptedApplication,
    AnswerCounterOffer,
    ApplicationStatus,
    ApplicationView,
    Apply,
    CounterOffer,
    GiveReason,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.job.controllers.parameters import Cursor, Limit
from kelmah.services.job.service import Context, applications, counter_offers


@post("/api/v1/jobs/{job_id:str}/applications", operation_id="ApplyToJob", summary="Apply", tags=["Applications"])
async def apply(
    job_id: FromPath[str],
    data: JSONBody[Apply],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ApplicationView:
    return await applications.apply(context, job_id, data, by=principal)


@get(
    "/api/v1/jobs/{job_id:str}/applications",
    operation_id="ListJobApplications",
    summary="Applications to one's own job",
    tags=["Applications"],
)
async def list_job_applications(
    job_id: FromPath[str],
    principal: NamedDependency[Principal],
    status: FromQuery[ApplicationStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ApplicationView]:
    return await applications.list_job_applications(job_id, by=principal, status=status, cursor=cursor, limit=limit)


@get(
    "/api/v1/applications/me",
    operation_id="ListMyApplications",
    summary="What I applied to",
    tags=["Applications"],
)
async def list_own_applications(
    principal: NamedDependency[Principal],
    status: FromQuery[ApplicationStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ApplicationView]:
    return await applications.list_own_applications(by=principal, status=status, cursor=cursor, limit=limit)


@get(
    "/api/v1/applications/{application_id:str}",
    operation_id="GetApplication",
    summary="One application, for its two sides",
    tags=["Applications"],
)
async def get_application(application_id: FromPath[str], principal: NamedDependency[Principal]) -> ApplicationView:
    return await applications.get_application(application_id, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/accept",
    operation_id="AcceptApplication",
    status_code=200,
    summary="Accept an application, which makes the contract",
    tags=["Applications"],
)
async def accept(
    application_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> AcceptedApplication:
    return await applications.accept(context, application_id, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/reject",
    operation_id="RejectApplication",
    status_code=200,
    summary="Turn an application down",
    tags=["Applications"],
)
async def reject(
    application_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[GiveReason | None] = None,
) -> ApplicationView:
    reason = data.reason if data else None
    return await applications.reject(context, application_id, reason=reason, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/shortlist",
    operation_id="ShortlistApplication",
    status_code=200,
    summary="Put an application on the short list",
    tags=["Applications"],
)
async def shortlist(
    application_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> ApplicationView:
    return await applications.shortlist(context, application_id, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/withdraw",
    operation_id="WithdrawApplication",
    status_code=200,
    summary="Take an application back",
    tags=["Applications"],
)
async def withdraw(
    application_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> ApplicationView:
    return await applications.withdraw(context, application_id, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/counter-offer",
    operation_id="MakeCounterOffer",
    summary="Offer other terms",
    tags=["Applications"],
)
async def offer_counter(
    application_id: FromPath[str],
    data: JSONBody[CounterOffer],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ApplicationView:
    return await counter_offers.offer(context, application_id, data, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/counter-offer/accept",
    operation_id="TakeCounterOffer",
    status_code=200,
    summary="Take the hirer's terms",
    tags=["Applications"],
)
async def take_counter(
    application_id: FromPath[str],
    data: JSONBody[AnswerCounterOffer],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ApplicationView:
    return await counter_offers.answer(context, application_id, data.id, taken=True, by=principal)


@post(
    "/api/v1/applications/{application_id:str}/counter-offer/decline",
    operation_id="LeaveCounterOffer",
    status_code=200,
    summary="Leave the hirer's terms",
    tags=["Applications"],
)
async def leave_counter(
    application_id: FromPath[str],
    data: JSONBody[AnswerCounterOffer],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ApplicationView:
    return await counter_offers.answer(context, application_id, data.id, taken=False, by=principal)


HANDLERS: list[BaseRouteHandler] = [
    apply, list_job_applications, list_own_applications, get_application, accept, reject, shortlist, withdraw,
    offer_counter, take_counter, leave_counter,
]  # fmt: skip
