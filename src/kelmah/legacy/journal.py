"""The journal of the move: what became of each old row, written in the transaction that moved it.

It makes the move resumable (what is in it as moved is not moved again), traces ids both ways, and is the report of
what could not be moved. Each service's database has the part of its own rows.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import msgspec
from pymongo import ASCENDING, IndexModel, ReplaceOne, UpdateOne

from kelmah.kit import clock
from kelmah.kit.mongo import Mongo, RawDocument, session
from kelmah.legacy.entity import Outcome

JOURNAL, TRIAL = "legacy_rows", "legacy_trial"
_BATCH = 1_000


class Journal:
    """The rows of one service's database that came from the old one, or did not."""

    def __init__(self, mongo: Mongo, name: str = JOURNAL) -> None:
        self._rows = mongo.collection(name)

    async def prepare(self) -> None:
        """Make its indexes."""
        await self._rows.create_indexes(
            [
                IndexModel([("table", ASCENDING), ("fate", ASCENDING)], name="table_fate"),
                IndexModel([("to", ASCENDING)], name="to", partialFilterExpression={"to": {"$type": "string"}}),
                IndexModel([("claims", ASCENDING)], name="claims", sparse=True),
            ]
        )

    async def fates(self, table: str, keys: Collection[str]) -> dict[str, str]:
        """What became of those of these rows that were looked at before."""
        wanted = {"_id": {"$in": [f"{table}/{key}" for key in keys]}}
        found = self._rows.find(wanted, {"fate": 1}, session=session())
        return {row["_id"].removeprefix(f"{table}/"): row["fate"] async for row in found}

    async def digests(self, table: str, keys: Collection[str]) -> dict[str, str]:
        """The digests of rows that were moved."""
        wanted = {"_id": {"$in": [f"{table}/{key}" for key in keys]}, "fate": "moved"}
        found = self._rows.find(wanted, {"digest": 1}, session=session())
        return {row["_id"].removeprefix(f"{table}/"): row["digest"] async for row in found}

    async def write(self, outcomes: Sequence[Outcome], digests: Mapping[str, str]) -> None:
        """Note outcomes in the open transaction; `digests` are those of moved roots, by their key."""
        now = clock.now()
        rows: dict[str, RawDocument] = {}
        for one in outcomes:
            row: RawDocument = {"_id": f"{one.table}/{one.key}", **msgspec.to_builtins(one), "at": now}
            del row["key"]
            row["digest"] = digests.get(one.key) if one.fate == "moved" else None
            rows[row["_id"]] = row
        # Nearly all are new, and an insert costs a fraction of an upsert.
        found = self._rows.find({"_id": {"$in": list(rows)}}, {"_id": 1}, session=session())
        there = {row["_id"] async for row in found}
        if changes := [ReplaceOne({"_id": key}, rows[key]) for key in there]:
            await self._rows.bulk_write(changes, ordered=False, session=session())
        if fresh := [row for key, row in rows.items() if key not in there]:
            await self._rows.insert_many(fresh, ordered=False, session=session())

    async def claim(self, table: str, claims: Mapping[str, Collection[str]]) -> None:
        """Note of a trial what roots would have claimed, by their keys."""
        changes: list[UpdateOne] = [
            UpdateOne({"_id": f"{table}/{key}"}, {"$set": {"claims": list(several)}})
            for key, several in claims.items()
            if several
        ]
        if changes:
            await self._rows.bulk_write(changes, ordered=False)

    async def claimed(self, claims: Collection[str]) -> set[str]:
        """Those of these claims that roots before would have."""
        found = self._rows.find({"claims": {"$in": list(claims)}}, {"claims": 1})
        return {one async for row in found for one in row["claims"]}.intersection(claims)

    async def count(self) -> dict[str, Counter[str]]:
        """How many rows of each table had which fate."""
        cursor = await self._rows.aggregate(
            [{"$group": {"_id": {"table": "$table", "fate": "$fate"}, "count": {"$sum": 1}}}]
        )
        found: dict[str, Counter[str]] = {}
        async for row in cursor:
            found.setdefault(row["_id"]["table"], Counter())[row["_id"]["fate"]] = row["count"]
        return found

    async def moved(self, table: str) -> AsyncIterator[tuple[str, str]]:
        """Old key and id here of every moved row."""
        async for row in self._rows.find({"table": table, "fate": "moved"}, {"to": 1}).sort("_id").batch_size(_BATCH):
            yield row["_id"].removeprefix(f"{table}/"), row["to"]

    async def refused(self) -> AsyncIterator[RawDocument]:
        """What was refused, left, or moved with something missing, by table."""
        wanted = {"$or": [{"fate": {"$ne": "moved"}}, {"remarks.0": {"$exists": True}}]}
        # A server sends up to 16 MB at once unless it is told otherwise.
        async for row in self._rows.find(wanted).sort("_id").batch_size(_BATCH):
            yield row

    async def trace(self, service: str, key: str) -> list[tuple[str, str, str, str]]:
        """Old rows that are called so, or that became the thing with this id: service, old row, id here, fate."""
        found = self._rows.find({"$or": [{"_id": key}, {"to": key}]}).sort("_id")
        return [(service, row["_id"], row["to"] or "", row["fate"]) async for row in found]

    async def drop(self) -> None:
        await self._rows.drop()
