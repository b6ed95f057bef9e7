"""`kelmah ledger`: verify every invariant, look at an account, now or at an instant, and let money move again."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from kelmah.kit.settings import SettingsError, load
from kelmah.services.payment import service
from kelmah.services.payment.app import open_context
from kelmah.services.payment.settings import PaymentSettings

ResultT = TypeVar("ResultT")
_console = Console()


def verify() -> None:
    """Check every invariant of the ledger; ends with 1 when one is broken."""
    report = run(service.verify_ledger)
    _console.print(f"{report.entries} entries, {report.accounts} accounts, {len(report.faults)} faults")
    for fault in report.faults:
        _console.print(f"{fault.check}: {fault.subject}: expected {fault.expected}, found {fault.found}", style="red")
    if not report.is_sound:
        sys.exit(1)


def show(account: str, /, *, limit: int = 20) -> None:
    """Show what an account holds and its latest movements, in minor units.

    Args:
        account: for instance wallet:<user id>:GHS, escrow:<id>:GHS, fees:GHS, clearing:stripe:GHS.
        limit: how many movements.
    """
    balance, rows = run(lambda context: service.show_account(context, account, limit=limit))
    table = Table("at", "kind", "reference", "amount", title=f"{account}: {balance}")
    for row in rows:
        table.add_row(row.at.isoformat(timespec="seconds"), row.kind, row.reference, str(row.amount))
    _console.print(table)


def at(account: str, instant: datetime, /) -> None:
    """Show what an account held at an instant, in minor units, by replay of its movements.

    Args:
        account: as for `show`.
        instant: ISO 8601; UTC unless it says otherwise.
    """
    moment = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    print(run(lambda context: service.balance_at(context, account, moment)))  # noqa: T201  # the command's answer


def resume() -> None:
    """Let money move again, once the ledger is sound and somebody knows why it was not."""
    report = run(service.verify_ledger)
    if not report.is_sound:
        sys.exit("the ledger is still broken: see `kelmah ledger verify`")
    print("money moves again" if run(service.resume_ledger) else "money was not stopped")  # noqa: T201  # the answer


def run(work: Callable[[service.Context], Awaitable[ResultT]]) -> ResultT:
    """Do something with the payment service's context."""

    async def inside() -> ResultT:
        async with open_context(load(PaymentSettings, os.environ)) as context:
            return await work(context)

    try:
        return asyncio.run(inside())
    except SettingsError as error:
        sys.exit(str(error))
