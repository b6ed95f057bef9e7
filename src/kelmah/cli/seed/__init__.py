"""`kelmah seed`: made-up people and deals at every stage, the same for the same seed."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kelmah.cli.development import found_environment
from kelmah.cli.seed import deals, people, scene
from kelmah.cli.seed.plan import Plan, Size, make_plan
from kelmah.kit import clock, logging
from kelmah.kit.settings import Environment, SettingsError
from kelmah.services.payment import service as payment
from kelmah.workers.contexts import open_contexts

#: Told after each person and deal: what is made, how many are done, how many there are.
Tell = Callable[[str, int, int], None]


class SeedError(Exception):
    """Nothing was made; the message says why and what to do."""


class Result(NamedTuple):
    """What was made now, of the whole plan; and whether the ledger balances."""

    plan: Plan
    people: int
    deals: Counter[str]
    ledger: payment.LedgerReport


def seed(*, size: Size = Size.SMALL, seed: int = 1, as_of: date | None = None) -> None:
    """Fill a development platform with people, jobs, contracts, money, chats and reviews.

    It uses the platform that runs in this directory, or the databases that KELMAH_… variables name. The same seed
    makes the same people and deals; run again, it adds only what is missing. Notifications follow as soon as
    workers run.

    Args:
        size: small is 20 people, medium 300, large 5,000.
        seed: another number makes other people.
        as_of: the day on which the last things happen; today, or the day on which this seed was first made.
    """
    console = Console(stderr=True)
    logging.configure("seed", level="ERROR", human=True)
    try:
        result = asyncio.run(_seed(console, seed, size, as_of))
    except (SeedError, SettingsError) as error:
        sys.exit(str(error))
    _print(Console(), result)
    if not result.ledger.is_sound:
        sys.exit(1)


async def fill(environ: Mapping[str, str], *, seed: int, size: Size, as_of: date | None, tell: Tell) -> Result:
    """Make what is missing of a seed in the databases of an environment.

    After a crash the person or deal at hand stays as far as it came, which is a state that real ones pass, too.

    Raises:
        SeedError: this is production, the day is not here yet, or the seed was made for another day.
        SettingsError: the environment does not fit the services.
    """
    if environ.get("KELMAH_ENVIRONMENT") == Environment.PRODUCTION:
        raise SeedError("kelmah seed makes people up, and this is production (KELMAH_ENVIRONMENT): nothing was made")
    if as_of is not None and as_of > clock.now().date():
        raise SeedError(f"{as_of} is not here yet, and nothing may have happened after today")
    async with _services(environ) as contexts:
        plan = await _plan(contexts, seed, size, as_of)
        missing = await people.absent(contexts, plan)
        done = 0
        async for _ in people.register(contexts, plan, missing):
            done += 1
            tell("people", done, len(missing))
        played: Counter[str] = Counter()
        for number, deal in enumerate(plan.deals, start=1):
            if await deals.play(contexts, plan, deal):
                played[deal.stage] += 1
            tell("deals", number, len(plan.deals))
        scene.end()
        report = await payment.verify_ledger(contexts["payment"])
    return Result(plan, len(missing), played, report)


@asynccontextmanager
async def _services(environ: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
    """All services in this process, calling each other in memory; time and ids are real again at the end."""
    try:
        async with open_contexts({**environ, "KELMAH_SERVICE_URLS": "{}"}) as contexts:
            yield contexts
    except BaseExceptionGroup as group:
        # Each app's lifespan puts what passes through it into a group of one.
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None
    finally:
        scene.end()


async def _plan(contexts: Mapping[str, Any], seed: int, size: Size, as_of: date | None) -> Plan:
    wanted = make_plan(seed, size, as_of or clock.now().date())
    before = await people.made_on(contexts, wanted)
    if before is None or before.date() == wanted.as_of:
        return wanted
    if as_of is not None:
        raise SeedError(f"seed {seed} was made for {before.date()}: leave --as-of out, or take another --seed")
    return make_plan(seed, size, before.date())


async def _seed(console: Console, number: int, size: Size, as_of: date | None) -> Result:
    environ = found_environment()
    if "KELMAH_MONGO_URL" not in environ:
        raise SeedError("no platform runs here: start `kelmah up` first, or set the KELMAH_… variables")
    columns = (TextColumn("{task.description:<7}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks = {name: bar.add_task(name, total=None) for name in ("people", "deals")}

        def tell(name: str, done: int, total: int) -> None:
            bar.update(tasks[name], completed=done, total=total)

        return await fill(environ, seed=number, size=size, as_of=as_of, tell=tell)


def _print(console: Console, result: Result) -> None:
    plan, report = result.plan, result.ledger
    if not result.people and not result.deals:
        console.print(f"Seed {plan.seed} of {plan.as_of} is here already: nothing was added.")
    else:
        table = Table(title=f"Seed {plan.seed} as of {plan.as_of}", show_header=False, title_justify="left")
        table.add_row("people", str(result.people))
        for stage, count in result.deals.items():
            table.add_row(f"deals, {stage}", str(count))
        console.print(table)
        console.print(f"Everybody's password is {people.PASSWORD}; staff: {', '.join(p.email for p in plan.staff)}")
        console.print("Staff set up a second factor before they may act (docs/identity.md).")
        console.print(f"For instance {plan.hirers[0].email} hires, {plan.workers[0].email} works.")
    if report.is_sound:
        console.print(f"The ledger balances: {report.entries} entries in {report.accounts} accounts, no fault.")
    else:
        for fault in report.faults:
            console.print(f"[red]ledger: {fault.check} of {fault.subject}: {fault.expected} != {fault.found}[/red]")
