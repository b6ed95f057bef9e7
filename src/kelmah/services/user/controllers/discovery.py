"""The operations that show people and trades to others."""

from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from kelmah.contracts.common import MAX_SAFE_INTEGER, Page, Role
from kelmah.contracts.taxonomy import Skill
from kelmah.contracts.user import HirerHit, PublicProfile, SearchSort, WorkerHit
from kelmah.kit.context import current_principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.services.user.service import Context, analytics, profiles, search

_TAGS = ["Discovery"]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)]
Text = Annotated[str | None, QueryParameter(max_length=100)]


@get("/api/v1/users/{user_id:str}", operation_id="GetUser", summary="A person, as others see them", tags=_TAGS)
async def get_user(user_id: FromPath[str], context: NamedDependency[Context]) -> PublicProfile:
    return await _shown(context, user_id)


@get("/api/v1/workers/{user_id:str}", operation_id="GetWorker", summary="A worker, as others see them", tags=_TAGS)
async def get_worker(user_id: FromPath[str], context: NamedDependency[Context]) -> PublicProfile:
    return await _shown(context, user_id, role=Role.WORKER)


async def _shown(context: Context, user_id: str, *, role: Role | None = None) -> PublicProfile:
    viewer = current_principal.get()
    profile = await profiles.get_public(context, user_id, role=role)
    await analytics.note_view(context, user_id, by=viewer)
    return profile


@get("/api/v1/workers", operation_id="FindWorkers", summary="Find workers", tags=_TAGS)
async def find_workers(
    context: NamedDependency[Context],
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
    sort: FromQuery[SearchSort | None] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[WorkerHit]:
    query = search.WorkerQuery(
        q=q,
        skill=skill,
        near=near,
        radius_km=radius_km,
        region=region,
        min_rate=min_rate,
        max_rate=max_rate,
        currency=currency,
        min_rating=min_rating,
        sort=sort,
    )
    return await search.find_workers(context, query, limit=limit, cursor=cursor)


@get("/api/v1/hirers", operation_id="FindHirers", summary="Find hirers", tags=_TAGS)
async def find_hirers(
    context: NamedDependency[Context],
    q: Text = None,
    region: Annotated[str | None, QueryParameter(min_length=1, max_length=80)] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[HirerHit]:
    return await search.find_hirers(context, q=q, region=region, limit=limit, cursor=cursor)


@get("/api/v1/skills", operation_id="ListSkills", summary="Trades, their families and their synonyms", tags=_TAGS)
async def list_skills(q: Text = None, parent: Text = None) -> Response[Page[Skill]]:
    found = search.find_skills(q=q, parent=parent)
    return Response(found, headers={"cache-control": "public, max-age=3600"})


HANDLERS = [get_user, get_worker, find_workers, find_hirers, list_skills]
