"""Writes what happened on the platform since the move back to the old database, until the cut-over is confirmed.

Events tell which things changed, or the things themselves where no event does; each is then written as it is now. So a
run that was cut short, or one more run, ends in the same rows, and what is so already is not written again. Money
follows the ledger: every movement of a wallet becomes a transaction there, and the balance is that of the ledger.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg import AsyncConnection

from kelmah.cli.legacy.plan import SIDES, LegacyError, Work
from kelmah.kit import clock
from kelmah.kit.events import EVENTS
from kelmah.legacy.belongings import Belongings
from kelmah.legacy.database import Row, connect
from kelmah.legacy.entities import ENTITIES
from kelmah.legacy.entities.money import transaction_rows, wallet_rows
from kelmah.legacy.entities.profiles import OldProfile
from kelmah.legacy.journal import Journal
from kelmah.legacy.reading import old_uuid
from kelmah.legacy.writing import put
from kelmah.services.messaging.documents import legacy as messaging
from kelmah.services.payment.service import importing as payment
from kelmah.services.review.documents import legacy as review

STATE = "legacy_state"
#: Events and entries that committed late are seen by the next run: it begins that long before the last one ended.
OVERLAP = timedelta(minutes=10)
_BATCH = 200
#: What an event's subject starts with, by service → the entity.
_SUBJECTS = {
    ("auth", "user"): "people",
    ("user", "user"): "profiles",
    ("job", "job"): "jobs",
    ("job", "application"): "applications",
    ("job", "contract"): "contracts",
    ("payment", "escrow"): "escrows",
    ("review", "review"): "reviews",
}
Since = Callable[[datetime], AsyncIterator[str]]
#: Of what no event tells: who knows which of these changed since.
_SINCE: Mapping[str, Since] = {
    "conversations": messaging.conversations_since,
    "messages": messaging.messages_since,
    "notifications": messaging.notifications_since,
    "reviews": review.replied_since,
}


class Written(NamedTuple):
    """How many rows of each table were inserted, updated or kept; and those that the old database refused."""

    tables: dict[str, Counter[str]]
    faults: list[str]


class _Undo(Exception):
    """Rolls a dry run back."""


async def confirm(work: Work) -> datetime:
    """Say that the old database is left for good: nothing is written back from now on. Gives since when."""
    state = work.contexts["auth"].mongo.collection(STATE)
    await state.update_one({"_id": "cutover"}, {"$setOnInsert": {"confirmed_at": clock.now()}}, upsert=True)
    return (await confirmed_at(work)) or clock.now()


async def confirmed_at(work: Work) -> datetime | None:
    """When the cut-over was confirmed."""
    row = await work.contexts["auth"].mongo.collection(STATE).find_one({"_id": "cutover"})
    return row["confirmed_at"] if row else None


async def write_back(work: Work, *, dry_run: bool = False) -> Written:
    """Write back what changed since the last run.

    Raises:
        LegacyError: the cut-over was confirmed, or the old database is gone.
    """
    if (since := await confirmed_at(work)) is not None:
        raise LegacyError(f"the cut-over was confirmed at {since:%Y-%m-%d %H:%M} UTC: nothing is written back any more")
    written = Written({}, [])
    try:
        connection = await connect(work.url)
        async with connection:
            for (service, kind), entity in _SUBJECTS.items():
                told = partial(_told_of, work.contexts[service], kind)
                await _write_entity(work, connection, written, entity, told, mark=entity, dry_run=dry_run)
            await _write_money(work, connection, written, dry_run=dry_run)
            for entity, changed in _SINCE.items():
                mark = f"{entity} by themselves"
                await _write_entity(work, connection, written, entity, changed, mark=mark, dry_run=dry_run)
    except psycopg.OperationalError as error:
        raise LegacyError(f"the old database does not answer ({type(error).__name__}): run this again") from error
    return written


async def _write_entity(
    work: Work,
    connection: AsyncConnection[Row],
    written: Written,
    name: str,
    changed: Since,
    *,
    mark: str,
    dry_run: bool,
) -> None:
    entity = next(one for one in ENTITIES if one.name == name)
    context = work.contexts[entity.service]
    started, since = clock.now(), await _since(context, mark)
    belongings = Belongings(connection, work.layout, Journal(context.mongo))
    async for ids in _batches(changed(since)):
        found = await SIDES[name].as_old(context, ids)
        rows = [row for one in found.values() for row in (entity.rows(one) if entity.rows else ())]
        rows += [row for one in ids if one not in found for row in _gone(name, one)]
        profiles = list(found.values()) if name == "profiles" else []
        await _write(work, connection, written, rows, [(one, belongings) for one in profiles], dry_run=dry_run)
    if not dry_run:
        await _remember(context, mark, started)


async def _told_of(context: Any, kind: str, since: datetime) -> AsyncIterator[str]:
    """Ids of things that events tell of."""
    query = {"time": {"$gte": since}, "subject": {"$gte": f"{kind}:", "$lt": f"{kind};"}}
    async for row in context.mongo.collection(EVENTS).find(query, {"subject": 1}).sort("_id"):
        yield row["subject"].partition(":")[2]


async def _batches(ids: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Each id once a batch."""
    batch: dict[str, None] = {}
    async for one in ids:
        batch[one] = None
        if len(batch) == _BATCH:
            yield list(batch)
            batch = {}
    if batch:
        yield list(batch)


def _gone(name: str, thing_id: str) -> list[tuple[str, Row]]:
    """What the old database is to say of a thing that was deleted here."""
    try:
        key = old_uuid(thing_id)
    except ValueError:
        return []
    if name == "people":
        nobody = {"first_name": None, "last_name": None, "phone": None, "email": f"deleted-{key}@invalid.example"}
        return [("users", {"id": key, "status": "deleted", **nobody})]
    return []


async def _write_money(work: Work, connection: AsyncConnection[Row], written: Written, *, dry_run: bool) -> None:
    context = work.contexts["payment"]
    started = clock.now()
    async for wallets, transactions in payment.movements(context, await _since(context, "money"), limit=_BATCH):
        rows = [row for one in wallets for row in wallet_rows(one)]
        rows += [row for one in transactions for row in transaction_rows(one)]
        await _write(work, connection, written, rows, dry_run=dry_run)
    if not dry_run:
        await _remember(context, "money", started)


async def _write(
    work: Work,
    connection: AsyncConnection[Row],
    written: Written,
    rows: Sequence[tuple[str, Row]],
    profiles: Sequence[tuple[OldProfile, Belongings]] = (),
    *,
    dry_run: bool,
) -> None:
    """Write rows in one transaction; one that is refused is told of, and the others are written."""

    def note(table: str, how: str) -> None:
        written.tables.setdefault(table, Counter())[how] += 1

    try:
        async with connection.transaction():
            for table, row in rows:
                with _refused(written, f"{table}/{row.get('id') or row.get('user_id')}"):
                    async with connection.transaction():
                        how = await put(connection, work.layout, table, row)
                    note(table, how)
            for profile, belongings in profiles:
                with _refused(written, f"profiles/{old_uuid(profile.id)}"):
                    async with connection.transaction():
                        done = [one async for one in belongings.write(profile)]
                    for table, how in done:
                        note(table, how)
            if dry_run:
                raise _Undo
    except _Undo:
        return


@contextmanager
def _refused(written: Written, name: str) -> Iterator[None]:
    """Tell of what the old database does not take."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError) as error:
        written.faults.append(f"{name}: {type(error).__name__}")


async def _since(context: Any, name: str) -> datetime:
    row = await context.mongo.collection(STATE).find_one({"_id": f"write_back:{name}"})
    return row["until"] - OVERLAP if row else datetime(2000, 1, 1, tzinfo=UTC)


async def _remember(context: Any, name: str, until: datetime) -> None:
    state = context.mongo.collection(STATE)
    await state.update_one({"_id": f"write_back:{name}"}, {"$set": {"until": until}}, upsert=True)
