"""Compares the old database with what was made of it: counts, sums, and the checksum of every row, or of a sample.

Old rows are read and cleaned once more, the documents are turned back into the same shape, and the two must be equal.
What people changed on the platform since is told apart by its events; it is no difference.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from kelmah.cli.legacy.plan import SIDES, Work
from kelmah.kit.events import EVENTS
from kelmah.legacy.commit import digest
from kelmah.legacy.database import connect
from kelmah.legacy.entities import LEFT_TABLES
from kelmah.legacy.entities.messages import OldMessage
from kelmah.legacy.entities.money import OldEscrow, OldTransaction, OldWallet
from kelmah.legacy.entity import Entity, Group, count, walk
from kelmah.legacy.journal import Journal
from kelmah.legacy.reading import LeftBehind, Unmappable
from kelmah.services.payment import service as payment
from kelmah.services.payment.documents.escrows import HOLDING

#: What a thing's events are filed under, where it has some.
_SUBJECTS: dict[str, str] = {
    "people": "user",
    "profiles": "user",
    "jobs": "job",
    "applications": "application",
    "contracts": "contract",
    "escrows": "escrow",
    "conversations": "conversation",
    "messages": "conversation",
    "reviews": "review",
}
_MAX_EXAMPLES = 5


@dataclass
class Line:
    """What was found of one entity. `differences` are those that must not be."""

    entity: str
    rows: int = 0
    moved: int = 0
    refused: int = 0
    left: int = 0
    checked: int = 0
    since: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    sums: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def differ(self, kind: str, what: str) -> None:
        self.differences[kind] += 1
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(f"{kind}: {what}")


@dataclass
class Report:
    """All entities, child tables by their counts alone, and the faults of the ledger."""

    lines: list[Line]
    tables: dict[str, tuple[int, Counter[str]]]
    ledger_faults: int

    @property
    def is_clean(self) -> bool:
        return not self.ledger_faults and not any(one.differences for one in self.lines)


async def verify(
    work: Work,
    entities: Sequence[Entity[Any]],
    *,
    sample: float = 1.0,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> Report:
    """Compare these entities; `sample` is the share of rows whose checksums are compared."""
    report = Report([], {}, 0)
    for entity in entities:
        connection = await connect(work.url, autocommit=True)
        async with connection:
            total = (await count(connection, work.layout, [entity.root.table]))[entity.root.table]
            line = Line(entity.name)
            async with aclosing(walk(connection, work.layout, entity, size=500)) as batches:
                async for groups in batches:
                    await _compare(work, entity, groups, line, sample)
                    tell(entity.name, line.rows, total)
            for currency, (old, new) in line.sums.items():
                if old != new:
                    line.differ("sum", f"{currency}: {old} there, {new} here")
            report.lines.append(line)
            await _count_children(work, entity, connection, report, line)
    connection = await connect(work.url, autocommit=True)
    async with connection:
        for table, rows in (await count(connection, work.layout, LEFT_TABLES)).items():
            report.tables[table] = rows, Counter(left=rows)
    report.ledger_faults = len((await payment.verify_ledger(work.contexts["payment"])).faults)
    return report


async def _compare(work: Work, entity: Entity[Any], groups: Sequence[Group], line: Line, sample: float) -> None:
    context, table = work.contexts[entity.service], entity.root.table
    journal = Journal(context.mongo)
    keys = [group.key for group in groups]
    fates, digests = await journal.fates(table, keys), await journal.digests(table, keys)
    line.rows += len(groups)
    line.refused += sum(fate == "refused" for fate in fates.values())
    line.left += sum(fate == "left" for fate in fates.values())
    moved = [group for group in groups if fates.get(group.key) == "moved"]
    line.moved += len(moved)
    for group in groups:
        if group.key not in fates:
            line.differ("not moved", f"{table}/{group.key}")
    looked = [group for group in moved if zlib.crc32(group.key.encode()) < sample * 2**32]
    line.checked += len(looked)
    here = await SIDES[entity.name].as_old(context, [group.new_id for group in looked])
    for group in looked:
        name, new = f"{table}/{group.key}", here.get(group.new_id)
        try:
            old = entity.make(group)
        except (Unmappable, LeftBehind):
            line.differ("changed there", name)
            continue
        if digest(old) != digests[group.key]:
            line.differ("changed there", name)
        if new is None:
            line.differ("not here", name)
            continue
        _add(line, old, new)
        if digest(new) != digests[group.key]:
            if await _was_changed(context, entity, new):
                line.since += 1
            else:
                line.differ("differs here", name)


def _add(line: Line, old: Any, new: Any) -> None:
    """Add to the sums, in minor units, of what the two sides say."""
    if isinstance(old, OldWallet):
        line.sums[old.currency][0] += old.balance
        line.sums[new.currency][1] += new.balance
    elif isinstance(old, OldTransaction) or (isinstance(old, OldEscrow) and old.status in HOLDING):
        line.sums[old.currency][0] += old.amount
        line.sums[new.currency][1] += new.amount


async def _was_changed(context: Any, entity: Entity[Any], record: Any) -> bool:
    """Whether events tell of a change on the platform, or the thing itself does."""
    if isinstance(record, OldMessage) and (record.edited_at or record.deleted_at):
        return True
    kind = _SUBJECTS.get(entity.name)
    if kind is None:
        return False
    thing = getattr(record, "conversation_id", record.id) if kind == "conversation" else record.id
    found = await context.mongo.collection(EVENTS).find_one({"subject": f"{kind}:{thing}"}, {"_id": 1})
    return found is not None


async def _count_children(work: Work, entity: Entity[Any], connection: Any, report: Report, line: Line) -> None:
    """Each row of a child must have a fate, too."""
    fates = await Journal(work.contexts[entity.service].mongo).count()
    rows = await count(connection, work.layout, [part.table for part in entity.children])
    for table, there in rows.items():
        found = fates.get(table, Counter())
        report.tables[table] = there, found
        if sum(found.values()) != there:
            line.differ("not moved", f"{table}: {there} rows there, {sum(found.values())} looked at")
