"""The operations that show people and trades to others."""

from datetime import date
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter

from kelmah.contracts.common import MAX_SAFE_INTEGER, Page, Role
from kelmah.contracts.taxonomy import Skill
from kelmah.contracts.user import (
    HirerHit,
    PopularSearch,
    PublicProfile,
    SearchSort,
    Suggestion,
    WorkerFacets,
    WorkerPage,
)
from kelmah.kit.context import current_principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.services.user.service import Context, analytics, popular, profiles, search
from kelmah.services.user.service.search import WorkerQuery

_TAGS = ["Discovery"]
HOUR = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z"
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)]
Explain = Annotated[bool, QueryParameter(description="Say of each why it is there.")]
Text = Annotated[str | None, QueryParameter(max_length=100)]


@get("/api/v1/users/{user_id:str}", operation_id="GetUser", summary="A person, as others see them", tags=_TAGS)
async def get_user(user_id: FromPath[str], context: NamedDependency[Context]) -> PublicProfile:
    return await _shown(context, user_id)


@get("/api/v1/workers/{user_id:str}", operation_id="GetWorker", summary="A worker, as others see them", tags=_TAGS)
async def get_worker(user_id: FromPath[str], context: NamedDependency[Context]) -> PublicProfile:
    return await _shown(context, user_id, role=Role.WORKER)


async def _shown(context: Context, user_id: str, *, role: Role | None = None) -> PublicProfile:
    viewer = current_principal.get()
    profile = await profiles.get_public(context, user_id, viewer=viewer, role=role)
    await analytics.note_view(context, user_id, by=viewer)
    return profile


async def provide_query(
    context: NamedDependency[Context],  # as for `kit.policy.provide_principal`
    q: Annotated[str | None, QueryParameter(max_length=100, description="Words: trades, names, places.")] = None,
    skill: Annotated[
        str | None, QueryParameter(max_length=80, description="A trade or a family, by id, name or synonym.")
    ] = None,
    near: Annotated[str | None, QueryParameter(max_length=64, description="longitude,latitude in degrees.")] = None,
    radius_km: Annotated[
        float | None, QueryParameter(name="radiusKm", ge=0.1, le=500, description="25 unless given.")
    ] = None,
    region: Annotated[str | None, QueryParameter(min_length=1, max_length=80)] = None,
    min_rate: Annotated[
        int | None, QueryParameter(name="minRate", ge=1, le=MAX_SAFE_INTEGER, description="An hour, minor units.")
    ] = None,
    max_rate: Annotated[
        int | None, QueryParameter(name="maxRate", ge=1, le=MAX_SAFE_INTEGER, description="An hour, minor units.")
    ] = None,
    currency: Annotated[
        str | None, QueryParameter(pattern=r"^[A-Z]{3}\Z", description="Of the rates; GHS unless given.")
    ] = None,
    min_rating: Annotated[float | None, QueryParameter(name="minRating", ge=1, le=5)] = None,
    language: Annotated[
        str | None, QueryParameter(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?\Z", description="BCP 47: tw, en, fr-CI.")
    ] = None,
    verified: Annotated[bool, QueryParameter(description="Only who has a verified certificate.")] = False,
    available_on: Annotated[date | None, QueryParameter(name="availableOn", description="Free on this day.")] = None,
    available_from: Annotated[
        str | None, QueryParameter(name="availableFrom", pattern=HOUR, description="Of that day; 08:00 unless given.")
    ] = None,
    available_to: Annotated[
        str | None, QueryParameter(name="availableTo", pattern=HOUR, description="Of that day; 17:00 unless given.")
    ] = None,
    sort: FromQuery[SearchSort | None] = None,
) -> WorkerQuery:
    return WorkerQuery(
        q=q,
        skill=skill,
        near=near,
        radius_km=radius_km,
        region=region,
        min_rate=min_rate,
        max_rate=max_rate,
        currency=currency,
        min_rating=min_rating,
        language=language,
        verified=verified,
        available_on=available_on,
        available_from=available_from,
        available_to=available_to,
        sort=sort,
    )


_QUERY = {"worker_query": Provide(provide_query)}


@get("/api/v1/workers", operation_id="FindWorkers", summary="Find workers", tags=_TAGS, dependencies=_QUERY)
async def find_workers(
    context: NamedDependency[Context],
    worker_query: NamedDependency[WorkerQuery],
    explain: Explain = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> WorkerPage:
    return await search.find_workers(context, worker_query, limit=limit, cursor=cursor, explain=explain)


@get(
    "/api/v1/workers/facets",
    operation_id="CountWorkers",
    summary="How the workers of a search spread",
    tags=_TAGS,
    dependencies=_QUERY,
)
async def count_workers(context: NamedDependency[Context], worker_query: NamedDependency[WorkerQuery]) -> WorkerFacets:
    return await search.count_workers(context, worker_query)


@get(
    "/api/v1/search/suggestions",
    operation_id="SuggestSearches",
    summary="How a typed beginning may go on",
    tags=_TAGS,
)
async def suggest_searches(
    context: NamedDependency[Context],
    q: Annotated[str, QueryParameter(min_length=1, max_length=80)],
    limit: Annotated[int, QueryParameter(ge=1, le=20)] = 8,
) -> Page[Suggestion]:
    return await search.suggest(context, q, limit=limit)


@get(
    "/api/v1/search/popular",
    operation_id="ListPopularSearches",
    summary="The trades that are looked for most",
    tags=_TAGS,
)
async def list_popular_searches(
    context: NamedDependency[Context], limit: Annotated[int, QueryParameter(ge=1, le=50)] = 10
) -> Page[PopularSearch]:
    return Page(items=await popular.get(context, limit=limit))


@get("/api/v1/hirers", operation_id="FindHirers", summary="Find hirers", tags=_TAGS)
async def find_hirers(
    q: Text = None,
    region: Annotated[str | None, QueryParameter(min_length=1, max_length=80)] = None,
    explain: Explain = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[HirerHit]:
    return await search.find_hirers(q=q, region=region, limit=limit, cursor=cursor, explain=explain)


@get("/api/v1/skills", operation_id="ListSkills", summary="Trades, their families and their synonyms", tags=_TAGS)
async def list_skills(q: Text = None, parent: Text = None) -> Response[Page[Skill]]:
    found = search.find_skills(q=q, parent=parent)
    return Response(found, headers={"cache-control": "public, max-age=3600"})


HANDLERS = [
    get_user, get_worker, find_workers, count_workers, suggest_searches, list_popular_searches, find_hirers,
    list_skills,
]  # fmt: skip
