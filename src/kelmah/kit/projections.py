"""Projections: what a service keeps although it follows from events, or from documents of its own.

`differences` makes one anew beside the kept one, in a collection that is dropped afterwards, and walks both in the
order of their keys; so its size is bounded by neither memory nor the number of events. What happens meanwhile may show
as a difference: who asks should look twice before believing one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from pymongo import ASCENDING, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from kelmah.contracts.common import Event
from kelmah.contracts.events import Envelope, decode
from kelmah.kit.events import EventStore
from kelmah.kit.mongo import Mongo, RawDocument

Row = Mapping[str, Any]
_BATCH = 1000


class Change(NamedTuple):
    """A step in making a row anew: an update of MongoDB, applied to what the steps before it made."""

    key: str
    update: Row | Sequence[Row]


class Difference(NamedTuple):
    """A row that is not what it should be; None where there is, or should be, none."""

    key: str
    due: Row | None
    found: Row | None


class Tell(NamedTuple):
    """How far the reading of events came."""

    done: int
    total: int


class History:
    """The events of all services. `tell` hears how far one is."""

    def __init__(self, stores: Mapping[str, EventStore], *, tell: Callable[[Tell], None] = lambda _: None) -> None:
        self._stores = stores
        self._tell = tell

    async def of(self, *types: type[Event]) -> AsyncIterator[tuple[Envelope, Any]]:
        """All events of these types, service by service, each as it happened."""
        by_service: dict[str, list[str]] = {}
        for one in types:
            by_service.setdefault(one.TYPE.partition(".")[0], []).append(one.TYPE)
        total = sum([await self._stores[name].count(found) for name, found in by_service.items()])
        done = 0
        for name, found in by_service.items():
            async for event in self._stores[name].find(types=found):
                yield event.envelope, decode(event.envelope)
                done += 1
                if done % _BATCH == 0:
                    self._tell(Tell(done, total))
        self._tell(Tell(done, total))


@dataclass(frozen=True, kw_only=True)
class Projection:
    """How one projection is made anew, read and mended. Its `name` is `<service>.<nouns>`."""

    name: str
    changes: Callable[[History], AsyncIterator[Change]]
    stored: Callable[[], AsyncIterator[tuple[str, Row]]]
    write: Callable[[Difference], Awaitable[bool]]
    #: What a row without any change is; such rows are only parts of documents, and are never made or removed.
    empty: Row | None = None


def projection(
    name: str,
    changes: Callable[[History], AsyncIterator[Change]],
    *,
    of: AsyncCollection[RawDocument],
    fields: Sequence[str],
    empty: Row | None = None,
) -> Projection:
    """A projection that is these fields of the documents of a collection."""

    async def stored() -> AsyncIterator[tuple[str, Row]]:
        async for row in of.find({}, dict.fromkeys(("_id", *fields), 1)).sort("_id", ASCENDING):
            yield row["_id"], {field: row.get(field, (empty or {}).get(field)) for field in fields}

    async def write(difference: Difference) -> bool:
        key, due, found = difference
        if found is None:
            made = await of.update_one({"_id": key}, {"$setOnInsert": {"_id": key, **(due or {})}}, upsert=True)
            return made.upserted_id is not None
        if due is None and empty is None:
            return (await of.delete_one({"_id": key, **found})).deleted_count == 1
        return (await of.update_one({"_id": key, **found}, {"$set": due or empty})).modified_count == 1

    return Projection(name=name, changes=changes, stored=stored, write=write, empty=empty)


async def differences(mongo: Mongo, projection: Projection, history: History) -> AsyncIterator[Difference]:
    """Each row that is not what it would be if it were made anew, in the order of the keys."""
    anew = mongo.collection(f"rebuild.{projection.name}")
    await anew.drop()
    try:
        await _make(anew, projection.changes(history))
        async for difference in _walk(projection, _rows(anew)):
            yield difference
    finally:
        await anew.drop()


async def _make(anew: AsyncCollection[RawDocument], changes: AsyncIterator[Change]) -> None:
    batch: list[UpdateOne] = []
    async for change in changes:
        batch.append(UpdateOne({"_id": change.key}, change.update, upsert=True))
        if len(batch) == _BATCH:
            await anew.bulk_write(batch)
            batch.clear()
    if batch:
        await anew.bulk_write(batch)


async def _rows(anew: AsyncCollection[RawDocument]) -> AsyncIterator[tuple[str, Row]]:
    async for row in anew.find().sort("_id", ASCENDING):
        yield row.pop("_id"), row


async def _walk(projection: Projection, due: AsyncIterator[tuple[str, Row]]) -> AsyncIterator[Difference]:
    stored = projection.stored()
    one, other = await anext(due, None), await anext(stored, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None  # noqa: S101  # one of them is there
            if projection.empty is None:
                yield Difference(one[0], one[1], None)
            one = await anext(due, None)
        elif one is None or other[0] < one[0]:
            if other[1] != projection.empty:
                yield Difference(other[0], None, other[1])
            other = await anext(stored, None)
        else:
            wanted = {field: one[1].get(field, (projection.empty or {}).get(field)) for field in other[1]}
            if wanted != other[1]:
                yield Difference(one[0], wanted, other[1])
            one, other = await anext(due, None), await anext(stored, None)


def show(row: Row | None) -> str:
    """A row as an operator reads it."""
    return "nothing" if row is None else msgspec.json.encode(row, enc_hook=str, order="sorted").decode()
