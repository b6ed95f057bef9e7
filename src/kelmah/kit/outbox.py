"""The relay's side of a service's events: what is not published yet, in order, and who may publish it."""

from collections.abc import Collection
from datetime import datetime

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

    async def pending(self, *, limit: int) -> list[list[Envelope]]:
        """Up to `limit` sealed and unpublished events by position: one list a subject, in its order."""
        rows = self._events.find({"pending": True, "position": {"$gt": 0}}).sort("position", ASCENDING).limit(limit)
        runs: dict[str, list[Envelope]] = {}
        async for row in rows:
            runs.setdefault(row["subject"], []).append(from_document(row))
        return list(runs.values())

    async def oldest(self) -> datetime | None:
        """When the oldest unpublished event happened."""
        row = await self._events.find_one({"pending": True}, {"time": 1}, sort=[("_id", ASCENDING)])
        return row["time"] if row else None

    async def published(self, event_ids: Collection[str]) -> None:
        """Remember that these were confirmed by the broker."""
        if event_ids:
            await self._events.update_many({"_id": {"$in": list(event_ids)}}, {"$unset": {"pending": ""}})


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
