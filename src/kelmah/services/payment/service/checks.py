"""The invariants of the ledger as checks that run."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from kelmah.services.payment.documents import chargebacks, escrows, ledger, withdrawals
from kelmah.services.payment.service.context import Context


@dataclass(frozen=True, kw_only=True)
class LedgerFault:
    """One broken invariant: which, of what, and the minor units that were expected and found."""

    check: str
    subject: str
    expected: int
    found: int


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
    ones hold nothing; what is in transit or charged back is what open withdrawals and chargebacks say.
    """
    return await context.mongo.transact(_verify)


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
        if account.kind in ledger.BOUNDED and account.balance < 0:
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
    for currency, total in totals.items():
        faults += _differences("balances_sum_to_zero", currency, 0, total)
    return LedgerReport(entries=await ledger.count_entries(), accounts=len(accounts), faults=faults)


def _differences(check: str, subject: str, expected: int, found: int) -> list[LedgerFault]:
    if expected == found:
        return []
    return [LedgerFault(check=check, subject=subject, expected=expected, found=found)]
