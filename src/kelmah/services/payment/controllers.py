"""The operations of the payment service, and who may call them."""

from typing import Annotated

from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.common import Page, Role
from kelmah.contracts.payment import (
    CreateDeposit,
    CreateWithdrawal,
    DepositView,
    DisputeView,
    EscrowFacts,
    EscrowView,
    FundEscrow,
    MethodView,
    Provider,
    RaiseDispute,
    RefundDeposit,
    ResolveDispute,
    SaveMethod,
    TransactionView,
    WalletView,
    WebhookReceived,
    WithdrawalView,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy, roles, services
from kelmah.services.payment import service
from kelmah.services.payment.service import Context

POLICY: Policy = {
    "GetWallet": SIGNED_IN,
    "CreateDeposit": roles(Role.HIRER, Role.WORKER),
    "GetDeposit": SIGNED_IN,
    "CreateWithdrawal": roles(Role.HIRER, Role.WORKER),
    "ListWithdrawals": SIGNED_IN,
    "GetWithdrawal": SIGNED_IN,
    "CancelWithdrawal": roles(Role.HIRER, Role.WORKER),
    "RefundDeposit": roles(Role.SUPPORT, Role.ADMIN),
    "ListTransactions": SIGNED_IN,
    "FundEscrow": roles(Role.HIRER),
    "ListEscrows": SIGNED_IN,
    "GetEscrow": SIGNED_IN,
    "ReleaseEscrow": roles(Role.HIRER),
    # Never the hirer alone: once it is funded, the worker relies on it.
    "RefundEscrow": roles(Role.WORKER, Role.SUPPORT, Role.ADMIN),
    "RaiseDispute": roles(Role.HIRER, Role.WORKER),
    "ListDisputes": SIGNED_IN,
    "GetDispute": SIGNED_IN,
    "ResolveDispute": roles(Role.SUPPORT, Role.ADMIN),
    "SavePaymentMethod": SIGNED_IN,
    "ListPaymentMethods": SIGNED_IN,
    "DeletePaymentMethod": SIGNED_IN,
    "ReceiveStripeWebhook": PUBLIC,  # signed by Stripe
    "ReceivePayPalWebhook": PUBLIC,  # signed by PayPal
    "ReleaseMilestone": services("job"),
}

MOVES_MONEY = {"idempotency": "required"}
Cursor = Annotated[str | None, QueryParameter(max_length=1024)]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)]


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


@post(
    "/api/v1/payments/escrows",
    operation_id="FundEscrow",
    summary="Put a milestone's amount into escrow from one's wallet",
    tags=["Escrow"],
    opt=MOVES_MONEY,
)
async def fund_escrow(
    data: JSONBody[FundEscrow], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> EscrowView:
    return await service.fund_escrow(context, data, by=principal)


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
    summary="Pay an escrow out to the worker",
    tags=["Escrow"],
    opt=MOVES_MONEY,
)
async def release_escrow(
    escrow_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> EscrowView:
    return await service.release_escrow(context, escrow_id, by=principal)


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


@post(
    "/api/v1/payments/methods",
    operation_id="SavePaymentMethod",
    summary="Keep a payment method for later deposits",
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


@post(
    "/api/v1/payments/webhooks/stripe",
    operation_id="ReceiveStripeWebhook",
    status_code=200,
    summary="Take a notice of Stripe's, signed in the header Stripe-Signature",
    tags=["Webhooks"],
    opt={"idempotency": "off"},
)
async def receive_stripe_webhook(
    request: Request[None, None, State], context: NamedDependency[Context]
) -> WebhookReceived:
    return await _receive(context, Provider.STRIPE, request)


@post(
    "/api/v1/payments/webhooks/paypal",
    operation_id="ReceivePayPalWebhook",
    status_code=200,
    summary="Take a notice of PayPal's, signed in the headers PayPal-Transmission-…",
    tags=["Webhooks"],
    opt={"idempotency": "off"},
)
async def receive_paypal_webhook(
    request: Request[None, None, State], context: NamedDependency[Context]
) -> WebhookReceived:
    return await _receive(context, Provider.PAYPAL, request)


async def _receive(context: Context, provider: Provider, request: Request[None, None, State]) -> WebhookReceived:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return await service.receive_webhook(context, provider, body=await request.body(), headers=headers)


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


CONTROLLERS = [
    get_wallet,
    create_deposit,
    get_deposit,
    refund_deposit,
    create_withdrawal,
    list_withdrawals,
    get_withdrawal,
    cancel_withdrawal,
    list_transactions,
    fund_escrow,
    list_escrows,
    get_escrow,
    release_escrow,
    refund_escrow,
    raise_dispute,
    list_disputes,
    get_dispute,
    resolve_dispute,
    save_method,
    list_methods,
    delete_method,
    receive_stripe_webhook,
    receive_paypal_webhook,
    release_milestone,
]
