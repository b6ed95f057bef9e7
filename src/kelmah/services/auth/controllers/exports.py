"""Operations on the archive of all that is kept of a person."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from kelmah.contracts.auth import AccountExport, DataExport, DataExportLink
from kelmah.contracts.common import Page
from kelmah.kit.context import Principal
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import SECRET
from kelmah.services.auth.service import Context

TAGS = ["Account"]
_FRESH = "Needs a fresh authentication (`step_up_required`)."


@get(
    "/api/v1/auth/me/export",
    operation_id="ExportMe",
    summary="Get all that is kept of one's account in this service",
    description=_FRESH,
    tags=TAGS,
)
async def export_me(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> AccountExport:
    return await service.export_account(context, by=principal)


@post(
    "/api/v1/auth/me/exports",
    operation_id="RequestDataExport",
    summary="Have an archive gathered of all that Kelmah keeps of oneself",
    description=_FRESH + " A notification tells when it is ready. Asked again while there is one, it is that one.",
    tags=TAGS,
    status_code=202,
)
async def request_data_export(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> DataExport:
    return await service.request_export(context, by=principal)


@get(
    "/api/v1/auth/me/exports",
    operation_id="ListDataExports",
    summary="See whether the archive of one's data is ready",
    tags=TAGS,
)
async def list_data_exports(principal: NamedDependency[Principal]) -> Page[DataExport]:
    return await service.list_exports(by=principal)


@post(
    "/api/v1/auth/me/exports/{export_id:str}/link",
    operation_id="CreateDataExportLink",
    summary="Get an address at which the archive can be fetched, once",
    description=_FRESH + " It works for some minutes, and ends with the session.",
    tags=TAGS,
    status_code=200,
    opt=SECRET,
)
async def create_data_export_link(
    export_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DataExportLink:
    return await service.make_export_link(context, export_id, by=principal)


@get(
    "/api/v1/auth/exports/archive",
    operation_id="FetchDataExport",
    summary="Fetch the archive that a link is for",
    description="A zip of JSON files, one a part, and `index.json`. The link is good no more after this.",
    tags=TAGS,
    media_type="application/zip",
)
async def fetch_data_export(ticket: FromQuery[str], context: NamedDependency[Context]) -> Stream:
    chunks = await service.fetch_export(context, ticket)
    headers = {
        "content-disposition": 'attachment; filename="kelmah.zip"',
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
        "referrer-policy": "no-referrer",
    }
    return Stream(chunks, media_type="application/zip", headers=headers)


EXPORT_CONTROLLERS = (
    export_me,
    request_data_export,
    list_data_exports,
    create_data_export_link,
    fetch_data_export,
)
