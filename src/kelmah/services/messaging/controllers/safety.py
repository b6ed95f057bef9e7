"""Operations on blocks and reports, and the queue of staff."""

from typing import Annotated

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import (
    BlockView,
    NewReport,
    ReportCase,
    ReportDecision,
    ReportStatus,
    ReportView,
)
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.messaging import service
from kelmah.services.messaging.controllers.common import MAX_JSON_BYTES, Cursor, Limit
from kelmah.services.messaging.service import Context


@get(f"{API_PREFIX}/blocks", operation_id="ListBlocks", summary="Whom I blocked", tags=["Safety"])
async def list_blocks(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[BlockView]:
    return await service.list_blocks(context, cursor=cursor, limit=limit, by=principal)


@put(
    f"{API_PREFIX}/blocks/{{user_id:str}}",
    operation_id="BlockPerson",
    summary="Block a person: no private messages between us, and no presence",
    tags=["Safety"],
)
async def block(
    user_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> BlockView:
    return await service.block(context, user_id, by=principal)


@delete(
    f"{API_PREFIX}/blocks/{{user_id:str}}", operation_id="UnblockPerson", summary="Take a block back", tags=["Safety"]
)
async def unblock(
    user_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.unblock(context, user_id, by=principal)


@post(
    f"{API_PREFIX}/reports",
    operation_id="ReportMessage",
    summary="Report a message to staff",
    description="Answers 201 when it is new and 200 when the caller reported the message before.",
    tags=["Safety"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def report(
    data: JSONBody[NewReport], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[ReportView]:
    view, is_new = await service.report(context, data, by=principal)
    return Response(view, status_code=201 if is_new else 200)


@get(
    f"{API_PREFIX}/moderation/reports",
    operation_id="ListReports",
    summary="Reports of messages, oldest first",
    tags=["Moderation"],
)
async def list_reports(
    context: NamedDependency[Context],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    status: Annotated[ReportStatus, QueryParameter(description="How far they are.")] = ReportStatus.OPEN,
) -> Page[ReportView]:
    return await service.list_reports(context, status=status, cursor=cursor, limit=limit)


@get(
    f"{API_PREFIX}/moderation/reports/{{report_id:str}}",
    operation_id="GetReport",
    summary="A report with the message and the few before it",
    tags=["Moderation"],
)
async def get_case(report_id: FromPath[str], context: NamedDependency[Context]) -> ReportCase:
    return await service.get_case(context, report_id)


@post(
    f"{API_PREFIX}/moderation/reports/{{report_id:str}}/decision",
    operation_id="DecideReport",
    status_code=200,
    summary="Rule on a report, once",
    tags=["Moderation"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def decide_report(
    report_id: FromPath[str],
    data: JSONBody[ReportDecision],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ReportCase:
    return await service.decide_report(context, report_id, data, by=principal)


HANDLERS = [list_blocks, block, unblock, report, list_reports, get_case, decide_report]
