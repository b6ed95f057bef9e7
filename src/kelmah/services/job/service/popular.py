"""What people look for in jobs: the words that several of them typed. Losing them costs a list, and nothing else."""

import hashlib
from collections import Counter
from datetime import timedelta
from typing import Any

import structlog
from redis.exceptions import RedisError

from kelmah.contracts.job import PopularJobSearch
from kelmah.kit import clock
from kelmah.kit.redis import key
from kelmah.services.job.service import words
from kelmah.services.job.service.context import Context

log = structlog.get_logger(__name__)

#: For how long a search counts.
KEPT = timedelta(days=7)
#: People that must have looked for the same words before anybody hears of them: one person's words may name somebody.
MIN_PEOPLE = 5
#: Searches that are kept, a person's same words being one; of more the latest.
MAX_KEPT = 20_000
#: Longer queries are not kept: no two people type them.
MAX_CHARS = 60


async def count(context: Context, q: str, *, by: str) -> None:
    """Count that somebody (`by`: a user id) looked for these words and found jobs."""
    text = " ".join(words.asked_words(q))
    if not text or len(text) > MAX_CHARS:
        return
    now = clock.timestamp()  # finer than `now`, so that of two in one millisecond the later is kept
    kept = _key(context)
    try:
        async with context.redis.pipeline(transaction=False) as pipeline:
            pipeline.zadd(kept, {f"{_somebody(by, text)} {text}": now})  # type: ignore[unused-awaitable]  # queued
            pipeline.zremrangebyscore(kept, 0, now - KEPT.total_seconds())  # type: ignore[unused-awaitable]  # queued
            pipeline.zremrangebyrank(kept, 0, -MAX_KEPT - 1)  # type: ignore[unused-awaitable]  # queued
            pipeline.expire(kept, KEPT)  # type: ignore[unused-awaitable]  # queued
            await pipeline.execute()
    except RedisError as error:
        log.warning("job.popular.not_counted", error=type(error).__name__)


async def get(context: Context, *, limit: int) -> list[PopularJobSearch]:
    """What most people looked for; nothing while Redis does not answer."""
    since = clock.timestamp() - KEPT.total_seconds()
    try:
        rows: Any = await context.redis.zrangebyscore(_key(context), since, "+inf")
    except RedisError as error:
        log.warning("job.popular.unknown", error=type(error).__name__)
        return []
    people = Counter(row.decode().partition(" ")[2] for row in rows)
    ranked = sorted(people.items(), key=lambda pair: (-pair[1], pair[0]))
    return [PopularJobSearch(q=q, people=number) for q, number in ranked[:limit] if number >= MIN_PEOPLE]


def _somebody(user_id: str, text: str) -> str:
    """Tells people of the same words apart, and says nothing of what else one looked for."""
    return hashlib.blake2b(f"{user_id} {text}".encode(), digest_size=8).hexdigest()


def _key(context: Context) -> str:
    return key(context.settings.redis_prefix, "job", "searches")
