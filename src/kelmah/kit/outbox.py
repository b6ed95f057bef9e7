"""The relay's side of a service's events: what is not published yet, in order, and who may publish it."""

from collections.abc import Collection, Iterable

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.events import Envelope
from kelmah.kit.events import EVENTS, from_document
from kelmah.kit.mongo import Mongo

LEASES = "leases"


class Outbox:
    """The unpublished events of one service."""

    def __init__(self, mongo: Mongo) -> None:
        self._events = mongo.collection(EVENTS)

    async def pending(self, types: Collection[str], *, limit: int) -> list[list[Envelope]]:
        """Up to `limit` unpublished events of these types, oldest first: one list a subject, in its order, no gaps.

        A subject is left out while an earlier event of it is unpublished and not in the answer: one of a type that
        is not asked for, or one whose id sorts later because another machine's clock runs ahead.
        """
        rows = self._events.find({"pending": True, "type": {"$in": list(types)}}).sort("_id", ASCENDING).limit(limit)
        runs: dict[str, list[Envelope]] = {}
        async for row in rows:
            runs.setdefault(row["subject"], []).append(from_document(row))
        for run in runs.values():
            run.sort(key=lambda envelope: envelope.sequence)
        waiting = await self._with_pending_predecessor(run[0] for run in runs.values())
        return [_without_gaps(run) for subject, run in runs.items() if subject not in waiting]

    async def _with_pending_predecessor(self, firsts: Iterable[Envelope]) -> set[str]:
        before = [{"subject": one.subject, "sequence": one.sequence - 1} for one in firsts if one.sequence > 1]
        if not before:
            return set()
        found = self._events.find({"$or": before, "pending": True}, {"subject": 1})
        return {row["subject"] async for row in found}

    async def published(self, event_ids: Collection[str]) -> None:
        """Remember that these were confirmed by the broker."""
        if event_ids:
            await self._events.update_many({"_id": {"$in": list(event_ids)}}, {"$unset": {"pending": ""}})


def _without_gaps(run: list[Envelope]) -> list[Envelope]:
    first = run[0].sequence
    return [envelope for place, envelope in enumerate(run) if envelope.sequence == first + place]


class Lease:
    """Lets one of several processes do a thing: whoever holds it, for `ttl_s` seconds after each `hold`.

    It spares work and does not replace a conditional write: a holder that was paused may act after its time.
    """

    def __init__(self, mongo: Mongo, name: str, *, holder: str, ttl_s: float) -> None:
        self._leases = mongo.collection(LEASES)
        self._name = name
        self._holder = holder
        self._ttl_ms = int(ttl_s * 1000)

    async def hold(self) -> bool:
        """Take or renew the lease; returns whether it is ours. The database's clock decides, not the holders'."""
        may_take = {"$or": [{"$eq": ["$holder", self._holder]}, {"$lte": [{"$ifNull": ["$until", None]}, "$$NOW"]}]}
        change = {
            "holder": {"$cond": [may_take, self._holder, "$holder"]},
            "until": {"$cond": [may_take, {"$add": ["$$NOW", self._ttl_ms]}, "$until"]},
        }
        try:
            lease = await self._leases.find_one_and_update(
                {"_id": self._name}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # another process made the document at the same moment
            return False
        return lease is not None and lease["holder"] == self._holder

    async def release(self) -> None:
        """Give the lease back, if it is ours, so that another need not wait for its end."""
        await self._leases.delete_one({"_id": self._name, "holder": self._holder})
