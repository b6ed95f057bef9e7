"""Deposits: money from a card into a wallet, once, whatever fails on the way."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from kelmah.contracts.common import Money, Response
from kelmah.contracts.payment import (
    CreateDeposit,
    DepositStatus,
    DepositView,
    EscrowStatus,
    MethodKind,
    PaymentProcessed,
    Provider,
)
from kelmah.kit import clock, idempotency
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, IdempotencyKeyReused, NotFound
from kelmah.kit.ids import new_id
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import DepositDocument, EscrowDocument, escrows, methods
from kelmah.services.payment.documents import deposits as documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.errors import (
    Declined,
    DepositClosed,
    DepositUnresolved,
    MethodNotFound,
    ProviderUnavailable,
)
from kelmah.services.payment.providers.base import Charge, ChargeState, ProviderRefusedError, ProviderUnsureError
from kelmah.services.payment.service import holdings, ledger
from kelmah.services.payment.service.context import Context, find_provider

ViewT = TypeVar("ViewT", bound=Response)
log = structlog.get_logger(__name__)

#: When the provider is asked again about a deposit that is not settled, counted from its making.
REQUERY_AFTER = (timedelta(minutes=5), timedelta(hours=1), *(timedelta(days=day) for day in range(1, 6)))
REQUERY_ACTOR = "payment.requery_deposit"
_STATUS_OF = {
    ChargeState.CREATED: DepositStatus.UNKNOWN,
    ChargeState.APPROVED: DepositStatus.UNKNOWN,
    ChargeState.PROCESSING: DepositStatus.UNKNOWN,
    ChargeState.ACTION: DepositStatus.REQUIRES_ACTION,
    ChargeState.DECLINED: DepositStatus.DECLINED,
    ChargeState.CANCELED: DepositStatus.CANCELED,
}


async def create_deposit(context: Context, request: CreateDeposit, *, by: Principal) -> tuple[DepositView, int]:
    """Charge a card and credit the wallet. Returns the deposit and the HTTP status that fits it."""

    async def answer(deposit: DepositDocument, charge: Charge | None) -> DepositView:
        return deposit_view(deposit, charge)

    return await pay(context, request, by=by, answer=answer)


async def pay(
    context: Context,
    request: CreateDeposit,
    *,
    by: Principal,
    answer: Callable[[DepositDocument, Charge | None], Awaitable[ViewT]],
    escrow: EscrowDocument | None = None,
) -> tuple[ViewT, int]:
    """Charge a payer for a deposit, which funds the escrow that waits for it.

    A retry of the same request goes on with the same deposit and the same charge at the provider. `answer` makes
    what is told, in the transaction.
    """
    _check(context, request)
    await ledger_documents.refuse_if_halted()  # before anybody is charged
    request_id = idempotency.current_id() or new_id()
    deposit = await documents.find_by_request(request_id)
    if deposit is None:
        deposit = await _open(context, request, request_id=request_id, by=by, escrow=escrow)
    elif not _is_same(context, deposit, request):
        raise IdempotencyKeyReused
    _refuse_closed(deposit)
    charge = None if deposit.status is DepositStatus.SUCCEEDED else await _charge(context, deposit)

    async def change() -> tuple[DepositDocument, ViewT, int]:
        settled = deposit if charge is None else await settle(context, deposit.id, charge)
        view = await answer(settled, charge)
        status = 201 if settled.status is DepositStatus.SUCCEEDED else 202
        if settled.status in documents.OPEN or settled.status is DepositStatus.SUCCEEDED:
            await context.idempotency.remember(view, status=status)
        return settled, view, status

    async with context.lanes.hold(by.user_id):
        settled, view, status = await context.mongo.transact(change)
    _refuse_closed(settled)
    return view, status


def deposit_view(deposit: DepositDocument, charge: Charge | None) -> DepositView:
    """A deposit with what its payer needs to go on."""
    return mapping.deposit_view(
        deposit,
        client_secret=charge.client_secret if charge else None,
        action_url=charge.action_url if charge else None,
        pay_to=charge.pay_to if charge else None,
    )


async def get_deposit(context: Context, deposit_id: str, *, by: Principal) -> DepositView:
    """One's own deposit."""
    deposit = await documents.find_deposit(deposit_id, user_id=by.user_id)
    if deposit is None:
        raise NotFound
    return mapping.deposit_view(deposit)


async def settle(context: Context, deposit_id: str, charge: Charge) -> DepositDocument:
    """Bring a deposit to where its charge stands, in a transaction. Said again or late, it changes nothing."""

    async def change() -> DepositDocument:
        if charge.state is ChargeState.SUCCEEDED:
            return await _receive(context, deposit_id, charge)
        moved = await _move(deposit_id, _STATUS_OF[charge.state], code=charge.failure_code, ref=charge.ref)
        return moved or await _current(deposit_id)

    return await context.mongo.transact(change)


async def requery(context: Context, deposit_id: str) -> None:
    """Ask the provider about a deposit that is not settled; the target of its timer."""
    deposit = await documents.find_deposit(deposit_id)
    if deposit is None or deposit.status not in documents.OPEN:
        return
    is_last = deposit.requeries + 1 >= len(REQUERY_AFTER)
    if deposit.provider_ref is None:
        # The charge was never named here, so it was never confirmed: no money can have moved.
        await context.mongo.transact(lambda: _move(deposit_id, DepositStatus.CANCELED, code="abandoned", ref=None))
        return
    try:
        charge = await _find_out(context, deposit, deposit.provider_ref, is_last=is_last)
    except (ProviderUnsureError, ProviderRefusedError, ProviderUnavailable):
        log.warning("payment.deposit.requery_failed", deposit_id=deposit.id, requeries=deposit.requeries)
    else:
        deposit = await settle(context, deposit.id, charge)
    if deposit.status not in documents.OPEN:
        return
    if is_last:
        log.error("payment.deposit.unresolved", deposit_id=deposit.id, alert=True)
        return
    asked = deposit

    async def schedule() -> None:
        if await documents.count_requery(asked.id, seen=asked.requeries):
            await _set_timer(context, asked.id, asked.created_at + REQUERY_AFTER[asked.requeries + 1])

    await context.mongo.transact(schedule)


def _check(context: Context, request: CreateDeposit) -> None:
    settings = context.settings
    if request.amount.currency not in settings.currencies:
        raise BadInput.of("amount.currency", f"one of {', '.join(settings.currencies)}")
    provider = find_provider(context, request.provider, "provider")
    least = provider.terms.pay_in.get(request.amount.currency)
    if least is None:
        raise BadInput.of("amount.currency", f"not taken by {request.provider}")
    least = max(least, settings.deposit_min)
    if not least <= request.amount.amount <= settings.deposit_max:
        raise BadInput.of("amount.amount", f"{least} to {settings.deposit_max}")
    given = (request.method_id is not None) + (request.payment_method is not None)
    if provider.needs_method and given != 1:
        raise BadInput.of("paymentMethod", "exactly one of methodId and paymentMethod is needed")
    if not provider.needs_method and given:
        raise BadInput.of("paymentMethod", f"{request.provider} asks the payer itself")


async def _open(
    context: Context, request: CreateDeposit, *, request_id: str, by: Principal, escrow: EscrowDocument | None
) -> DepositDocument:
    """Write the deposit before anybody is asked for money.

    Raises:
        DepositUnresolved: an earlier one may have been paid; somebody who tries again must not pay twice.
    """
    if await documents.has_unknown(by.user_id, request.amount.amount, request.amount.currency):
        raise DepositUnresolved
    deposit_id, now = new_id(), clock.now()
    token, customer = request.payment_method, None
    if request.method_id is not None:
        method = await methods.find_method(request.method_id, user_id=by.user_id)
        if method is None or method.provider != request.provider or method.kind != MethodKind.CARD:
            raise MethodNotFound
        token = context.ring.open(method.token, context=method.id.encode())
        customer = context.ring.open(method.customer, context=method.id.encode())
    deposit = DepositDocument(
        id=deposit_id,
        request_id=request_id,
        user_id=by.user_id,
        provider=request.provider,
        amount=request.amount.amount,
        currency=request.amount.currency,
        method_id=request.method_id,
        escrow_id=escrow.id if escrow else None,
        # What pays a milestone has that for its claim: another milestone may cost the same.
        claim=None if escrow else f"{by.user_id}:{request.amount.amount}:{request.amount.currency}",
        method=context.ring.seal(token or "", context=deposit_id.encode()),
        customer=context.ring.seal(customer, context=deposit_id.encode()) if customer else None,
        status=DepositStatus.PENDING,
        created_at=now,
        updated_at=now,
    )

    async def change() -> None:
        await documents.insert_deposit(deposit)
        if escrow is not None:
            await escrows.insert_escrow(escrow)
        await _set_timer(context, deposit_id, now + REQUERY_AFTER[0])

    await context.mongo.transact(change)
    return deposit


def _is_same(context: Context, deposit: DepositDocument, request: CreateDeposit) -> bool:
    """Whether a deposit is what this request asks for."""
    return (deposit.amount, deposit.currency, deposit.provider, deposit.method_id) == (
        request.amount.amount,
        request.amount.currency,
        request.provider,
        request.method_id,
    ) and (
        request.payment_method is None
        or context.ring.open(deposit.method, context=deposit.id.encode()) == request.payment_method
    )


def _refuse_closed(deposit: DepositDocument) -> None:
    if deposit.status is DepositStatus.DECLINED:
        raise Declined(f"The provider refused this payment ({deposit.failure_code or 'declined'}).")
    if deposit.status in (DepositStatus.CANCELED, DepositStatus.MISMATCHED):
        raise DepositClosed


async def _charge(context: Context, deposit: DepositDocument) -> Charge:
    """Have the provider take the money, or find out what became of an earlier try. Outside any transaction."""
    provider = context.providers[Provider(deposit.provider)]
    try:
        if deposit.provider_ref is None:
            charge = await _name_charge(context, deposit)
        else:
            charge = await provider.retrieve(deposit.provider_ref)
    except (ProviderUnsureError, ProviderRefusedError) as error:
        # No money can have moved by this; a retry goes on here, and without one the timer closes the deposit.
        raise ProviderUnavailable(retry_after_s=2) from error
    if charge.state not in (ChargeState.CREATED, ChargeState.APPROVED):
        return charge
    try:
        return await provider.confirm(charge.ref, deposit_id=deposit.id)
    except (ProviderUnsureError, ProviderRefusedError):
        log.warning("payment.deposit.unknown", deposit_id=deposit.id)
        return charge._replace(state=ChargeState.PROCESSING)


async def _name_charge(context: Context, deposit: DepositDocument) -> Charge:
    place = deposit.id.encode()
    try:
        charge = await context.providers[Provider(deposit.provider)].create(
            deposit_id=deposit.id,
            amount=Money(amount=deposit.amount, currency=deposit.currency),
            method=context.ring.open(deposit.method, context=place),
            customer=context.ring.open(deposit.customer, context=place) if deposit.customer else None,
        )
    except ProviderRefusedError as refusal:
        code = refusal.code  # the name ends with this block
        await context.mongo.transact(lambda: _move(deposit.id, DepositStatus.DECLINED, code=code, ref=None))
        raise Declined(f"The provider refused this payment ({refusal.code}).") from refusal
    if not await documents.set_provider_ref(deposit.id, charge.ref):
        raise DepositClosed
    return charge


async def _receive(context: Context, deposit_id: str, charge: Charge) -> DepositDocument:
    """Credit money that the provider received: to the wallet if it is what was asked for, else to suspense."""
    paid = {"provider_ref": charge.ref, "amount": charge.amount, "currency": charge.currency}
    deposit = await documents.move_deposit(deposit_id, DepositStatus.SUCCEEDED, where=paid)
    if deposit is not None:
        await ledger_documents.post(ledger.deposit_entry(deposit))
        await context.events.append(
            PaymentProcessed(
                transaction_id=deposit.id,
                user_id=deposit.user_id,
                purpose="deposit",
                amount=Money(amount=deposit.amount, currency=deposit.currency),
            ),
            subject=f"deposit:{deposit.id}",
        )
        await context.timers.cancel(_timer_key(deposit.id))
        if deposit.escrow_id is not None:
            await holdings.fund_pending(context, deposit.escrow_id)
        return deposit
    current = await _current(deposit_id)
    if current.status is DepositStatus.SUCCEEDED and current.provider_ref == charge.ref:
        return current
    if await ledger_documents.find_entry(ledger.suspense_reference(current.provider, charge.ref)) is not None:
        return current
    await ledger_documents.post(
        ledger.suspense_entry(
            provider=current.provider,
            ref=charge.ref,
            amount=charge.amount,
            currency=charge.currency,
            deposit_id=deposit_id,
        )
    )
    log.error("payment.deposit.mismatch", deposit_id=deposit_id, alert=True)
    return await _move(deposit_id, DepositStatus.MISMATCHED, code=None, ref=charge.ref) or current


async def _move(deposit_id: str, to: DepositStatus, *, code: str | None, ref: str | None) -> DepositDocument | None:
    """In the open transaction, take a step in which no money comes in; an escrow that waits for it comes to nothing."""
    # Money of another charge than ours is a mismatch of this deposit as well.
    where = {} if to is DepositStatus.MISMATCHED else {"provider_ref": ref}
    deposit = await documents.move_deposit(deposit_id, to, failure_code=code, where=where)
    if deposit is not None and deposit.escrow_id is not None and to not in documents.OPEN:
        ending = EscrowStatus.EXPIRED if to is DepositStatus.CANCELED else EscrowStatus.VOIDED
        await escrows.move_escrow(deposit.escrow_id, ending)
    return deposit


async def _find_out(context: Context, deposit: DepositDocument, ref: str, *, is_last: bool) -> Charge:
    """Where a charge stands; one that nobody will finish any more is canceled, so that it never takes money."""
    provider = context.providers[Provider(deposit.provider)]
    charge = await provider.retrieve(ref)
    if charge.state is ChargeState.APPROVED:
        return await provider.confirm(ref, deposit_id=deposit.id)
    is_left = charge.state is ChargeState.CREATED or (is_last and charge.state is ChargeState.ACTION)
    return await provider.cancel(ref) if is_left else charge


async def _current(deposit_id: str) -> DepositDocument:
    deposit = await documents.find_deposit(deposit_id)
    if deposit is None:
        raise NotFound
    return deposit


async def _set_timer(context: Context, deposit_id: str, due: datetime) -> None:
    await context.timers.set(_timer_key(deposit_id), REQUERY_ACTOR, [deposit_id], due=due)


def _timer_key(deposit_id: str) -> str:
    return f"deposit:{deposit_id}:requery"
