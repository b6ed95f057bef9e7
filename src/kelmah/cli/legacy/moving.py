"""The move: reads old rows in batches and gives each batch to its service, in one transaction with the journal.

What the journal has as moved is passed over, so the command can be killed at any time and run again. What was
refused is looked at anew each time: whoever mends old rows runs it again.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psycopg
import structlog

from kelmah.cli.legacy.plan import SIDES, LegacyError, Work
from kelmah.legacy.commit import commit
from kelmah.legacy.database import connect
from kelmah.legacy.entity import Entity, Group, Outcome, Record, count, orphans, walk
from kelmah.legacy.journal import TRIAL, Journal
from kelmah.legacy.reading import LeftBehind, Unmappable
from kelmah.legacy.twins import Claims, refusal

log = structlog.get_logger(__name__)

#: Told after each batch: the entity, roots done, roots in all.
Tell = Callable[[str, int, int], None]
#: A connection to the old database that breaks is made anew so often, after a growing pause.
RECONNECTS = 5


class Mover:
    """One run. `tally` counts, by entity, roots that were moved, refused, left, or there before."""

    def __init__(self, work: Work, *, dry_run: bool = False, tell: Tell = lambda *_: None) -> None:
        self._work = work
        self._dry_run = dry_run
        self._tell = tell
        self.tally: dict[str, Counter[str]] = {}

    def journal(self, service: str, *, trial: bool = False) -> Journal:
        mongo = self._work.contexts[service].mongo
        return Journal(mongo, TRIAL) if trial else Journal(mongo)

    async def run(self, entities: Sequence[Entity[Any]]) -> None:
        """Move the entities.

        Raises:
            LegacyError: the old database is gone for good.
        """
        for service in SERVICES:
            trial = self.journal(service, trial=True)
            await trial.drop()
            if self._dry_run:
                await trial.prepare()
            await self.journal(service).prepare()
        for entity in entities:
            self.tally[entity.name] = Counter()
            for attempt in range(RECONNECTS + 1):
                try:
                    await self._move_entity(entity)
                    break
                except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                    if attempt == RECONNECTS:
                        raise LegacyError(
                            f"the old database does not answer ({type(error).__name__}): run this again, "
                            "and it goes on from here"
                        ) from error
                    log.warning("legacy.connection_lost", entity=entity.name, error=type(error).__name__)
                    await asyncio.sleep(0.5 * 2**attempt)

    async def _move_entity(self, entity: Entity[Any]) -> None:
        table, done = entity.root.table, 0
        connection = await connect(self._work.url, autocommit=True)
        async with connection:
            total = (await count(connection, self._work.layout, [table]))[table]
            self._tell(entity.name, 0, total)
            async with aclosing(walk(connection, self._work.layout, entity, size=entity.batch)) as batches:
                async for groups in batches:
                    await self.move(entity, groups)
                    done += len(groups)
                    self._tell(entity.name, done, total)
            await self._note_orphans(connection, entity)

    async def move(self, entity: Entity[Any], groups: Sequence[Group]) -> None:
        """Move one batch."""
        journal = self.journal(entity.service)
        fates = await journal.fates(entity.root.table, [one.key for one in groups])
        fresh = [one for one in groups if fates.get(one.key) != "moved"]
        tally = self.tally.setdefault(entity.name, Counter())
        tally["before"] += len(groups) - len(fresh)
        if not fresh:
            return
        records, outcomes = await self._read(entity, fresh)
        await self._store(entity, records, outcomes)

    async def _read(
        self, entity: Entity[Any], groups: Sequence[Group]
    ) -> tuple[list[tuple[Group, Record]], list[Outcome]]:
        records: list[tuple[Group, Record]] = []
        outcomes: list[Outcome] = []
        missing = await self._missing(entity, groups)
        for group in groups:
            try:
                if group.key in missing:
                    raise missing[group.key]
                records.append((group, entity.make(group)))
            except Unmappable as error:
                outcomes += group.outcomes("refused", str(error))
            except LeftBehind as rule:
                outcomes += group.outcomes("left", str(rule))
        return records, outcomes

    async def _missing(self, entity: Entity[Any], groups: Sequence[Group]) -> dict[str, Unmappable | LeftBehind]:
        """By root, why something that it refers to is not there."""
        missing: dict[str, Unmappable | LeftBehind] = {}
        for reference in entity.references:
            wanted: dict[str, list[Group]] = {}
            for group in groups:
                value = group.row[reference.column]
                if isinstance(value, str):
                    wanted.setdefault(value, []).append(group)
            fates = await self.journal(reference.service).fates(reference.table, list(wanted))
            if self._dry_run:
                trial = self.journal(reference.service, trial=True)
                fates |= await trial.fates(reference.table, list(wanted))
            for key, several in wanted.items():
                fate = fates.get(key)
                if fate == "moved" or (fate == "left" and not reference.strict):
                    continue
                why = "was not moved" if fate else "is not there"
                text = f"{entity.root.table}.{reference.column}: its row in {reference.table} {why}"
                for group in several:
                    # What belongs to somebody who left for good stays behind with its owner.
                    kind = LeftBehind if fate == "left" and entity.name in _PERSONAL else Unmappable
                    missing.setdefault(group.key, kind(text))
        return missing

    async def _store(
        self, entity: Entity[Any], records: Sequence[tuple[Group, Record]], outcomes: Sequence[Outcome]
    ) -> None:
        context, side = self._work.contexts[entity.service], SIDES[entity.name]

        async def move(old: Sequence[Any]) -> dict[str, str]:
            return {} if self._dry_run and side.is_plain else await side.move(context, old)

        claims = {}
        if self._dry_run and side.claims is not None:
            claims = {group.key: side.claims(context, record) for group, record in records}
            records, twins = await self._without_twins(entity, records, claims)
            outcomes = [*outcomes, *twins]
        final = await commit(context.mongo, records, outcomes, move, is_trial=self._dry_run)
        if self._dry_run:
            trial = self.journal(entity.service, trial=True)
            await trial.write(final, {})
            moved = {one.key for one in final if one.table == entity.root.table and one.fate == "moved"}
            await trial.claim(entity.root.table, {key: several for key, several in claims.items() if key in moved})
        roots = [one for one in final if one.table == entity.root.table]
        self.tally[entity.name].update(one.fate for one in roots)
        if side.after is not None and not self._dry_run:
            moved = {one.key for one in roots if one.fate == "moved"}
            await side.after(context, [record for group, record in records if group.key in moved])

    async def _without_twins(
        self, entity: Entity[Any], records: Sequence[tuple[Group, Record]], claims: Mapping[str, Claims]
    ) -> tuple[list[tuple[Group, Record]], list[Outcome]]:
        """In a dry run nothing of the batches before is there: leaves out what the real run would have found so."""
        trial = self.journal(entity.service, trial=True)
        taken = await trial.claimed([key for several in claims.values() for key in several])
        fresh: list[tuple[Group, Record]] = []
        refused: list[Outcome] = []
        for group, record in records:
            if reason := refusal(claims[group.key], taken):
                refused += group.outcomes("refused", reason)
            else:
                fresh.append((group, record))
        return fresh, refused

    async def _note_orphans(self, connection: Any, entity: Entity[Any]) -> None:
        journal = self.journal(entity.service, trial=self._dry_run)
        batch: list[Outcome] = []
        async for one in orphans(connection, self._work.layout, entity):
            batch.append(one)
            if len(batch) == entity.batch:
                await journal.write(batch, {})
                batch = []
        await journal.write(batch, {})

    async def report(self, path: Path) -> Counter[str]:
        """Write what was refused, left behind, or moved with something missing, one JSON object a line.

        Raises:
            LegacyError: the file cannot be written.
        """
        counted: Counter[str] = Counter()
        try:
            with path.open("w", encoding="utf-8") as file:
                for service in SERVICES:
                    async for row in self.journal(service, trial=self._dry_run).refused():
                        counted[row["fate"] if row["fate"] != "moved" else "remarks"] += 1
                        said = {"service": service, "row": row["_id"], "fate": row["fate"], "reason": row["reason"]}
                        file.write(json.dumps(said | {"remarks": row["remarks"]}, ensure_ascii=False) + "\n")
        except OSError as error:
            raise LegacyError(
                f"{path}: {error.strerror}. What was moved stays moved: run this again with another --report"
            ) from error
        return counted


#: Entities that are somebody's own: they stay behind with their owner.
_PERSONAL = frozenset({"profiles", "notifications"})
SERVICES = ("auth", "user", "job", "payment", "messaging", "review")
