"""Operations on saved jobs, saved searches and invitations."""

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from kelmah.contracts.common import Page
from kelmah.contracts.job import InvitationView, Invite, JobView, SavedSearch, SavedSearchList, SaveSearch
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.job.controllers.parameters import Cursor, Limit
from kelmah.services.job.service import Context, interest


@get("/api/v1/jobs/saved", operation_id="ListSavedJobs", summary="Jobs I keep", tags=["Saved"])
async def list_saved_jobs(
    principal: NamedDependency[Principal], cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[JobView]:
    return await interest.list_saved_jobs(by=principal, cursor=cursor, limit=limit)


@put("/api/v1/jobs/saved/{job_id:str}", operation_id="SaveJob", status_code=204, summary="Keep a job", tags=["Saved"])
async def save_job(job_id: FromPath[str], principal: NamedDependency[Principal]) -> None:
    await interest.save_job(job_id, by=principal)


@delete("/api/v1/jobs/saved/{job_id:str}", operation_id="ForgetJob", summary="Keep a job no longer", tags=["Saved"])
async def forget_job(job_id: FromPath[str], principal: NamedDependency[Principal]) -> None:
    await interest.forget_job(job_id, by=principal)


@get("/api/v1/jobs/searches", operation_id="ListSearches", summary="Searches I hear of", tags=["Saved"])
async def list_searches(principal: NamedDependency[Principal]) -> SavedSearchList:
    return await interest.list_searches(by=principal)


@post("/api/v1/jobs/searches", operation_id="SaveSearch", summary="Hear of jobs that fit a search", tags=["Saved"])
async def save_search(
    data: JSONBody[SaveSearch], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> SavedSearch:
    return await interest.save_search(context, data, by=principal)


@delete(
    "/api/v1/jobs/searches/{search_id:str}", operation_id="ForgetSearch", summary="Hear no more of it", tags=["Saved"]
)
async def forget_search(search_id: FromPath[str], principal: NamedDependency[Principal]) -> None:
    await interest.forget_search(search_id, by=principal)


@post(
    "/api/v1/jobs/{job_id:str}/invitations",
    operation_id="InviteWorker",
    summary="Ask a worker to apply",
    tags=["Invitations"],
)
async def invite(
    job_id: FromPath[str],
    data: JSONBody[Invite],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> InvitationView:
    return await interest.invite(context, job_id, data, by=principal)


@get(
    "/api/v1/jobs/{job_id:str}/invitations",
    operation_id="ListJobInvitations",
    summary="Who was asked to apply",
    tags=["Invitations"],
)
async def list_job_invitations(
    job_id: FromPath[str], principal: NamedDependency[Principal], cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[InvitationView]:
    return await interest.list_job_invitations(job_id, by=principal, cursor=cursor, limit=limit)


@get("/api/v1/invitations/me", operation_id="ListMyInvitations", summary="Who asked me", tags=["Invitations"])
async def list_invitations(
    principal: NamedDependency[Principal], cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[InvitationView]:
    return await interest.list_invitations(by=principal, cursor=cursor, limit=limit)


@post(
    "/api/v1/invitations/{invitation_id:str}/decline",
    operation_id="DeclineInvitation",
    status_code=200,
    summary="Say no to an invitation",
    tags=["Invitations"],
)
async def decline(
    invitation_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> InvitationView:
    return await interest.decline(context, invitation_id, by=principal)


HANDLERS: list[BaseRouteHandler] = [
    list_saved_jobs, save_job, forget_job, list_searches, save_search, forget_search, invite, list_job_invitations,
    list_invitations, decline,
]  # fmt: skip
