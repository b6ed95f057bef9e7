"""Seals the events of a service: a place in one order without gaps, and a digest that covers all before it.

The relay seals before it publishes. A sealed event that is changed, moved or removed no longer fits the digests, and
`verify` names it. Whoever may write the whole database could seal it all anew: note heads elsewhere (`Head`) and
compare.
"""

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable
from typing import NamedTuple

import msgspec
from pymongo import ASCENDING, UpdateOne

from kelmah.kit.events import EVENTS, STREAMS
from kelmah.kit.mongo import Mongo, RawDocument, session

CHAIN = "chain"
#: What a digest does not cover: itself, and the note that the event is not published yet.
_NOT_COVERED = ("digest", "pending")


class Head(NamedTuple):
    """The last sealed event: its position, from 1, and its digest (SHA-256, 64 hex digits). Zero and empty at first."""

    position: int
    digest: str


class Fault(NamedTuple):
    """One thing that is wrong with a service's events. `event_id` is empty when no event can be named."""

    position: int
    event_id: str
    what: str


class Tally(NamedTuple):
    """How far `verify` came."""

    events: int
    total: int


class Chain:
    """The order and the digests of one service's events."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._events = mongo.collection(EVENTS)
        self._chain = mongo.collection(CHAIN)

    async def head(self) -> Head:
        row = await self._chain.find_one({"_id": "head"}, session=session())
        return Head(row["position"], row["digest"]) if row else Head(0, "")

    async def seal(self, types: Collection[str], *, limit: int) -> int:
        """Seal up to `limit` events of these types, the oldest first; returns how many.

        One transaction, which also writes the head: of two relays that seal at once one begins again. Within a
        subject the order is that of its sequence, without gaps: an event waits while an earlier one cannot be sealed,
        because its type is not asked for or its id sorts later (another machine's clock runs ahead).
        """

        async def body() -> int:
            head = await self.head()
            rows = await self._next(types, limit)
            if not rows:
                return 0
            writes = []
            for row in rows:
                position = head.position + 1
                head = Head(position, digest(head.digest, row | {"position": position}))
                writes.append(UpdateOne({"_id": row["_id"]}, {"$set": {"position": position, "digest": head.digest}}))
            await self._events.bulk_write(writes, session=session())
            await self._chain.update_one(
                {"_id": "head"}, {"$set": {"position": head.position, "digest": head.digest}},
                upsert=True, session=session(),
            )  # fmt: skip
            return len(rows)

        return await self._mongo.transact(body)

    async def _next(self, types: Collection[str], limit: int) -> list[RawDocument]:
        query = {"pending": True, "position": None, "type": {"$in": list(types)}}
        found = self._events.find(query, session=session()).sort("_id", ASCENDING).limit(limit)
        runs: dict[str, list[RawDocument]] = {}
        order: list[str] = []
        async for row in found:
            order.append(row["subject"])  # two things at once
            runs.setdefault(row["subject"], []).append(row)
        for run in runs.values():
            run.sort(key=lambda row: int(row["sequence"]))
        waiting = await self._with_unsealed_predecessor(run[0] for run in runs.values())
        ready = {subject: iter(_without_gaps(run)) for subject, run in runs.items() if subject not in waiting}
        # Each subject keeps the places that its events have among those of others.
        return [row for subject in order if subject in ready for row in [next(ready[subject], None)] if row]

    async def _with_unsealed_predecessor(self, firsts: Iterable[RawDocument]) -> set[str]:
        before = [{"subject": row["subject"], "sequence": row["sequence"] - 1} for row in firsts if row["sequence"] > 1]
        if not before:
            return set()
        query = {"$or": before, "pending": True, "position": None}
        return {row["subject"] async for row in self._events.find(query, {"subject": 1}, session=session())}

    async def verify(self) -> AsyncIterator[Fault | Tally]:
        """Check every digest, position and sequence; yields each fault, and how far it came every thousand events."""
        total = await self._events.count_documents({"position": {"$gt": 0}})
        last, seen = Head(0, ""), 0
        doubted: RawDocument | None = None  # changed, or only its digest was: the next event tells
        async for row in self._events.find({"position": {"$gt": 0}}).sort("position", ASCENDING):
            due = digest(last.digest, row)
            if row["position"] != last.position + 1:
                yield Fault(last.position + 1, "", f"missing up to position {row['position'] - 1}")
                due = row["digest"]  # it covers what is gone
            elif doubted is not None and due != row["digest"]:
                due = digest(doubted["due"], row)
            doubted = None
            if due != row["digest"]:
                yield Fault(row["position"], row["_id"], "was changed after it was sealed")
                doubted = row | {"due": due}
            last, seen = Head(row["position"], row["digest"]), seen + 1
            if seen % 1000 == 0:
                yield Tally(seen, total)
        async for fault in self._verify_ends(last, doubted):
            yield fault
        yield Tally(seen, total)

    async def _verify_ends(self, last: Head, doubted: RawDocument | None) -> AsyncIterator[Fault]:
        head = await self.head()
        if head.position > last.position:
            later = await self._events.find_one({"position": {"$gt": last.position}})
            if later is None:
                yield Fault(last.position + 1, "", f"missing up to position {head.position}")
        elif head.position < last.position or (head != last and doubted is None):
            yield Fault(head.position, "", "the head of the chain is not its last event")
        async for fault in self._verify_sequences():
            yield fault

    async def _verify_sequences(self) -> AsyncIterator[Fault]:
        groups = await self._events.aggregate(
            [
                {"$sort": {"subject": 1, "sequence": 1}},
                {"$group": {"_id": "$subject", "count": {"$sum": 1}, "highest": {"$max": "$sequence"}}},
                {"$lookup": {"from": STREAMS, "localField": "_id", "foreignField": "_id", "as": "stream"}},
                {"$match": {"$expr": {"$or": [
                    {"$ne": ["$count", "$highest"]},
                    {"$lt": [{"$ifNull": [{"$first": "$stream.sequence"}, 0]}, "$highest"]},
                ]}}},
            ],
            allowDiskUse=True,
        )  # fmt: skip
        async for group in groups:
            yield Fault(0, "", f"{group['_id']} has {group['count']} events and ends at sequence {group['highest']}")

    async def at(self, position: int) -> Head | None:
        """The digest at a position, to compare with one that was noted elsewhere."""
        row = await self._events.find_one({"position": position}, {"digest": 1})
        return Head(position, row["digest"]) if row else None


def digest(before: str, row: RawDocument) -> str:
    """SHA-256 over the digest before and every field of a stored event, as JSON with sorted names."""
    covered = {name: value for name, value in row.items() if name not in _NOT_COVERED}
    text = msgspec.json.encode(covered, order="sorted", enc_hook=repr)
    return hashlib.sha256(before.encode() + b"\n" + text).hexdigest()


def _without_gaps(run: list[RawDocument]) -> list[RawDocument]:
    first = run[0]["sequence"]
    return [row for place, row in enumerate(run) if row["sequence"] == first + place]
