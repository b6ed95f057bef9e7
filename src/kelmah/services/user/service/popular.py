"""What people look for: counts by day in Redis. Losing them costs a list of popular searches, and nothing else."""

from datetime import timedelta
from typing import Any

import structlog
from redis.exceptions import RedisError

from kelmah.contracts import taxonomy
from kelmah.contracts.user import PopularSearch
from kelmah.kit import clock
from kelmah.kit.redis import key
from kelmah.services.user import mapping
from kelmah.services.user.service.context import Context

log = structlog.get_logger(__name__)

DAYS = 7
#: More than there are trades.
MAX_TRADES = 1000


async def count(context: Context, text: str) -> None:
    """Count a search, if its words are a trade. Other words are not kept: they may name somebody."""
    skill = taxonomy.resolve(text)
    if skill is None:
        return
    today = _keys(context)[0]
    try:
        async with context.redis.pipeline(transaction=False) as pipeline:
            pipeline.zincrby(today, 1, skill.id)  # type: ignore[unused-awaitable]  # queued
            pipeline.expire(today, timedelta(days=DAYS + 1))  # type: ignore[unused-awaitable]  # queued
            await pipeline.execute()
    except RedisError as error:
        log.warning("user.popular.not_counted", error=type(error).__name__)


async def get(context: Context, *, limit: int) -> list[PopularSearch]:
    """The trades that were looked for most often; none while Redis does not answer."""
    try:
        rows: Any = await context.redis.zunion(_keys(context), withscores=True)
    except RedisError as error:
        log.warning("user.popular.unknown", error=type(error).__name__)
        return []
    counts = {(name.decode() if isinstance(name, bytes) else name): int(score) for name, score in rows}
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [PopularSearch(skill=one, name=mapping.skill_name(one), count=times) for one, times in ranked[:limit]]


def _keys(context: Context) -> list[str]:
    """The days' keys, today's first."""
    today = clock.now().date()
    days = [(today - timedelta(days=ago)).isoformat() for ago in range(DAYS)]
    return [key(context.settings.redis_prefix, "user", "searches", day) for day in days]
