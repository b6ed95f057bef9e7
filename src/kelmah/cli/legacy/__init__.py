"""`kelmah legacy`: the old Postgres, from looking at it to leaving it."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.cli.operator import act, say, show_table
from kelmah.kit import logging
from kelmah.kit.settings import Environment, SettingsError

ResultT = TypeVar("ResultT")


class _Rate(ProgressColumn):
    """How many rows a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} rows/s")


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each entity, with its rate and the time that is left."""
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        yield tell


def generate(*, users: int = 1_000, seed: int = 1, dirty: float = 0.02) -> None:
    """Fill an empty old database with made-up rows, of which a share is dirty. For development and tests.

    Passwords are hashed with bcrypt at cost 4, so that this takes minutes and not hours: old systems use 10 or more.

    Args:
        users: how many people.
        seed: another number makes other people.
        dirty: the share of rows with something wrong.
    """
    from kelmah.cli.legacy import generating
    from kelmah.cli.legacy.plan import LegacyError, url_of
    from kelmah.legacy import revisions

    environ = found_environment()
    if environ.get("KELMAH_ENVIRONMENT") == Environment.PRODUCTION:
        sys.exit("kelmah legacy generate makes people up, and this is production: nothing was made")
    try:
        url = url_of(environ)
    except LegacyError as error:
        sys.exit(str(error))
    revisions.upgrade(url)
    with _bars() as tell:
        made = generating.generate(
            url, users=users, seed=seed, dirty=dirty, tell=lambda done: tell("people", done, users)
        )
    show_table(("table", "rows"), made.items())
    say(f"The person with number n has the password: {generating.password(0)[:-1]}<n modulo {generating.PASSWORDS}>")


def adopt(*, mapping: Path | None = None, write: Path | None = None, stamp: bool = False) -> None:
    """Look at an old database: where does it differ from the baseline? Ends with 1 while it cannot be read.

    Begin with --write; fill the file in; check it with --mapping, again and again; then --mapping with --stamp. Name
    the file in KELMAH_LEGACY_MAPPING afterwards: everything reads through it.

    Args:
        mapping: a mapping file to look through.
        write: where to write a mapping file with a proposal for every difference.
        stamp: note in the database at which revision it is; refused while it differs.
    """
    from kelmah.cli.legacy.plan import LegacyError, url_of
    from kelmah.legacy import adopting, revisions
    from kelmah.legacy.layout import Layout, LayoutError, load_file

    try:
        url = url_of(found_environment())
        file = load_file(mapping)
        layout = Layout(file)
    except (LegacyError, LayoutError) as error:
        sys.exit(str(error))
    found = adopting.inspect_database(url, file)
    blocking = sum(one.blocks for one in found.differences)
    show_table(("place", "difference", "proposal"), [one[:3] for one in found.differences])
    if found.unknown_tables:
        say(f"not looked at: {', '.join(found.unknown_tables)}")
    if write is not None:
        if write.exists():
            sys.exit(f"{write} is there already")
        write.write_text(adopting.write_mapping(file, found.differences), encoding="utf-8")
        say(f"{write}: fill it in, and check it with --mapping {write}")
    faults = [] if blocking else adopting.check_queries(url, layout)
    for fault in faults:
        say(f"the database refuses to be read: {fault}")
    if blocking or faults:
        sys.exit(f"{blocking + len(faults)} differences")
    if stamp:
        # A database that differs is none of Alembic's revisions: nothing is ever done to it.
        revision = revisions.HEAD if mapping else revisions.BASELINE
        revisions.stamp(url, revision)
        say(f"stamped as {revisions.current(url)}")
        if mapping:
            say("An index on the folded address makes logins by the bridge fast: see docs/legacy.md.")
    say("the database is as the baseline" + (", by the mapping file" if mapping else ""))


def backup(file: Path, /) -> None:
    """Write the old database into a file, as of one instant, by pg_dump.

    Args:
        file: a file that is not there yet.
    """
    from kelmah.cli.legacy import backups
    from kelmah.cli.legacy.plan import url_of

    async def run() -> None:
        await backups.backup(url_of(found_environment()), file)

    _run(run)
    say(f"{file}: {file.stat().st_size:,} bytes")


def restore(file: Path, /) -> None:
    """Fill an empty old database from a file, all or nothing, by pg_restore.

    Args:
        file: what `kelmah legacy backup` wrote.
    """
    from kelmah.cli.legacy import backups
    from kelmah.cli.legacy.plan import url_of

    async def run() -> dict[str, int]:
        return await backups.restore(url_of(found_environment()), file)

    show_table(("table", "rows"), _run(run).items())


def migrate(*, only: str | None = None, dry_run: bool = False, report: Path = Path("legacy-report.jsonl")) -> None:
    """Move old rows to the services. Can be killed at any time and run again; what was moved is not moved twice.

    Args:
        only: entities, with commas: people, profiles, jobs, applications, contracts, wallets, transactions, escrows,
            conversations, messages, notifications, reviews.
        dry_run: move nothing, and say what would be.
        report: where to write what could not be moved, and why.
    """
    from kelmah.cli.legacy.moving import Mover
    from kelmah.cli.legacy.plan import chosen, open_work

    async def run() -> None:
        entities = chosen(only)
        async with open_work() as work:
            with _bars() as tell:
                mover = Mover(work, dry_run=dry_run, tell=tell)
                await mover.run(entities)
            counted = await mover.report(report)
        rows = [
            (name, *(tally[fate] for fate in ("moved", "before", "refused", "left")))
            for name, tally in mover.tally.items()
        ]
        show_table(("entity", "moved", "before", "refused", "left"), rows)
        said = ", ".join(f"{number} {fate}" for fate, number in sorted(counted.items())) or "nothing"
        say(f"{report}: {said}" + (" (dry run: nothing was moved)" if dry_run else ""))

    _run(run, acts=None if dry_run else "legacy migrate", target=only, first=lambda: chosen(only))


def verify(*, only: str | None = None, sample: float = 1.0) -> None:
    """Compare both sides: counts, sums, checksums. Ends with 1 when anything differs.

    Args:
        only: entities, with commas.
        sample: the share of rows whose checksums are compared; 1 is all.
    """
    from kelmah.cli.legacy.plan import chosen, open_work
    from kelmah.cli.legacy.verifying import verify as compare

    async def run() -> bool:
        entities = chosen(only)
        async with open_work() as work:
            with _bars() as tell:
                found = await compare(work, entities, sample=sample, tell=tell)
        columns = ("entity", "rows", "moved", "refused", "left", "checked", "changed since", "differences", "sums")
        show_table(
            columns,
            [
                (
                    *(one.entity, one.rows, one.moved, one.refused, one.left, one.checked, one.since),
                    one.differences.total(),
                    ", ".join(f"{old} = {new} {currency}" for currency, (old, new) in sorted(one.sums.items())),
                )
                for one in found.lines
            ],
        )
        show_table(
            ("table", "rows", "moved", "refused", "left"),
            [
                (table, n, *(fates[f] for f in ("moved", "refused", "left")))
                for table, (n, fates) in found.tables.items()
            ],
        )
        for one in found.lines:
            for example in one.examples:
                say(f"{one.entity}: {example}")
        say(f"faults of the ledger: {found.ledger_faults}")
        say("both sides agree" if found.is_clean else "the sides differ")
        return found.is_clean

    if not _run(run):
        sys.exit(1)


def write_back(*, dry_run: bool = False) -> None:
    """Write what changed on the platform back to the old database, for going back to it. Can be run again.

    Args:
        dry_run: write nothing, and say what would be.
    """
    from kelmah.cli.legacy import writing_back
    from kelmah.cli.legacy.plan import open_work

    async def run() -> writing_back.Written:
        async with open_work() as work:
            return await writing_back.write_back(work, dry_run=dry_run)

    written = _run(run, acts=None if dry_run else "legacy write-back")
    rows = [
        (table, *(counted[how] for how in ("inserted", "updated", "removed", "kept")))
        for table, counted in sorted(written.tables.items())
    ]
    show_table(("table", "inserted", "updated", "removed", "kept"), rows)
    for fault in written.faults:
        say(f"refused by the old database: {fault}")
    if dry_run:
        say("dry run: nothing was written")
    if written.faults:
        sys.exit(1)


def confirm() -> None:
    """Confirm the cut-over: nothing is written back from now on."""
    from kelmah.cli.legacy import writing_back
    from kelmah.cli.legacy.plan import open_work

    async def run() -> str:
        async with open_work() as work:
            return (await writing_back.confirm(work)).isoformat(timespec="seconds")

    since = _run(run, acts="legacy confirm")
    say(f"the cut-over is confirmed since {since}: the old database can be kept as an archive, or go")


def trace(key: str, /) -> None:
    """Say where an old row went, or from which old rows a thing came.

    Args:
        key: an old row as table/id, or an id of the platform.
    """
    from kelmah.cli.legacy.moving import SERVICES
    from kelmah.cli.legacy.plan import open_work
    from kelmah.legacy.journal import Journal

    async def run() -> list[tuple[str, str, str, str]]:
        found = []
        async with open_work() as work:
            for service in SERVICES:
                found += await Journal(work.contexts[service].mongo).trace(service, key)
        return found

    rows = _run(run)
    if not rows:
        sys.exit(f"nothing is known of {key}")
    show_table(("service", "old row", "id here", "fate"), rows)


def _run(
    work: Callable[[], Coroutine[Any, Any, ResultT]],
    *,
    acts: str | None = None,
    target: str | None = None,
    first: Callable[[], object] = lambda: None,
) -> ResultT:
    """What `work` gives. A command that `acts` is noted before, once `first` and the address have been looked at."""
    import psycopg
    from pymongo.errors import PyMongoError

    from kelmah.cli.legacy.plan import LegacyError, url_of
    from kelmah.legacy.layout import LayoutError

    logging.configure("legacy", level="WARNING", human=True)
    started = time.monotonic()
    try:
        first()
        if acts is not None:
            url_of(found_environment())
            act(acts, *services.NAMES, target=target)
        result = asyncio.run(work())
    except (LegacyError, LayoutError, SettingsError) as error:
        sys.exit(str(error))
    except (psycopg.OperationalError, PyMongoError) as error:
        # It is away, or its disk is full. Each step is a transaction, so nothing is half done.
        sys.exit(f"a database failed ({type(error).__name__}): run this again, and it goes on from here")
    Console(stderr=True).print(f"took {time.monotonic() - started:.1f} s", style="dim")
    return result
