"""Operations on jobs."""

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from kelmah.contracts.common import MAX_SAFE_INTEGER, Page, PastState, Role
from kelmah.contracts.job import (
    CreateJob,
    GiveReason,
    JobFacets,
    JobStatus,
    JobSuggestions,
    JobVersion,
    JobView,
    Match,
    PopularJobSearch,
    Recommendation,
    UpdateJob,
)
from kelmah.kit.context import Principal, current_principal
from kelmah.kit.errors import BadInput, Forbidden, Unauthenticated
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.kit.past import At
from kelmah.services.job.controllers.parameters import Cursor, IfMatch, Limit, expected_version, tagged
from kelmah.services.job.service import Context, history, jobs, matching, popular, search
from kelmah.services.job.service.search import MAX_RADIUS_KM, JobSearch, Sort

Text = Annotated[str | None, QueryParameter(max_length=200)]
Category = Annotated[str | None, QueryParameter(max_length=60, description="A trade, or a family of them.")]
Skills = Annotated[list[str] | None, QueryParameter(max_items=20, description="Any of these trades.")]
Near = Annotated[str | None, QueryParameter(max_length=80, description="longitude,latitude")]
Radius = Annotated[float | None, QueryParameter(name="radiusKm", gt=0, le=MAX_RADIUS_KM)]
Region = Annotated[str | None, QueryParameter(max_length=80)]
MinBudget = Annotated[int | None, QueryParameter(name="minBudget", ge=0, le=MAX_SAFE_INTEGER)]
MaxBudget = Annotated[int | None, QueryParameter(name="maxBudget", ge=0, le=MAX_SAFE_INTEGER)]
BudgetCurrency = Annotated[str, QueryParameter(pattern="^[A-Z]{3}$", description="Of the budget bounds.")]


@post("/api/v1/jobs", operation_id="CreateJob", summary="Write a job, as a draft", tags=["Jobs"])
async def create_job(
    data: JSONBody[CreateJob], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[JobView]:
    return tagged(await jobs.create_job(context, data, by=principal), status_code=201)


@get("/api/v1/jobs", operation_id="ListJobs", summary="Search open jobs, or list one's own", tags=["Jobs"])
async def list_jobs(
    context: NamedDependency[Context],
    q: Text = None,
    category: Category = None,
    skill: Skills = None,
    near: Near = None,
    radius_km: Radius = None,
    region: Region = None,
    min_budget: MinBudget = None,
    max_budget: MaxBudget = None,
    currency: BudgetCurrency = "GHS",
    urgent: FromQuery[bool | None] = None,
    sort: FromQuery[Sort] = Sort.NEWEST,
    explain: Annotated[bool, QueryParameter(description="Say of each job why it is there.")] = False,
    mine: Annotated[bool, QueryParameter(description="A hirer's own jobs in any state; takes `status`.")] = False,
    status: FromQuery[JobStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[JobView]:
    if mine:
        return await jobs.list_own_jobs(by=_hirer(), status=status, cursor=cursor, limit=limit)
    if status not in (None, JobStatus.OPEN):
        raise BadInput.of("status", "only open jobs are searched; mine=true lists one's own in any state")
    asked = JobSearch(
        q=q,
        category=category,
        skill=tuple(skill or ()),
        near=near,
        radius_km=radius_km,
        region=region,
        min_budget=min_budget,
        max_budget=max_budget,
        currency=currency,
        urgent=urgent,
        sort=sort,
        explain=explain,
    )
    found = await search.search_jobs(context.settings, asked, cursor=cursor, limit=limit)
    viewer = current_principal.get()
    if q is not None and viewer is not None and cursor is None and found.items:
        await popular.count(context, q, by=viewer.user_id)
    return found


@get(
    "/api/v1/jobs/facets",
    operation_id="CountJobs",
    summary="How the open jobs that fit spread over trades and regions",
    tags=["Jobs"],
)
async def count_jobs(
    context: NamedDependency[Context],
    q: Text = None,
    category: Category = None,
    skill: Skills = None,
    near: Near = None,
    radius_km: Radius = None,
    region: Region = None,
    min_budget: MinBudget = None,
    max_budget: MaxBudget = None,
    currency: BudgetCurrency = "GHS",
    urgent: FromQuery[bool | None] = None,
) -> JobFacets:
    asked = JobSearch(
        q=q,
        category=category,
        skill=tuple(skill or ()),
        near=near,
        radius_km=radius_km,
        region=region,
        min_budget=min_budget,
        max_budget=max_budget,
        currency=currency,
        urgent=urgent,
    )
    return await search.count_jobs(context.settings, asked)


@get("/api/v1/jobs/suggestions", operation_id="SuggestWords", summary="Complete a query", tags=["Jobs"])
async def suggest_words(q: Annotated[str, QueryParameter(min_length=1, max_length=80)]) -> JobSuggestions:
    return await search.suggest(q)


@get(
    "/api/v1/jobs/popular",
    operation_id="ListPopularJobSearches",
    summary="What many people look for in jobs",
    tags=["Jobs"],
)
async def list_popular_job_searches(
    context: NamedDependency[Context], limit: Annotated[int, QueryParameter(ge=1, le=50)] = 10
) -> Page[PopularJobSearch]:
    return Page(items=await popular.get(context, limit=limit))


@get("/api/v1/jobs/recommendations", operation_id="ListRecommendedJobs", summary="Jobs that fit me", tags=["Jobs"])
async def recommend_jobs(
    context: NamedDependency[Context], principal: NamedDependency[Principal], limit: Limit = DEFAULT_LIMIT
) -> Page[Recommendation]:
    return await matching.recommend_jobs(context, by=principal, limit=limit)


@get("/api/v1/jobs/{job_id:str}", operation_id="GetJob", summary="One job", tags=["Jobs"])
async def get_job(
    job_id: FromPath[str], context: NamedDependency[Context], at: At = None
) -> Response[JobView] | Response[PastState]:
    viewer = current_principal.get()
    if at is not None:
        return Response(await history.view(context, jobs.subject(job_id), at, by=viewer))
    return tagged(await jobs.get_job(job_id, viewer_id=viewer.user_id if viewer else None))


@patch("/api/v1/jobs/{job_id:str}", operation_id="UpdateJob", summary="Change a job", tags=["Jobs"])
async def update_job(
    job_id: FromPath[str],
    data: JSONBody[UpdateJob],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[JobView]:
    version = expected_version(if_match)
    return tagged(await jobs.update_job(context, job_id, data, version=version, by=principal))


@delete("/api/v1/jobs/{job_id:str}", operation_id="DeleteJob", summary="Throw a draft away", tags=["Jobs"])
async def delete_job(
    job_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await jobs.delete_job(context, job_id, by=principal)


@post(
    "/api/v1/jobs/{job_id:str}/publish",
    operation_id="PublishJob",
    status_code=200,
    summary="Open a draft or paused job for applications",
    tags=["Jobs"],
)
async def publish_job(
    job_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[JobView]:
    return tagged(await jobs.publish_job(context, job_id, by=principal))


@post(
    "/api/v1/jobs/{job_id:str}/pause",
    operation_id="PauseJob",
    status_code=200,
    summary="Take an open job out of search for a while",
    tags=["Jobs"],
)
async def pause_job(
    job_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[JobView]:
    return tagged(await jobs.pause_job(context, job_id, by=principal))


@post(
    "/api/v1/jobs/{job_id:str}/close",
    operation_id="CloseJob",
    status_code=200,
    summary="Close an open or paused job for good",
    tags=["Jobs"],
)
async def close_job(
    job_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[GiveReason | None] = None,
) -> Response[JobView]:
    return tagged(await jobs.close_job(context, job_id, reason=data.reason if data else None, by=principal))


@get("/api/v1/jobs/{job_id:str}/matches", operation_id="ListJobMatches", summary="Workers that fit", tags=["Jobs"])
async def match_workers(
    job_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Match]:
    return await matching.match_workers(context, job_id, by=principal, limit=limit)


@get(
    "/api/v1/jobs/{job_id:str}/versions",
    operation_id="ListJobVersions",
    summary="How one's own job read before its edits",
    tags=["Jobs"],
)
async def list_versions(
    job_id: FromPath[str], principal: NamedDependency[Principal], cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[JobVersion]:
    return await jobs.list_versions(job_id, by=principal, cursor=cursor, limit=limit)


@post(
    "/api/v1/jobs/{job_id:str}/versions/{kept:int}/restore",
    operation_id="RestoreJob",
    status_code=200,
    summary="Have a job say again what it said before an edit",
    tags=["Jobs"],
)
async def restore_job(
    job_id: FromPath[str],
    kept: FromPath[int],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[JobView]:
    return tagged(await jobs.restore_job(context, job_id, kept, version=expected_version(if_match), by=principal))


def _hirer() -> Principal:
    """The signed-in hirer; this operation's rule lets everybody in, because search is public."""
    principal = current_principal.get()
    if principal is None:
        raise Unauthenticated
    if principal.role is not Role.HIRER:
        raise Forbidden
    return principal


HANDLERS: list[BaseRouteHandler] = [
    create_job, list_jobs, recommend_jobs, get_job, update_job, delete_job, publish_job, pause_job, close_job,
    match_workers, count_jobs, suggest_words, list_popular_job_searches, list_versions, restore_job,
]  # fmt: skip
