"""Disputes."""

from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.payment import (
    AcceptSettlement,
    AnswerDispute,
    AppealRuling,
    DisputeOutcomes,
    DisputeView,
    OfferSettlement,
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
    "/api/v1/payments/disputes/{dispute_id:str}/answer",
    operation_id="AnswerDispute",
    status_code=200,
    summary="Answer what the other side says",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def answer_dispute(
    dispute_id: FromPath[str],
    data: JSONBody[AnswerDispute],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> DisputeView:
    return await service.answer_dispute(context, dispute_id, data, by=principal)


@post(
    "/api/v1/payments/disputes/{dispute_id:str}/offers",
    operation_id="OfferSettlement",
    status_code=200,
    summary="Offer the other side how to share the escrow out",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def offer_settlement(
    dispute_id: FromPath[str],
    data: JSONBody[OfferSettlement],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> DisputeView:
    return await service.offer_settlement(context, dispute_id, data, by=principal)


@post(
    "/api/v1/payments/disputes/{dispute_id:str}/accept",
    operation_id="AcceptSettlement",
    status_code=200,
    summary="Agree to the other side's offer; the money moves at once",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def accept_settlement(
    dispute_id: FromPath[str],
    data: JSONBody[AcceptSettlement],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> DisputeView:
    return await service.accept_settlement(context, dispute_id, data, by=principal)


@post(
    "/api/v1/payments/disputes/{dispute_id:str}/appeal",
    operation_id="AppealRuling",
    status_code=200,
    summary="Ask for a second ruling, by somebody else",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def appeal_ruling(
    dispute_id: FromPath[str],
    data: JSONBody[AppealRuling],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> DisputeView:
    return await service.appeal_ruling(context, dispute_id, data, by=principal)


@post(
    "/api/v1/payments/disputes/{dispute_id:str}/withdraw",
    operation_id="WithdrawDispute",
    status_code=200,
    summary="Take one's own dispute back, before anybody ruled; the escrow is as it was",
    tags=["Disputes"],
    opt=MOVES_MONEY,
)
async def withdraw_dispute(
    dispute_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DisputeView:
    return await service.withdraw_dispute(context, dispute_id, by=principal)


@get(
    "/api/v1/payments/disputes/{dispute_id:str}/outcomes",
    operation_id="GetDisputeOutcomes",
    summary="Read what each side would have of all that may end a dispute now",
    description="With `workerAmount`, also of giving the worker so much of it.",
    tags=["Disputes"],
)
async def preview_outcomes(
    dispute_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    worker_amount: Annotated[int | None, QueryParameter(name="workerAmount", ge=0)] = None,
) -> DisputeOutcomes:
    return await service.preview_outcomes(dispute_id, worker_amount=worker_amount, by=principal)


@post(
    "/api/v1/payments/disputes/{dispute_id:str}/evidence",
    operation_id="AddDisputeEvidence",
    summary="Bring a file",
    description="The body is the file itself, as application/octet-stream; X-Filename its name, percent-encoded as "
    "UTF-8. Taken are JPEG, PNG, WebP and PDF, ten of each side. The same file sent again is one file.",
    tags=["Disputes"],
    # A file is known by its content; its bytes are not part of a request's fingerprint.
    opt={"streams_body": True, "idempotency": "off"},
)
async def add_evidence(
    dispute_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    file_name: Annotated[
        str, HeaderParameter(name="X-Filename", description="Percent-encoded UTF-8, at most 255 characters.")
    ] = "",
) -> DisputeView:
    return await service.add_evidence(context, dispute_id, raw_name=file_name, body=request.stream(), by=principal)


@get(
    "/api/v1/payments/disputes/{dispute_id:str}/evidence/{evidence_id:str}",
    operation_id="GetDisputeEvidence",
    summary="The bytes of a file",
    tags=["Disputes"],
)
async def read_evidence(
    dispute_id: FromPath[str],
    evidence_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> Response[bytes]:
    file = await service.read_evidence(context, dispute_id, evidence_id, by=principal)
    return Response(
        file.data,
        media_type=file.view.media_type,
        headers={
            # Never shown in a page of ours: a file can be of two kinds at once.
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.view.file_name, safe='')}",
            "x-content-type-options": "nosniff",
            "cache-control": "private, no-store",
        },
    )


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


HANDLERS = [
    raise_dispute,
    list_disputes,
    get_dispute,
    answer_dispute,
    offer_settlement,
    accept_settlement,
    appeal_ruling,
    withdraw_dispute,
    preview_outcomes,
    add_evidence,
    read_evidence,
    resolve_dispute,
]
