"""Reconciliation: what the ledger, the providers' own reports and the bank's statements say of the same money.

All three are compared by what each movement is about. A difference goes into the queue of exceptions, where it stays
until it is gone or somebody resolved it; what matches is closed by itself.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from kelmah.contracts.payment import ExceptionKind, Provider, ResolveException, TransactionKind
from kelmah.kit import clock
from kelmah.services.payment.documents import EntryDocument, bank, deposits, withdrawals
from kelmah.services.payment.documents import exceptions as exception_documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.errors import ProviderUnavailable
from kelmah.services.payment.providers.base import Movement, ProviderRefusedError, ProviderUnsureError, Terms
from kelmah.services.payment.service import exceptions, ledger
from kelmah.services.payment.service.context import Context

log = structlog.get_logger(__name__)

RECONCILE_ACTOR = "payment.reconcile"
RECONCILE_TIMER = "ledger:reconcile"
#: Who takes matched differences out of the queue.
SYSTEM = "system:reconcile"
EVERY = timedelta(days=1)
#: How long one side may know of money before the other does.
GRACE = timedelta(hours=24)
#: How far before the window the other side of a movement is looked for: the sweeper asks for five days.
LOOKBACK = timedelta(days=7)
#: How long money is on its way from a provider to our bank.
SETTLEMENT_GRACE = timedelta(days=5)
Progress = Callable[[str, int], None]


@dataclass(kw_only=True)
class Reconciliation:
    """What was compared, and what differs: `new` differences by kind, `closed` that are none any more.

    Of providers that are `unreached`, nothing or not all was compared.
    """

    movements: int = 0
    matched: int = 0
    closed: int = 0
    unreached: list[Provider] = field(default_factory=list)
    new: Counter[str] = field(default_factory=Counter)


@dataclass(kw_only=True)
class _Side:
    """What one side says of a thing."""

    amount: int = 0
    at: datetime | None = None

    def add(self, amount: int, at: datetime) -> None:
        self.amount += amount
        self.at = at if self.at is None else max(at, self.at)


async def reconcile(
    context: Context,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    on_progress: Progress = lambda provider, done: None,
) -> Reconciliation:
    """Compare all sides between two instants; the last days if none are named. Run again, it adds nothing."""
    until = until or clock.now()
    since = since or until - LOOKBACK
    found = Reconciliation()
    for provider in context.providers:
        try:
            await _reconcile(context, provider, since, until, found, on_progress)
        except (ProviderUnsureError, ProviderRefusedError, ProviderUnavailable) as error:
            log.error("payment.reconcile.unreached", provider=provider, error=type(error).__name__, alert=True)
            found.unreached.append(provider)
    return found


async def reconcile_daily(context: Context) -> Reconciliation:
    """Compare the last days; the target of a timer that sets itself anew."""
    await context.timers.set(RECONCILE_TIMER, RECONCILE_ACTOR, [], due=clock.now() + EVERY)
    found = await reconcile(context)
    if found.new:
        log.error("payment.ledger.unreconciled", differences=dict(found.new), alert=True)
    return found


async def schedule_reconciliation(context: Context) -> None:
    """Have all sides compared from now on, unless they are."""
    await context.timers.set(RECONCILE_TIMER, RECONCILE_ACTOR, [], due=clock.now() + EVERY, keep=True)


async def unreconciled(context: Context) -> dict[str, tuple[int, int]]:
    """By currency, what open differences are about in minor units, and the age of the oldest in seconds."""
    found = await exception_documents.unreconciled()
    return {currency: (amount, int((clock.now() - at).total_seconds())) for currency, (amount, at) in found.items()}


async def _reconcile(
    context: Context,
    provider: Provider,
    since: datetime,
    until: datetime,
    found: Reconciliation,
    on_progress: Progress,
) -> None:
    theirs: defaultdict[tuple[str, str], _Side] = defaultdict(_Side)
    done = 0
    async for movement in context.providers[provider].movements(since - LOOKBACK, until):
        done += 1
        on_progress(provider, done)
        await _book_fee(context, provider, movement, context.providers[provider].terms, found)
        if movement.is_settlement:
            await _settle(context, provider, movement, until, found)
        else:
            key = await _name(provider, movement)
            theirs[key, movement.currency].add(movement.amount, movement.at)
    found.movements += done
    ours: defaultdict[tuple[str, str], _Side] = defaultdict(_Side)
    async for entry in ledger_documents.clearing_between(provider, since - LOOKBACK, until):
        for key, currency, amount in _expected(provider, entry):
            ours[key, currency].add(amount, entry.at)
    matched = []
    for key, currency in sorted(theirs.keys() | ours.keys()):
        at_provider, in_ledger = theirs.get((key, currency)), ours.get((key, currency))
        latest = max(side.at for side in (at_provider, in_ledger) if side is not None and side.at is not None)
        expected, seen = in_ledger.amount if in_ledger else 0, at_provider.amount if at_provider else 0
        if expected == seen or (in_ledger is None and await _is_on_its_way(key, -seen)):
            matched.append(key)
        elif since <= latest <= until - GRACE:
            kind = ExceptionKind.AMOUNT_DIFFERS
            if at_provider is None:
                kind = ExceptionKind.MISSING_AT_PROVIDER
            elif in_ledger is None:
                kind = ExceptionKind.MISSING_IN_LEDGER
            await _note(found, kind, provider, key, seen - expected, currency)
    found.matched += len(matched)
    found.closed += await exception_documents.close_matched(provider, matched, by=SYSTEM)


async def _name(provider: Provider, movement: Movement) -> str:
    """What a movement is about, in our words; the provider's if it is nothing of ours."""
    if movement.ours is not None:
        return movement.ours
    deposit = await deposits.find_by_provider_ref(provider, movement.ref)
    if deposit is not None:
        return deposit.id
    withdrawal = await withdrawals.find_by_provider_ref(provider, movement.ref)
    return withdrawal.id if withdrawal is not None else movement.ref


def _expected(provider: Provider, entry: EntryDocument) -> list[tuple[str, str, int]]:
    """What the provider should have booked for an entry: of what, in which currency, how much."""
    if entry.kind in (TransactionKind.PROVIDER_FEE, TransactionKind.SETTLEMENT):
        return []
    # What a payer's bank took back is gone at the provider at once, and ours to lose or get back until it rules.
    facts, prefixes = entry.facts, (f"clearing:{provider}:", f"chargebacks:{provider}:")
    if "chargeback_id" in facts:
        key = facts["chargeback_id"].partition(":")[2]
    else:
        suspense = entry.reference.removeprefix(f"suspense:{provider}:")
        key = facts.get("withdrawal_id") or facts.get("deposit_id") or suspense
    return [(key, row.currency, -row.amount) for row in entry.postings if row.account.startswith(prefixes)]


async def _is_on_its_way(withdrawal_id: str, amount: int) -> bool:
    """Whether this is money that left there and has not arrived: here, it is still in transit."""
    found = await withdrawals.find_withdrawal(withdrawal_id)
    return found is not None and found.status in withdrawals.OPEN and found.amount == amount


async def _book_fee(
    context: Context, provider: Provider, movement: Movement, terms: Terms, found: Reconciliation
) -> None:
    if movement.fee == 0:
        return
    entry = ledger.fee_entry(provider=provider, movement=movement)

    async def change() -> None:
        if await ledger_documents.find_entry(entry.reference) is None:
            await ledger_documents.post(entry)

    await context.mongo.transact(change)
    most = abs(movement.amount) * terms.fee_basis_points // ledger.BASIS_POINTS + terms.fee_fixed
    if movement.fee > most:
        await _note(found, ExceptionKind.FEE_TOO_HIGH, provider, movement.id, movement.fee - most, movement.currency)


async def _settle(
    context: Context, provider: Provider, movement: Movement, until: datetime, found: Reconciliation
) -> None:
    """Find what a provider says it sent to our bank among what came in there and fits nothing else."""
    entry = ledger.settlement_entry(provider=provider, movement=movement)
    if Provider.BANK not in context.providers or await ledger_documents.find_entry(entry.reference) is not None:
        return
    line = await _line_of(context, movement)
    if line is None:
        if movement.at <= until - SETTLEMENT_GRACE:
            await _note(
                found, ExceptionKind.MISSING_AT_BANK, provider, movement.ref, movement.amount, movement.currency
            )
        return

    async def change() -> None:
        await ledger_documents.post(entry)
        exception = exceptions.name(ExceptionKind.UNKNOWN_REFERENCE, Provider.BANK, line.id)
        request = ResolveException(reason=f"settlement {movement.ref} of {provider}")
        await exceptions.resolve_exception(context, exception, request, by=SYSTEM)
        await exception_documents.close_matched(provider, [movement.ref], by=SYSTEM)

    await context.mongo.transact(change)
    found.matched += 1


async def _line_of(context: Context, movement: Movement) -> bank.BankLineDocument | None:
    start = movement.at - GRACE
    async for line in bank.lines_between(start, start + 2 * LOOKBACK):
        is_same = (line.amount, line.currency) == (-movement.amount, movement.currency)
        if is_same and line.outcome == bank.SUSPENSE + ExceptionKind.UNKNOWN_REFERENCE:
            exception = await exception_documents.find_exception(
                exceptions.name(ExceptionKind.UNKNOWN_REFERENCE, Provider.BANK, line.id)
            )
            is_open = exception is not None and exception.status == exception_documents.OPEN
            if is_open and movement.ref in context.ring.open(line.text, context=line.id.encode()):
                return line
    return None


async def _note(
    found: Reconciliation, kind: ExceptionKind, provider: Provider, reference: str, amount: int, currency: str
) -> None:
    if await exceptions.note(kind, provider=provider, reference=reference, amount=amount, currency=currency):
        found.new[kind] += 1
