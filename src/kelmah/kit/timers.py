"""Durable timers: work that is due at an instant, kept in the service's database until it was handed to a worker.

A timer is set in the transaction of the change that calls for it, so it also serves as "after this commits, do …".
The timer loop (`kelmah.workers.timers`) sends what is due to its actor; actors run at least once and are idempotent.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import ASCENDING, IndexModel, ReturnDocument

from kelmah.contracts.common import Contract
from kelmah.kit import clock
from kelmah.kit.context import trace
from kelmah.kit.mongo import Mongo, session

TIMERS = "timers"
INDEXES = {TIMERS: [IndexModel([("due", ASCENDING)], name="due")]}
#: A timer that a loop took but did not finish within this time is taken by another.
LEASE = timedelta(seconds=30)


class Timer(Contract, frozen=True, kw_only=True):
    """A due call of `actor` with `args` (ids and small scalars). `key` is unique within the service.

    The three last tie it to what set it.
    """

    key: str
    actor: str
    args: list[str]
    due: datetime
    attempts: int
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


class Timers:
    """The timers of one service."""

    def __init__(self, mongo: Mongo) -> None:
        self._timers = mongo.collection(TIMERS)

    async def set(
        self, key: str, actor: str, args: Sequence[str], *, due: datetime | None = None, keep: bool = False
    ) -> None:
        """Set or move the timer `key`; due at once when no instant is given. Joins the open transaction.

        With `keep`, one that is set already stays as it is.
        """
        now = trace()
        row = {
            "actor": actor,
            "args": list(args),
            "due": due or clock.now(),
            "attempts": 0,
            "correlation_id": now.correlation_id,
            "causation_id": now.causation_id,
            "traceparent": now.traceparent,
        }
        if keep:
            await self._timers.update_one({"_id": key}, {"$setOnInsert": row}, upsert=True, session=session())
        else:
            await self._timers.replace_one({"_id": key}, {"_id": key, **row}, upsert=True, session=session())

    async def cancel(self, key: str) -> None:
        """Forget the timer, if it is still there. Joins the open transaction."""
        await self._timers.delete_one({"_id": key}, session=session())

    async def take_due(self) -> Timer | None:
        """Lease the timer that is due longest, so that no other loop takes it for `LEASE`."""
        now = clock.now()
        row = await self._timers.find_one_and_update(
            {"due": {"$lte": now}},
            {"$set": {"due": now + LEASE}, "$inc": {"attempts": 1}},
            sort=[("due", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        if row is None:
            return None
        return Timer(key=row.pop("_id"), **row)

    async def postpone(self, timer: Timer, due: datetime) -> None:
        """Have a taken timer come again at `due`, unless it was set anew meanwhile."""
        await self._timers.update_one({"_id": timer.key, "due": timer.due}, {"$set": {"due": due}})

    async def finish(self, timer: Timer) -> None:
        """Forget a taken timer after its message was confirmed, unless it was set anew meanwhile."""
        await self._timers.delete_one({"_id": timer.key, "due": timer.due})
