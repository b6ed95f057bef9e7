"""The invariants of the ledger as checks that run."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from kelmah.kit import clock
from kelmah.services.payment.documents import AccountDocument, chargebacks, escrows, ledger, withdrawals
from kelmah.services.payment.documents.entries import BOUNDED, digest
from kelmah.services.payment.service.context import Context

log = structlog.get_logger(__name__)

CHECK_ACTOR = "payment.check_ledger"
CHECK_TIMER = "ledger:check"


@dataclass(frozen=True, kw_only=True)
class LedgerFault:
    """One broken invariant: which, of what, and the minor units that were expected and found."""

    check: str
    subject: str
    expected: int
    found: int


class TransactionRow(NamedTuple):
    """A posting as support reads it. Amounts are minor units; `balance` is what it left in its document."""

    at: datetime
    kind: str
    reference: str
    amount: int
    balance: int


@dataclass(frozen=True, kw_only=True)
class LedgerReport:
    """What `verify_ledger` looked at and what it found wrong."""

    entries: int
    accounts: int
    faults: list[LedgerFault] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.faults


async def verify_ledger(context: Context) -> LedgerReport:
    """Check every invariant over one snapshot of the database.

    Entries sum to zero; so do all balances of a currency; no wallet or escrow is negative; each balance is the sum
    of its postings, whose sequence has no gaps; each escrow account holds what its open escrow says, and closed
    ones hold nothing; what is in transit or charged back is what open withdrawals and chargebacks say; every entry
    is what its hash says, and follows the entry that it names.
    """
    return await context.mongo.transact(_verify)


async def check_ledger(context: Context) -> LedgerReport:
    """Verify, and stop all movements of money when something is wrong; the target of a timer that sets itself anew."""
    report = await verify_ledger(context)
    if not report.is_sound:
        first = report.faults[0]
        log.error("payment.ledger.broken", check=first.check, faults=len(report.faults), alert=True)
        await ledger.halt(f"{first.check}: {first.subject}")
    due = clock.now() + timedelta(minutes=context.settings.ledger_check_minutes)
    await context.timers.set(CHECK_TIMER, CHECK_ACTOR, [], due=due)
    return report


async def schedule_check(context: Context) -> None:
    """Have the ledger checked from now on, unless it is."""
    due = clock.now() + timedelta(minutes=context.settings.ledger_check_minutes)
    await context.timers.set(CHECK_TIMER, CHECK_ACTOR, [], due=due, keep=True)


async def resume_ledger(context: Context) -> bool:
    """Let money move again after somebody looked into a fault. Whether it was stopped."""
    return await ledger.resume()


async def show_account(context: Context, account: str, *, limit: int) -> tuple[int, list[TransactionRow]]:
    """What an account holds, and its latest postings."""
    entries = await ledger.wallet_entries([account], before=None, limit=limit)
    rows = [
        TransactionRow(entry.at, entry.kind, entry.reference, row.amount, row.balance)
        for entry in entries
        for row in entry.postings
        if row.account == account
    ]
    return await ledger.balance(account), rows


async def balance_at(context: Context, account: str, instant: datetime) -> int:
    """What an account held at an instant, in minor units, by replay of its postings."""
    return await ledger.balance_at(account, instant)


async def _verify() -> LedgerReport:
    accounts = await ledger.accounts()
    replayed = await ledger.replay()
    held = await escrows.held_by_escrow()
    faults = [
        LedgerFault(check="entry_sums_to_zero", subject=reference, expected=0, found=1)
        for reference in await ledger.unbalanced()
    ]
    totals: defaultdict[str, int] = defaultdict(int)
    for account in accounts:
        totals[account.currency] += account.balance
        if account.kind in BOUNDED and account.balance < 0:
            faults.append(LedgerFault(check="not_negative", subject=account.id, expected=0, found=account.balance))
        again = replayed.pop(account.id, ledger.Replayed(0, 0, 0))
        faults += _differences("balance_is_replay", account.id, again.balance, account.balance)
        faults += _differences("sequence_is_whole", account.id, again.postings, account.sequence)
        faults += _differences("sequence_is_whole", account.id, again.postings, again.highest_sequence)
        if account.kind == "escrow":
            faults += _differences("escrow_is_open", account.id, held.pop(account.id, 0), account.balance)
    faults += [LedgerFault(check="account_exists", subject=key, expected=1, found=0) for key in replayed]
    faults += [LedgerFault(check="escrow_is_open", subject=key, expected=due, found=0) for key, due in held.items()]
    for kind, due in (
        ("transit", await withdrawals.held_by_currency()),
        ("chargebacks", await chargebacks.open_by_currency()),
    ):
        found = await ledger.balance_of_kind(kind)
        for currency in found.keys() | due.keys():
            faults += _differences(f"{kind}_is_open", currency, due.get(currency, 0), found.get(currency, 0))
    faults += await _broken_links(accounts)
    for currency, total in totals.items():
        faults += _differences("balances_sum_to_zero", currency, 0, total)
    return LedgerReport(entries=await ledger.count_entries(), accounts=len(accounts), faults=faults)


async def _broken_links(accounts: list[AccountDocument]) -> list[LedgerFault]:
    """Walk every account's chain: each entry is what its hash says, and follows the one that it names."""
    made: dict[tuple[str, int], str] = {}
    named: dict[tuple[str, int], tuple[str, str]] = {}
    faults = []
    async for entry in ledger.every_entry():
        if digest(entry) != entry.hash:
            faults.append(LedgerFault(check="chain_is_whole", subject=entry.reference, expected=1, found=0))
        for row in entry.postings:
            made[row.key, row.sequence] = entry.hash
            named[row.key, row.sequence - 1] = (row.previous, entry.reference)
    broken = [reference for place, (previous, reference) in named.items() if previous != made.get(place, "")]
    broken += [account.id for account in accounts if account.head != made.get((account.id, account.sequence), "")]
    return faults + [LedgerFault(check="chain_is_whole", subject=subject, expected=1, found=0) for subject in broken]


def _differences(check: str, subject: str, expected: int, found: int) -> list[LedgerFault]:
    if expected == found:
        return []
    return [LedgerFault(check=check, subject=subject, expected=expected, found=found)]
