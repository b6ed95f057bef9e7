"""Commits records of one entity together with what the journal says of them: for the move, and for the bridge."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import Mongo
from kelmah.legacy.entity import Group, Outcome
from kelmah.legacy.journal import Journal

#: Makes things of records in the open transaction; gives the reasons of those that cannot be, by id.
Move = Callable[[Sequence[Any]], Awaitable[dict[str, str]]]


class _Undo(Exception):
    """Rolls a trial's transaction back."""


def digest(record: Any) -> str:
    """The checksum of a record, without what use alone changes."""
    return hashlib.sha256(msgspec.json.encode(record.compared(), order="sorted")).hexdigest()


async def commit(
    mongo: Mongo,
    records: Sequence[tuple[Group, Any]],
    outcomes: Sequence[Outcome],
    move: Move,
    *,
    is_trial: bool = False,
) -> list[Outcome]:
    """Move records and write the journal, in one transaction; a trial's is rolled back. Gives all outcomes.

    What was moved meanwhile, by the bridge or by another run, is passed over.
    """
    journal = Journal(mongo)

    async def change() -> list[Outcome]:
        keys = [group.key for group, _ in records]
        fates = await journal.fates(records[0][0].entity.root.table, keys) if records else {}
        fresh = [(group, record) for group, record in records if fates.get(group.key) != "moved"]
        refused = await move([record for _, record in fresh]) if fresh else {}
        final = list(outcomes)
        for group, record in fresh:
            why = refused.get(record.id)
            final += group.outcomes("refused", why) if why else group.outcomes()
        if is_trial:
            raise _Undo(final)
        await journal.write(final, {group.key: digest(record) for group, record in fresh})
        return final

    try:
        return await mongo.transact(change)
    except _Undo as undone:
        final: list[Outcome] = undone.args[0]
        return final
    except DuplicateKeyError:
        # Somebody registered, or wrote, between the look and the commit: the second look sees it.
        return await mongo.transact(change)
