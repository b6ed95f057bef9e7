"""Withdrawals: money is held, sent once by an actor, and posted or given back when the provider says so."""

from datetime import timedelta

import structlog

from kelmah.contracts.common import Money, Page
from kelmah.contracts.payment import (
    CreateWithdrawal,
    MethodKind,
    PaymentProcessed,
    Provider,
    RefundDeposit,
    TransactionKind,
    WithdrawalFailed,
    WithdrawalStatus,
    WithdrawalView,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import DepositDocument, WithdrawalDocument, deposits, methods
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.documents import withdrawals as documents
from kelmah.services.payment.documents.entries import wallet
from kelmah.services.payment.errors import (
    DepositNotRefundable,
    HoldingPeriod,
    MethodNotFound,
    ProviderUnavailable,
    WithdrawalLimit,
    WithdrawalNotCancelable,
    WithdrawalNotFound,
)
from kelmah.services.payment.providers.base import (
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
    ProviderUnsureError,
)
from kelmah.services.payment.service import ledger, pages
from kelmah.services.payment.service.context import Context, find_provider
from kelmah.services.payment.service.deposits import REQUERY_AFTER
from kelmah.services.payment.service.freshness import require_step_up

log = structlog.get_logger(__name__)

SEND_ACTOR = "payment.send_withdrawal"
REQUERY_ACTOR = "payment.requery_withdrawal"
LIMIT_WINDOW = timedelta(hours=24)
#: What has to stay for the holding period: money that its payer may yet take back.
HELD_KINDS = [TransactionKind.DEPOSIT.value, TransactionKind.ESCROW_RELEASE.value, TransactionKind.DISPUTE_RULING.value]


async def create_withdrawal(context: Context, request: CreateWithdrawal, *, by: Principal) -> WithdrawalView:
    """Hold money of one's own wallet and have it sent to an account of one's own."""
    require_step_up(context, by)
    method = await methods.find_method(request.method_id, user_id=by.user_id)
    if method is None or method.kind == MethodKind.CARD:
        raise MethodNotFound
    _check_amount(context, request.amount, Provider(method.provider))
    withdrawal_id, now = new_id(), clock.now()
    destination = context.ring.open(method.token, context=method.id.encode())
    withdrawal = WithdrawalDocument(
        id=withdrawal_id,
        user_id=by.user_id,
        provider=method.provider,
        amount=request.amount.amount,
        currency=request.amount.currency,
        method_id=method.id,
        destination=context.ring.seal(destination, context=withdrawal_id.encode()),
        requested_by=by.user_id,
        created_at=now,
        updated_at=now,
    )

    async def change() -> WithdrawalView:
        view = await _hold(context, withdrawal)
        # The wallet's document was just written: a second withdrawal at the same time waits, and then sees this one.
        await _check_limits(context, withdrawal)
        return view

    async with context.lanes.hold(by.user_id):
        return await context.mongo.transact(change)


async def refund_deposit(context: Context, deposit_id: str, request: RefundDeposit, *, by: Principal) -> WithdrawalView:
    """Give a deposit, or part of it, back to its payer out of the wallet; for support."""
    require_step_up(context, by)

    async def change() -> WithdrawalView:
        deposit = await deposits.take_refund(deposit_id, request.amount.amount)
        if deposit is None or deposit.currency != request.amount.currency:
            raise DepositNotRefundable
        withdrawal_id, now = new_id(), clock.now()
        withdrawal = WithdrawalDocument(
            id=withdrawal_id,
            user_id=deposit.user_id,
            provider=deposit.provider,
            amount=request.amount.amount,
            currency=deposit.currency,
            deposit_id=deposit.id,
            charge_ref=deposit.provider_ref,
            method_id=request.method_id,
            destination=await _account_for(context, deposit, request.method_id, place=withdrawal_id.encode()),
            requested_by=by.user_id,
            created_at=now,
            updated_at=now,
        )
        return await _hold(context, withdrawal)

    return await context.mongo.transact(change)


async def get_withdrawal(context: Context, withdrawal_id: str, *, by: Principal) -> WithdrawalView:
    """One's own withdrawal."""
    withdrawal = await documents.find_withdrawal(withdrawal_id, user_id=by.user_id)
    if withdrawal is None:
        raise WithdrawalNotFound
    return mapping.withdrawal_view(withdrawal)


async def list_withdrawals(context: Context, *, by: Principal, cursor: str | None, limit: int) -> Page[WithdrawalView]:
    """One's own withdrawals, the latest first."""
    found = await documents.list_withdrawals(by.user_id, before=pages.start(cursor), limit=limit + 1)
    return pages.page(found, limit, mapping.withdrawal_view)


async def cancel_withdrawal(context: Context, withdrawal_id: str, *, by: Principal) -> WithdrawalView:
    """Take a withdrawal back that nobody has begun to send."""

    async def change() -> WithdrawalView:
        own = {"user_id": by.user_id, "requested_by": by.user_id}
        withdrawal = await documents.move_withdrawal(
            withdrawal_id, WithdrawalStatus.CANCELED, where=own, failure_code="canceled"
        )
        if withdrawal is None:
            if await documents.find_withdrawal(withdrawal_id, user_id=by.user_id) is None:
                raise WithdrawalNotFound
            raise WithdrawalNotCancelable
        await _give_back(context, withdrawal)
        view = mapping.withdrawal_view(withdrawal)
        await context.idempotency.remember(view, status=200)
        return view

    return await context.mongo.transact(change)


async def send_withdrawal(context: Context, withdrawal_id: str) -> None:
    """Have the provider send held money; the target of a timer. Run again, it asks before it sends."""
    withdrawal = await documents.move_withdrawal(withdrawal_id, WithdrawalStatus.SENDING)
    if withdrawal is not None:
        await _try(context, withdrawal, ask_first=False)
        return
    withdrawal = await documents.find_withdrawal(withdrawal_id)
    if withdrawal is not None and withdrawal.status is WithdrawalStatus.SENDING:
        await _try(context, withdrawal, ask_first=True)


async def requery_withdrawal(context: Context, withdrawal_id: str) -> None:
    """Ask the provider about a withdrawal that is not over; the target of its timer."""
    withdrawal = await documents.find_withdrawal(withdrawal_id)
    if withdrawal is None or withdrawal.status not in documents.OPEN:
        return
    if withdrawal.status is WithdrawalStatus.PENDING:
        await send_withdrawal(context, withdrawal_id)
    else:
        await _try(context, withdrawal, ask_first=True)
    is_last = withdrawal.requeries + 1 >= len(REQUERY_AFTER)
    current = await documents.find_withdrawal(withdrawal_id)
    if current is None or current.status not in documents.OPEN:
        return
    if is_last:
        log.error("payment.withdrawal.unresolved", withdrawal_id=withdrawal_id, alert=True)
        return
    asked = withdrawal

    async def schedule() -> None:
        if await documents.count_requery(asked.id, seen=asked.requeries):
            due = asked.created_at + REQUERY_AFTER[asked.requeries + 1]
            await context.timers.set(_timer_key(asked.id), REQUERY_ACTOR, [asked.id], due=due)

    await context.mongo.transact(schedule)


async def settle_payout(context: Context, withdrawal_id: str, payout: Payout) -> None:
    """Bring a withdrawal to where the provider's payout stands. Said again or late, it changes nothing."""

    async def change() -> None:
        withdrawal = await documents.find_withdrawal(withdrawal_id)
        if withdrawal is None:
            return
        is_same = (payout.amount, payout.currency) == (withdrawal.amount, withdrawal.currency)
        if not is_same or withdrawal.provider_ref not in (None, payout.ref):
            log.error("payment.withdrawal.mismatch", withdrawal_id=withdrawal_id, alert=True)
            await documents.move_withdrawal(withdrawal_id, WithdrawalStatus.UNKNOWN)
            return
        await _follow(context, withdrawal, payout)

    await context.mongo.transact(change)


async def _account_for(
    context: Context, deposit: DepositDocument, method_id: str | None, *, place: bytes
) -> str | None:
    """Where a refund goes, sealed: back the way it came, or, since banks know no such way, to the payer's account."""
    if (deposit.provider == Provider.BANK) != (method_id is not None):
        raise BadInput.of("methodId", "needed for a deposit by bank, and for no other")
    if method_id is None:
        return None
    method = await methods.find_method(method_id, user_id=deposit.user_id)
    if method is None or method.provider != deposit.provider:
        raise MethodNotFound
    return context.ring.seal(context.ring.open(method.token, context=method.id.encode()), context=place)


async def _hold(context: Context, withdrawal: WithdrawalDocument) -> WithdrawalView:
    await documents.insert_withdrawal(withdrawal)
    await ledger_documents.post(ledger.hold_entry(withdrawal))
    await context.timers.set(f"withdrawal:{withdrawal.id}:send", SEND_ACTOR, [withdrawal.id])
    due = withdrawal.created_at + REQUERY_AFTER[0]
    await context.timers.set(_timer_key(withdrawal.id), REQUERY_ACTOR, [withdrawal.id], due=due)
    view = mapping.withdrawal_view(withdrawal)
    await context.idempotency.remember(view)
    return view


def _check_amount(context: Context, amount: Money, provider: Provider) -> None:
    settings = context.settings
    least = find_provider(context, provider, "methodId").terms.pay_out.get(amount.currency)
    if least is None or amount.currency not in settings.currencies:
        raise BadInput.of("amount.currency", "this account cannot be paid in this currency")
    least = max(least, settings.withdrawal_min)
    if not least <= amount.amount <= settings.withdrawal_max:
        raise BadInput.of("amount.amount", f"{least} to {settings.withdrawal_max}")


async def _check_limits(context: Context, withdrawal: WithdrawalDocument) -> None:
    now, settings = clock.now(), context.settings
    sent = await documents.sum_since(withdrawal.user_id, withdrawal.currency, now - LIMIT_WINDOW)
    if sent > settings.withdrawal_daily_max:
        raise WithdrawalLimit
    account = wallet(withdrawal.user_id, withdrawal.currency)
    since = now - timedelta(hours=settings.holding_hours)
    if await ledger_documents.balance(account) < await ledger_documents.credited_since(account, since, HELD_KINDS):
        raise HoldingPeriod


async def _try(context: Context, withdrawal: WithdrawalDocument, *, ask_first: bool) -> None:
    """Send, or find out what became of an earlier try. Outside any transaction."""
    provider = context.providers[Provider(withdrawal.provider)]
    order = PayoutOrder(
        withdrawal_id=withdrawal.id,
        amount=Money(amount=withdrawal.amount, currency=withdrawal.currency),
        destination=context.ring.open(withdrawal.destination, context=withdrawal.id.encode())
        if withdrawal.destination
        else None,
        charge_ref=withdrawal.charge_ref,
    )
    try:
        if withdrawal.provider_ref is not None:
            payout: Payout | None = await provider.retrieve_payout(withdrawal.provider_ref)
        else:
            payout = await provider.find_payout(order) if ask_first else None
    except (ProviderUnsureError, ProviderRefusedError, ProviderUnavailable):
        await _unsure(withdrawal)
        return
    try:
        payout = payout or await provider.send(order)
    except ProviderRefusedError as refusal:
        await _fail(context, withdrawal, refusal.code)
    except (ProviderUnsureError, ProviderUnavailable):
        await _unsure(withdrawal)
    else:
        await settle_payout(context, withdrawal.id, payout)


async def _unsure(withdrawal: WithdrawalDocument) -> None:
    log.warning("payment.withdrawal.unknown", withdrawal_id=withdrawal.id)
    await documents.move_withdrawal(withdrawal.id, WithdrawalStatus.UNKNOWN)


async def _fail(context: Context, withdrawal: WithdrawalDocument, code: str, ref: str | None = None) -> None:
    async def change() -> None:
        failed = await documents.move_withdrawal(
            withdrawal.id, WithdrawalStatus.FAILED, failure_code=code, provider_ref=ref
        )
        if failed is not None:
            await _give_back(context, failed)

    await context.mongo.transact(change)


async def _follow(context: Context, withdrawal: WithdrawalDocument, payout: Payout) -> None:
    code = payout.failure_code or payout.state
    if payout.state is PayoutState.IN_TRANSIT:
        await documents.move_withdrawal(withdrawal.id, WithdrawalStatus.IN_TRANSIT, provider_ref=payout.ref)
    elif payout.state is PayoutState.PAID:
        paid = await documents.move_withdrawal(withdrawal.id, WithdrawalStatus.PAID, provider_ref=payout.ref)
        if paid is not None:
            await ledger_documents.post(ledger.paid_entry(paid))
            await context.timers.cancel(_timer_key(paid.id))
            await context.events.append(
                PaymentProcessed(
                    transaction_id=paid.id,
                    user_id=paid.user_id,
                    purpose="withdrawal" if paid.deposit_id is None else "refund",
                    amount=Money(amount=paid.amount, currency=paid.currency),
                ),
                subject=_subject(paid),
            )
    elif returned := await documents.move_withdrawal(withdrawal.id, WithdrawalStatus.RETURNED, failure_code=code):
        await ledger_documents.post(ledger.return_entry(returned))  # it had been paid
        await _tell_failed(context, returned)
    else:
        await _fail(context, withdrawal, code, payout.ref)


async def _give_back(context: Context, withdrawal: WithdrawalDocument) -> None:
    await ledger_documents.post(ledger.void_entry(withdrawal))
    await context.timers.cancel(_timer_key(withdrawal.id))
    await _tell_failed(context, withdrawal)


async def _tell_failed(context: Context, withdrawal: WithdrawalDocument) -> None:
    if withdrawal.deposit_id is not None:
        await deposits.untake_refund(withdrawal.deposit_id, withdrawal.amount)
    await context.events.append(
        WithdrawalFailed(
            withdrawal_id=withdrawal.id,
            user_id=withdrawal.user_id,
            amount=Money(amount=withdrawal.amount, currency=withdrawal.currency),
            failure_code=withdrawal.failure_code or "failed",
        ),
        subject=_subject(withdrawal),
    )


def _subject(withdrawal: WithdrawalDocument) -> str:
    return f"withdrawal:{withdrawal.id}"


def _timer_key(withdrawal_id: str) -> str:
    return f"withdrawal:{withdrawal_id}:requery"
