"""Saved payment methods."""

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kelmah.contracts.common import Page
from kelmah.contracts.payment import (
    MethodView,
    SaveMethod,
)
from kelmah.kit.context import Principal
from kelmah.services.payment import service
from kelmah.services.payment.service import Context


@post(
    "/api/v1/payments/methods",
    operation_id="SavePaymentMethod",
    summary="Keep a payment method for later deposits and withdrawals",
    description="403 `payment.step_up_needed` when signing in was too long ago: money may be sent to it.",
    tags=["Payment methods"],
)
async def save_method(
    data: JSONBody[SaveMethod], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> MethodView:
    return await service.save_method(context, data, by=principal)


@get(
    "/api/v1/payments/methods",
    operation_id="ListPaymentMethods",
    summary="List one's own payment methods",
    tags=["Payment methods"],
)
async def list_methods(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> Page[MethodView]:
    return await service.list_methods(context, by=principal)


@delete(
    "/api/v1/payments/methods/{method_id:str}",
    operation_id="DeletePaymentMethod",
    summary="Forget a payment method",
    tags=["Payment methods"],
)
async def delete_method(
    method_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.delete_method(context, method_id, by=principal)


HANDLERS = [save_method, list_methods, delete_method]
