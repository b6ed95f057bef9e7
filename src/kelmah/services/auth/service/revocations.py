"""Tells gateways of sessions and API keys that ended early: at once through Redis, and for good from MongoDB.

In Redis: a sorted set `<prefix>:auth:revoked` of ids by the epoch second at which their last access token dies,
and a message with the id on the channel `<prefix>:auth:revocations`; beside them the entry that refreshing looks at
(`session_cache`). Redis may lose any of it; a gateway that starts, reconnects or has not asked for a while catches up
with `since`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from kelmah.contracts.auth import Revocation, Revocations
from kelmah.kit import clock
from kelmah.kit.redis import key as redis_key
from kelmah.services.auth.documents import api_keys
from kelmah.services.auth.documents import sessions as documents
from kelmah.services.auth.service import session_cache
from kelmah.services.auth.service.context import Context

log = structlog.get_logger(__name__)

#: Seconds that clocks of verifiers may be behind.
LEEWAY_S = 60
#: Revocations in one answer.
PAGE = 5_000
#: A transaction may commit this long after the instant it wrote down, so readers look back by as much.
_LATE = timedelta(seconds=15)


def set_key(prefix: str) -> str:
    return redis_key(prefix, "auth", "revoked")


def channel(prefix: str) -> str:
    return redis_key(prefix, "auth", "revocations")


async def publish(context: Context, session_ids: Sequence[str]) -> None:
    """Tell of sessions whose end is committed. Redis being away is logged only: gateways catch up from MongoDB."""
    if not session_ids:
        return
    prefix, now = context.settings.redis_prefix, clock.now()
    expires_at = _expires_at(context, now)
    try:
        async with context.redis.pipeline(transaction=True) as pipeline:
            pipeline.zadd(set_key(prefix), dict.fromkeys(session_ids, expires_at))  # type: ignore[unused-awaitable]  # queued
            pipeline.zremrangebyscore(set_key(prefix), "-inf", int(now.timestamp()))  # type: ignore[unused-awaitable]  # queued
            for session_id in session_ids:
                entry = session_cache.entry_key(context, session_id)
                pipeline.set(entry, session_cache.ENDED, ex=session_cache.LIFE_S)  # type: ignore[unused-awaitable]  # queued
                pipeline.publish(channel(prefix), session_id)  # type: ignore[unused-awaitable]  # queued
            await pipeline.execute()
    except RedisError as error:
        log.warning("auth.revocations.not_published", error=type(error).__name__, sessions=len(session_ids))


async def since(context: Context, since_ms: int) -> Revocations:
    """What ended early since then, as far as any access token may still live."""
    now = clock.now()
    oldest = now - timedelta(seconds=context.settings.access_token_s + LEEWAY_S)
    start = max(oldest, datetime.fromtimestamp(since_ms / 1000, UTC)) if since_ms else oldest
    sessions = await documents.revoked_since(start, limit=PAGE + 1)
    keys = await api_keys.revoked_since(start, limit=PAGE + 1)
    rows = sorted([*sessions, *keys], key=lambda row: row[1])
    more, rows = len(rows) > PAGE, rows[:PAGE]
    until = rows[-1][1] if more else now - _LATE
    return Revocations(
        items=[Revocation(session_id=one, expires_at=_expires_at(context, at)) for one, at in rows],
        until=int(until.timestamp() * 1000),
        more=more,
    )


def _expires_at(context: Context, revoked_at: datetime) -> int:
    return int(revoked_at.timestamp()) + context.settings.access_token_s + LEEWAY_S
