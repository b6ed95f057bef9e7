"""Disputes."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kelmah.contracts.common import Page
from kelmah.contracts.payment import (
    DisputeView,
    RaiseDispute,
    ResolveDispute,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.payment import service
from kelmah.services.payment.controllers.parameters import MOVES_MONEY, Cursor, Limit
from kelmah.services.payment.service import Context


@post(
    "/api/v1/payments/disputes",
    operation_id="RaiseDispute",
    summary="Dispute an escrow, which freezes it",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def raise_dispute(
    data: JSONBody[RaiseDispute], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DisputeView:
    return await service.raise_dispute(context, data, by=principal)


@get(
    "/api/v1/payments/disputes",
    operation_id="ListDisputes",
    summary="List the disputes that one is a side of, the latest first",
    tags=["Disputes"],
)
async def list_disputes(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[DisputeView]:
    return await service.list_disputes(context, by=principal, cursor=cursor, limit=limit)


@get(
    "/api/v1/payments/disputes/{dispute_id:str}",
    operation_id="GetDispute",
    summary="Read a dispute",
    tags=["Disputes"],
)
async def get_dispute(
    dispute_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DisputeView:
    return await service.get_dispute(context, dispute_id, by=principal)


@post(
    "/api/v1/payments/disputes/{dispute_id:str}/resolve",
    operation_id="ResolveDispute",
    status_code=200,
    summary="Rule how a disputed escrow is shared",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def resolve_dispute(
    dispute_id: FromPath[str],
    data: JSONBody[ResolveDispute],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> DisputeView:
    return await service.resolve_dispute(context, dispute_id, data, by=principal)


HANDLERS = [raise_dispute, list_disputes, get_dispute, resolve_dispute]
