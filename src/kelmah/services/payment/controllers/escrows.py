"""Escrow."""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.payment import (
    EscrowFacts,
    EscrowView,
    FundEscrow,
    ReleaseEscrow,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.payment import service
from kelmah.services.payment.controllers.parameters import MOVES_MONEY, Cursor, Limit
from kelmah.services.payment.service import Context


@post(
    "/api/v1/payments/escrows",
    operation_id="FundEscrow",
    summary="Put a milestone's amount into escrow, from the wallet or straight from a provider",
    description="201 when the money is held; 202 when the payer must act or the provider has not said yet; 402 when "
    "the payment was refused or the wallet holds too little.",
    tags=["Escrow"],
    opt=MOVES_MONEY,
)
async def fund_escrow(
    data: JSONBody[FundEscrow], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[EscrowView]:
    view, status = await service.fund_escrow(context, data, by=principal)
    return Response(view, status_code=status)


@get(
    "/api/v1/payments/escrows",
    operation_id="ListEscrows",
    summary="List the escrows that one is a side of, the latest first",
    tags=["Escrow"],
)
async def list_escrows(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    contract_id: Annotated[str | None, QueryParameter(name="contractId", max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[EscrowView]:
    return await service.list_escrows(context, by=principal, contract_id=contract_id, cursor=cursor, limit=limit)


@get("/api/v1/payments/escrows/{escrow_id:str}", operation_id="GetEscrow", summary="Read an escrow", tags=["Escrow"])
async def get_escrow(
    escrow_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> EscrowView:
    return await service.get_escrow(context, escrow_id, by=principal)


@post(
    "/api/v1/payments/escrows/{escrow_id:str}/release",
    operation_id="ReleaseEscrow",
    status_code=200,
    summary="Pay an escrow, or a part of it, out to the worker",
    tags=["Escrow"],
    opt=MOVES_MONEY,
)
async def release_escrow(
    escrow_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[ReleaseEscrow | None] = None,
) -> EscrowView:
    return await service.release_escrow(context, escrow_id, data or ReleaseEscrow(), by=principal)


@post(
    "/api/v1/payments/escrows/{escrow_id:str}/refund",
    operation_id="RefundEscrow",
    status_code=200,
    summary="Give an escrow back to the hirer",
    tags=["Escrow"],
    opt=MOVES_MONEY,
)
async def refund_escrow(
    escrow_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> EscrowView:
    return await service.refund_escrow(context, escrow_id, by=principal)


@post(
    "/internal/contracts/{contract_id:str}/milestones/{milestone_id:str}/release",
    operation_id="ReleaseMilestone",
    status_code=200,
    summary="Pay out the escrow of an approved milestone",
    tags=["Internal"],
    include_in_schema=False,
)
async def release_milestone(
    contract_id: FromPath[str], milestone_id: FromPath[str], context: NamedDependency[Context]
) -> EscrowFacts:
    return await service.release_milestone(context, contract_id=contract_id, milestone_id=milestone_id)


HANDLERS = [fund_escrow, list_escrows, get_escrow, release_escrow, refund_escrow, release_milestone]
