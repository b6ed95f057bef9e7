"""Files of a bank: statements that settle deposits and payouts, reports about payouts, and orders of payouts."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from kelmah.contracts.payment import BankAccount, DepositStatus, ExceptionKind, Provider, WithdrawalStatus
from kelmah.kit import clock
from kelmah.services.payment.documents import bank as documents
from kelmah.services.payment.documents import deposits, withdrawals
from kelmah.services.payment.errors import BankFileKnown, BankFileRefused
from kelmah.services.payment.providers.base import Charge, ChargeState, Payout, PayoutState
from kelmah.services.payment.providers.iso20022 import (
    Line,
    Statement,
    Status,
    Transfer,
    read_file,
    write_payments,
)
from kelmah.services.payment.providers.references import find_reference
from kelmah.services.payment.service import exceptions
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.deposits import settle
from kelmah.services.payment.service.withdrawals import settle_payout

log = structlog.get_logger(__name__)

#: What a status report calls a payment that is settled or refused; every other status is on the way.
PAID, REJECTED = frozenset({"ACSC", "ACCC"}), "RJCT"
Progress = Callable[[int, int], None]


async def import_file(
    context: Context, content: bytes, *, on_progress: Progress = lambda done, of: None
) -> Counter[str]:
    """Read a bank's file: what its lines did, counted. After a crash, the same file goes on where it stopped.

    Raises:
        BankFileRefused: nothing of it was used.
        BankFileKnown: it was read to its end before.
    """
    found = read_file(content)
    for one in found:
        if isinstance(one, Statement):
            _check_account(context, one)
    outcomes: Counter[str] = Counter()
    total = sum(len(one.lines) if isinstance(one, Statement) else 1 for one in found)
    new = [one for one in found if isinstance(one, Status) or await _begin(one, content)]
    if not new:
        raise BankFileKnown
    for one in new:
        if isinstance(one, Status):
            outcomes[await _follow_status(context, one)] += 1
            on_progress(outcomes.total(), total)
            continue
        for line in one.lines:
            outcomes[await _book(context, one, line)] += 1
            on_progress(outcomes.total(), total)
        await documents.finish_statement(_name(one))
    return outcomes


async def export_payouts(
    context: Context, directory: Path, *, on_progress: Progress = lambda done, of: None
) -> list[Path]:
    """Write files that order the payouts which wait, each payout in one file.

    A file belongs to its payouts before it is written, and is the same bytes whenever it is: one that a crash left
    unwritten, or written and not noted, is written again under the same name, by which the bank takes it once.
    """
    for currency in await documents.queued_currencies():
        while await context.mongo.transact(lambda currency=currency: documents.begin_export(currency)):  # type: ignore[misc]
            pass
    exports, paths = await documents.unwritten_exports(), []
    for export in exports:
        content = await _order(context, export)
        path = directory / f"pain.001-{export.currency}-{export.id}.xml"
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)
        await documents.finish_export(export.id)
        paths.append(path)
        on_progress(len(paths), len(exports))
    return paths


async def _order(context: Context, export: documents.BankExportDocument) -> bytes:
    transfers = [
        Transfer(
            id=one.id,
            amount=one.amount,
            currency=one.currency,
            to=msgspec.json.decode(context.ring.decrypt(one.destination, context=one.id.encode()), type=BankAccount),
        )
        for one in await documents.payouts_of(export.id)
    ]
    return write_payments(export.id, export.made_at, context.settings.bank_accounts[export.currency], transfers)


def _check_account(context: Context, statement: Statement) -> None:
    ours = context.settings.bank_accounts.get(statement.currency)
    if ours is None or ours.number != statement.account:
        raise BankFileRefused("A statement is about an account that is not ours.")


def _name(statement: Statement) -> str:
    return f"{statement.account}:{statement.currency}:{statement.id}"


async def _begin(statement: Statement, content: bytes) -> bool:
    """Note that a statement is being read. Whether it was not read to its end before."""
    digest = hashlib.sha256(content).hexdigest()
    noted = await documents.begin_statement(
        documents.BankStatementDocument(
            id=_name(statement),
            digest=digest,
            currency=statement.currency,
            opening=statement.opening,
            closing=statement.closing,
            lines=len(statement.lines),
            read_at=clock.now(),
        )
    )
    if noted.digest != digest:
        raise BankFileRefused("Another file with a statement of this name was read before.")
    return not noted.is_done


async def _book(context: Context, statement: Statement, line: Line) -> str:
    """Do what a line calls for, once, together with keeping it."""

    async def change() -> str:
        known = await documents.find_line(line.key)
        if known is not None:
            return known.outcome if known.statement_id == _name(statement) else "duplicate"
        outcome, subject_id = await _place(context, line)
        await documents.insert_line(
            documents.BankLineDocument(
                id=line.key,
                statement_id=_name(statement),
                amount=line.amount,
                currency=line.currency,
                text=context.ring.seal(line.text, context=line.key.encode()),
                outcome=outcome,
                subject_id=subject_id,
                booked_at=clock.now(),
            )
        )
        return outcome

    return await context.mongo.transact(change)


async def _place(context: Context, line: Line) -> tuple[str, str | None]:
    """Settle what the line is about; if it is about nothing that fits, its money goes to suspense."""
    reference = find_reference(line.text)
    if line.amount > 0 and not line.is_return and reference is not None:
        kind = await _receive(context, line, reference)
        if kind is None:
            return "deposit", reference
    elif line.end_to_end_id and (line.amount < 0 or line.is_return):
        reference = line.end_to_end_id
        kind = await _follow_payout(context, line)
        if kind is None:
            return ("payout" if line.amount < 0 else "return"), reference
    else:
        kind = ExceptionKind.UNKNOWN_REFERENCE
    await exceptions.note(
        kind,
        provider=Provider.BANK,
        reference=reference or line.key,
        amount=line.amount,
        currency=line.currency,
        suspense_id=line.key,
    )
    log.warning("payment.bank.suspense", kind=kind, line=line.key)
    return documents.SUSPENSE + kind, reference


async def _receive(context: Context, line: Line, reference: str) -> ExceptionKind | None:
    deposit = await deposits.find_by_provider_ref(Provider.BANK, reference)
    if deposit is None:
        return ExceptionKind.UNKNOWN_REFERENCE
    if deposit.status not in deposits.OPEN:
        return ExceptionKind.NOT_EXPECTED
    if deposit.currency != line.currency:
        return ExceptionKind.WRONG_CURRENCY
    if deposit.amount != line.amount:
        return ExceptionKind.WRONG_AMOUNT
    charge = Charge(reference, ChargeState.SUCCEEDED, line.amount, line.currency, deposit.id)
    settled = await settle(context, deposit.id, charge)
    return None if settled.status is DepositStatus.SUCCEEDED else ExceptionKind.NOT_EXPECTED


async def _follow_payout(context: Context, line: Line) -> ExceptionKind | None:
    payout = await documents.find_payout(line.end_to_end_id)
    if payout is None:
        return ExceptionKind.UNKNOWN_REFERENCE
    if (payout.amount, payout.currency) != (abs(line.amount), line.currency):
        return ExceptionKind.WRONG_AMOUNT
    goes_out = line.amount < 0
    withdrawal = await withdrawals.find_withdrawal(payout.id)
    if goes_out and not await documents.mark_booked(payout.id):
        return ExceptionKind.NOT_EXPECTED  # never ordered, refused, or booked before
    if goes_out and payout.status == documents.PAID:
        return None  # a report said so before, and this is the money that it spoke of
    ended = await documents.end_payout(
        payout.id, documents.PAID if goes_out else documents.RETURNED, None if goes_out else "returned"
    )
    if ended is None or withdrawal is None:
        return ExceptionKind.NOT_EXPECTED
    wanted = WithdrawalStatus.PAID if goes_out else WithdrawalStatus.RETURNED
    if not goes_out and withdrawal.status is not WithdrawalStatus.PAID:
        return ExceptionKind.NOT_EXPECTED
    state = PayoutState.PAID if goes_out else PayoutState.RETURNED
    await settle_payout(context, payout.id, _payout(payout, state, None if goes_out else "returned"))
    settled = await withdrawals.find_withdrawal(payout.id)
    return None if settled is not None and settled.status is wanted else ExceptionKind.NOT_EXPECTED


async def _follow_status(context: Context, status: Status) -> str:
    """Follow a report about one payment, or about all of a file that was refused as a whole."""
    orders = await documents.payouts_of(status.message_id)
    chosen = [one for one in orders if status.end_to_end_id in (None, one.id)]
    if status.end_to_end_id is None and status.status != REJECTED:
        return "on_the_way"
    if not chosen:
        return "unknown_payout"
    if status.status not in PAID | {REJECTED}:
        return "on_the_way"
    is_paid = status.status in PAID
    for one in chosen:
        await context.mongo.transact(lambda one=one: _end(context, one, is_paid=is_paid, reason=status.reason))  # type: ignore[misc]
    return "paid" if is_paid else "rejected"


async def _end(context: Context, payout: documents.BankPayoutDocument, *, is_paid: bool, reason: str | None) -> None:
    code = None if is_paid else (reason or "rejected").lower()
    ended = await documents.end_payout(payout.id, documents.PAID if is_paid else documents.FAILED, code)
    if ended is not None:
        state = PayoutState.PAID if is_paid else PayoutState.FAILED
        await settle_payout(context, payout.id, _payout(payout, state, code))


def _payout(payout: documents.BankPayoutDocument, state: PayoutState, code: str | None) -> Payout:
    return Payout(payout.id, state, payout.amount, payout.currency, payout.id, code)
