"""`kelmah ledger`: verify every invariant, look at an account, now or at an instant, and let money move again."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, TypeVar

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from kelmah.cli import operator
from kelmah.cli.development import found_environment
from kelmah.contracts.payment import ResolveException
from kelmah.kit.context import current_system
from kelmah.kit.errors import KelmahError
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
    operator.act("ledger resume", "payment")
    report = run(service.verify_ledger)
    if not report.is_sound:
        sys.exit("the ledger is still broken: see `kelmah ledger verify`")
    print("money moves again" if run(service.resume_ledger) else "money was not stopped")  # noqa: T201  # the answer


def reconcile(*, since: datetime | None = None, until: datetime | None = None) -> None:
    """Compare the ledger with the providers' reports and the bank's statements; ends with 1 on a new difference.

    Args:
        since: ISO 8601; seven days before the end if not named.
        until: ISO 8601; now if not named.
    """
    operator.act("ledger reconcile", "payment")
    with Progress(disable=not sys.stderr.isatty()) as bar:
        tasks: dict[str, TaskID] = {}

        def show_progress(provider: str, done: int) -> None:
            if provider not in tasks:
                tasks[provider] = bar.add_task(provider, total=None)
            bar.update(tasks[provider], completed=done)

        found = run(
            lambda context: service.reconcile(
                context, since=operator.utc(since), until=operator.utc(until), on_progress=show_progress
            )
        )
    operator.say(f"{found.movements} movements, {found.matched} match, {found.closed} differences are gone")
    operator.show_table(("new difference", "count"), sorted(found.new.items()))
    if found.unreached:
        operator.say(f"not reached: {', '.join(found.unreached)}")
    if found.new or found.unreached:
        sys.exit(1)


def exceptions(*, status: Literal["open", "resolved"] = "open", limit: int = 100) -> None:
    """List differences between the ledger, the providers and the bank; `resolve` takes one out of the queue."""
    page = run(lambda context: service.list_exceptions(context, status=status, cursor=None, limit=limit))
    operator.show_table(
        ("id", "kind", "provider", "reference", "amount", "currency", "hours"),
        [
            (one.id, one.kind, one.provider, one.reference, one.amount, one.currency, one.age_hours)
            for one in page.items
        ],
    )


def resolve(exception_id: str, /, *, reason: str, credit_user_id: str | None = None) -> None:
    """Take a difference out of the queue; the reason is kept in the events.

    Args:
        exception_id: as `exceptions` lists it.
        reason: what was found out.
        credit_user_id: whose wallet gets what lies in suspense for it.
    """
    request = ResolveException(reason=reason, credit_user_id=credit_user_id)
    operator.act("ledger resolve", "payment", target=exception_id)
    by = str(current_system.get())
    try:
        done = run(lambda context: service.resolve_exception(context, exception_id, request, by=by))
    except KelmahError as error:
        sys.exit(f"{error.code}: {error}")
    operator.say(f"{done.kind} {done.reference}: {done.status}")


def reverse(reference: str, /, *, reason: str) -> None:
    """Undo an entry by its opposite: one that credited money in suspense, a provider's fee, or a settlement.

    Args:
        reference: the entry's, as `show` lists it.
        reason: why; it is kept in the new entry.
    """
    operator.act("ledger reverse", "payment", target=reference)
    try:
        entry = run(lambda context: service.reverse_entry(context, reference, reason=reason))
    except KelmahError as error:
        sys.exit(f"{error.code}: {error}")
    operator.say(entry.reference)


def run(work: Callable[[service.Context], Awaitable[ResultT]]) -> ResultT:
    """Do something with the payment service's context."""

    async def inside() -> ResultT:
        async with open_context(load(PaymentSettings, found_environment())) as context:
            return await work(context)

    try:
        return asyncio.run(inside())
    except SettingsError as error:
        sys.exit(str(error))
