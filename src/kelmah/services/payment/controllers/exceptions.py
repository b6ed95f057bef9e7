"""The queue of differences, for support."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.payment import ExceptionView, ResolveException
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.payment import service
from kelmah.services.payment.controllers.parameters import MOVES_MONEY, Cursor, Limit
from kelmah.services.payment.service import Context


@get(
    "/api/v1/payments/exceptions",
    operation_id="ListExceptions",
    summary="List differences between the ledger, the providers and the bank; for support",
    tags=["Reconciliation"],
)
async def list_exceptions(
    context: NamedDependency[Context],
    status: Annotated[Literal["open", "resolved"], QueryParameter()] = "open",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ExceptionView]:
    return await service.list_exceptions(context, status=status, cursor=cursor, limit=limit)


@post(
    "/api/v1/payments/exceptions/{exception_id:str}/resolve",
    operation_id="ResolveException",
    status_code=200,
    summary="Take a difference out of the queue, and say whose money in suspense is; for support",
    tags=["Reconciliation"],
    opt=MOVES_MONEY,
)
async def resolve_exception(
    exception_id: FromPath[str],
    data: JSONBody[ResolveException],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ExceptionView:
    service.require_step_up(context, principal)
    return await service.resolve_exception(context, exception_id, data, by=principal.user_id)


HANDLERS = [list_exceptions, resolve_exception]
