"""Counts in Redis how often each type of event happened, so that whoever keeps a copy of an answer knows it is old."""

from collections.abc import Collection
from typing import Any

from redis.asyncio import Redis

from kelmah.kit.redis import key

#: Seconds that a count is kept after the last event; longer than any copy is.
KEPT_S = 172_800


def count_key(prefix: str, event_type: str) -> str:
    """Where the count of a type is."""
    return key(prefix, "happened", event_type)


async def note(redis: Redis, prefix: str, event_types: Collection[str]) -> None:
    """Events of these types happened."""
    async with redis.pipeline(transaction=False) as pipeline:
        for event_type in event_types:
            queued: Any = pipeline
            queued.incr(count_key(prefix, event_type))
            queued.expire(count_key(prefix, event_type), KEPT_S)
        await pipeline.execute()
