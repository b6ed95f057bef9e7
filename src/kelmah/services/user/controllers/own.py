"""Who sees what of my profile, what is missing, what changed, and all of it at once."""

from typing import Annotated

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.user import (
    Completeness,
    MyProfile,
    ProfileChange,
    ProfileExport,
    ProfileVersion,
    SetVisibility,
    VisibilityChoice,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.services.user.controllers.etags import IfMatch, tagged, wanted_version
from kelmah.services.user.service import Context, choices, own

_TAGS = ["My profile"]


@get("/api/v1/users/me/visibility", operation_id="GetMyVisibility", summary="Who sees what of me", tags=_TAGS)
async def get_my_visibility(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[VisibilityChoice]:
    return tagged(*await choices.get_visibility(context, by=principal))


@put("/api/v1/users/me/visibility", operation_id="SetMyVisibility", summary="Choose who sees what of me", tags=_TAGS)
async def set_my_visibility(
    data: JSONBody[SetVisibility],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[VisibilityChoice]:
    version = wanted_version(if_match)
    return tagged(*await choices.set_visibility(context, data, by=principal, if_version=version))


@get("/api/v1/users/me/completeness", operation_id="GetMyCompleteness", summary="What my profile lacks", tags=_TAGS)
async def get_my_completeness(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> Completeness:
    return await own.get_completeness(context, by=principal)


@get("/api/v1/users/me/changes", operation_id="ListMyChanges", summary="What happened to my profile", tags=_TAGS)
async def list_my_changes(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[ProfileChange]:
    return await own.list_changes(context, by=principal, limit=limit, cursor=cursor)


@get("/api/v1/users/me/versions", operation_id="ListMyVersions", summary="What my edits changed", tags=_TAGS)
async def list_my_versions(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[ProfileVersion]:
    return await own.list_versions(context, by=principal, limit=limit, cursor=cursor)


@post(
    "/api/v1/users/me/versions/{version:int}/restore",
    operation_id="RestoreMyProfile",
    status_code=200,
    summary="Have my own fields read as they did before an edit",
    tags=_TAGS,
)
async def restore_my_profile(
    version: FromPath[int],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[MyProfile]:
    return tagged(*await own.restore(context, version, by=principal, if_version=wanted_version(if_match)))


@get("/api/v1/users/me/export", operation_id="ExportMyData", summary="All that is kept of me here", tags=_TAGS)
async def export_my_data(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[ProfileExport]:
    body = await own.export(context, by=principal)
    headers = {
        "content-disposition": 'attachment; filename="kelmah-profile.json"',
        "cache-control": "private, no-store",
    }
    return Response(body, headers=headers)


HANDLERS = [
    get_my_visibility, set_my_visibility, get_my_completeness, list_my_changes, list_my_versions, restore_my_profile,
    export_my_data,
]  # fmt: skip
