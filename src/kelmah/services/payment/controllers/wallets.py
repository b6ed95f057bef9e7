"""Wallets, deposits and withdrawals."""

from datetime import date
from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.common import DEFAULT_CURRENCY, Page
from kelmah.contracts.payment import (
    CreateDeposit,
    CreateWithdrawal,
    DepositView,
    RefundDeposit,
    TransactionView,
    WalletView,
    WithdrawalView,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.payment import service
from kelmah.services.payment.controllers.parameters import MOVES_MONEY, Cursor, Limit
from kelmah.services.payment.service import Context


@get("/api/v1/payments/wallet", operation_id="GetWallet", summary="Read one's own balances", tags=["Payments"])
async def get_wallet(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> WalletView:
    return await service.get_wallet(context, by=principal)


@post(
    "/api/v1/payments/wallet/deposits",
    operation_id="CreateDeposit",
    summary="Pay into one's own wallet",
    description="201 when the money is there; 202 when the payer must act (3-D Secure) or the provider has not said "
    "yet; 402 when the payment was refused.",
    tags=["Payments"],
    opt=MOVES_MONEY,
)
async def create_deposit(
    data: JSONBody[CreateDeposit], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[DepositView]:
    view, status = await service.create_deposit(context, data, by=principal)
    return Response(view, status_code=status)


@get(
    "/api/v1/payments/wallet/deposits/{deposit_id:str}",
    operation_id="GetDeposit",
    summary="See where a deposit stands",
    tags=["Payments"],
)
async def get_deposit(
    deposit_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DepositView:
    return await service.get_deposit(context, deposit_id, by=principal)


@post(
    "/api/v1/payments/wallet/deposits/{deposit_id:str}/refund",
    operation_id="RefundDeposit",
    summary="Give a deposit back to its payer, out of the wallet; for support",
    tags=["Payments"],
    opt=MOVES_MONEY,
)
async def refund_deposit(
    deposit_id: FromPath[str],
    data: JSONBody[RefundDeposit],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> WithdrawalView:
    return await service.refund_deposit(context, deposit_id, data, by=principal)


@post(
    "/api/v1/payments/wallet/withdrawals",
    operation_id="CreateWithdrawal",
    summary="Pay out of one's own wallet to an account of one's own",
    description="The money is held at once and sent after this answer. 403 `payment.step_up_needed` when signing in "
    "was too long ago.",
    tags=["Payments"],
    opt=MOVES_MONEY,
)
async def create_withdrawal(
    data: JSONBody[CreateWithdrawal], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> WithdrawalView:
    return await service.create_withdrawal(context, data, by=principal)


@get(
    "/api/v1/payments/wallet/withdrawals",
    operation_id="ListWithdrawals",
    summary="List one's own withdrawals, the latest first",
    tags=["Payments"],
)
async def list_withdrawals(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[WithdrawalView]:
    return await service.list_withdrawals(context, by=principal, cursor=cursor, limit=limit)


@get(
    "/api/v1/payments/wallet/withdrawals/{withdrawal_id:str}",
    operation_id="GetWithdrawal",
    summary="See where a withdrawal stands",
    tags=["Payments"],
)
async def get_withdrawal(
    withdrawal_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> WithdrawalView:
    return await service.get_withdrawal(context, withdrawal_id, by=principal)


@post(
    "/api/v1/payments/wallet/withdrawals/{withdrawal_id:str}/cancel",
    operation_id="CancelWithdrawal",
    status_code=200,
    summary="Take a withdrawal back before it is sent",
    tags=["Payments"],
    opt=MOVES_MONEY,
)
async def cancel_withdrawal(
    withdrawal_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> WithdrawalView:
    return await service.cancel_withdrawal(context, withdrawal_id, by=principal)


@get(
    "/api/v1/payments/transactions",
    operation_id="ListTransactions",
    summary="List the movements of one's own wallet, the latest first",
    tags=["Payments"],
)
async def list_transactions(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TransactionView]:
    return await service.list_transactions(context, by=principal, cursor=cursor, limit=limit)


@get(
    "/api/v1/payments/wallet/statement",
    operation_id="GetStatement",
    summary="Download a statement of one's own wallet, as CSV or PDF",
    tags=["Payments"],
)
async def get_statement(
    first: Annotated[date, QueryParameter(name="from")],
    last: Annotated[date, QueryParameter(name="to")],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    currency: Annotated[str, QueryParameter(pattern=r"^[A-Z]{3}\Z")] = DEFAULT_CURRENCY,
    form: Annotated[Literal["csv", "pdf"], QueryParameter(name="format")] = "csv",
) -> Response[bytes]:
    statement = await service.read_statement(context, by=principal, currency=currency, first=first, last=last)
    content = service.as_csv(statement) if form == "csv" else await service.as_pdf(statement)
    return Response(
        content,
        media_type="text/csv; charset=utf-8; header=present" if form == "csv" else "application/pdf",
        headers={
            "content-disposition": f'attachment; filename="kelmah-{currency}-{first}-{last}.{form}"',
            "cache-control": "no-store",
        },
    )


HANDLERS = [
    get_statement,
    get_wallet,
    create_deposit,
    get_deposit,
    refund_deposit,
    create_withdrawal,
    list_withdrawals,
    get_withdrawal,
    cancel_withdrawal,
    list_transactions,
]
