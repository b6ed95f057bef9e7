"""Rate limits at the edge: exact in Redis; while Redis is away counted here, or closed where guessing would cost."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kelmah.gateway.errors import LimitsUnavailable
from kelmah.gateway.incoming import Headers, address_key
from kelmah.gateway.leases import Leases
from kelmah.gateway.routes import LimitClass
from kelmah.kit import clock
from kelmah.kit.breaker import BreakerPolicy, CircuitBreaker, CircuitOpen, Monotonic
from kelmah.kit.ratelimit import Limit, Limiter, Verdict

log = structlog.get_logger(__name__)

#: Seconds that Redis has to answer before a request is counted without it.
TIMEOUT_S = 0.5
#: Callers that are counted here at most while Redis is away.
MAX_LOCAL_KEYS = 50_000
_REDIS = "redis"
_POLICY = BreakerPolicy(minimum_volume=3, open_s=2.0, open_max_s=5.0, probes=1)


class LocalLimiter:
    """The same limits counted in this process, for the time that Redis is away."""

    def __init__(self, *, share: int, monotonic: Monotonic = clock.monotonic) -> None:
        """`share`: this process takes one part in so many of each quota, and at least one unit."""
        self._share = share
        self._monotonic = monotonic
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def check(self, limit: Limit, key: str, cost: int = 1) -> Verdict:
        """Take units if there are so many (GCRA, as in `kit.ratelimit`)."""
        capacity = max(1, limit.capacity // self._share)
        unit_s = limit.window_s / max(1, limit.quota // self._share)
        now = self._monotonic()
        full_at = max(self._full_at.get((limit.name, key), now), now)
        cost = min(cost, capacity)
        wait = full_at + cost * unit_s - capacity * unit_s - now
        allowed = wait <= 1e-9
        if allowed:
            full_at += cost * unit_s
            self._full_at[limit.name, key] = full_at
            self._full_at.move_to_end((limit.name, key))
            if len(self._full_at) > MAX_LOCAL_KEYS:
                self._full_at.popitem(last=False)
        return Verdict(
            allowed=allowed,
            limit=limit,
            remaining=max(0, math.floor(capacity - (full_at - now) / unit_s + 1e-9)),
            reset_s=full_at - now,
            retry_after_s=0.0 if allowed else wait,
        )


class Limits:
    """The limit classes of the route table."""

    def __init__(
        self, redis: Redis, *, prefix: str, classes: Mapping[str, LimitClass], factor: int, instances: int
    ) -> None:
        self._limiter = Limiter(redis, f"{prefix}:gateway:limit")
        self._leases = Leases(self._limiter)
        self._local = LocalLimiter(share=instances)
        self._breaker = CircuitBreaker(_POLICY)
        self._factor = factor
        self._newest: dict[str, LimitClass] = {}
        self._classes: dict[str, LimitClass] = {}
        self.use(classes)

    def use(self, classes: Mapping[str, LimitClass]) -> None:
        """Take these classes from now on; those before them stay known for the requests that are under way."""
        newest = {name: replace(one, limit=_scaled(one.limit, self._factor)) for name, one in classes.items()}
        self._classes = self._newest | newest
        self._newest = newest
        self._leases.clear()

    def close(self) -> None:
        """Close the connection to Redis."""
        self._limiter.close()

    def key(self, name: str, *, user_id: str | None, address: str, api_key_id: str | None = None) -> str:
        """Who is counted under a class: an API key by itself, so that a program does not use up its owner's share."""
        if user_id is None or self._classes[name].by_address:
            return f"address:{address_key(address)}"
        if api_key_id is not None:
            return f"api_key:{api_key_id}"
        return f"person:{user_id}"

    def spend(self, name: str, key: str, cost: int) -> Verdict | None:
        """The verdict as far as it can be told without Redis; None where `check` must be asked."""
        one = self._classes[name]
        return None if one.fails_closed else self._leases.spend(one.limit, key, cost)

    async def check(self, name: str, key: str, cost: int) -> Verdict:
        """Take units of a class for a caller.

        Raises:
            LimitsUnavailable: Redis is away, and this class is not guessed at.
        """
        if (known := self.spend(name, key, cost)) is not None:
            return known
        one = self._classes[name]
        try:
            with self._breaker.call(_REDIS):
                async with asyncio.timeout(TIMEOUT_S):
                    return await self._leases.take(one.limit, key, cost, ahead=not one.fails_closed)
        except (RedisError, OSError, TimeoutError, CircuitOpen) as error:
            if not isinstance(error, CircuitOpen):
                log.warning("limits.redis_unavailable", error=type(error).__name__)
            if one.fails_closed:
                raise LimitsUnavailable(retry_after_s=2) from error
            return self._local.check(one.limit, key, cost)


def headers(verdict: Verdict) -> Headers:
    """`RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10."""
    limit = verdict.limit
    return [
        (b"ratelimit-policy", f'"{limit.name}";q={limit.quota};w={limit.window_s}'.encode()),
        (b"ratelimit", f'"{limit.name}";r={verdict.remaining};t={math.ceil(verdict.reset_s)}'.encode()),
    ]


def _scaled(limit: Limit, factor: int) -> Limit:
    return replace(
        limit,
        quota=min(limit.quota * factor, 1_000_000),
        burst=None if limit.burst is None else min(limit.burst * factor, 1_000_000),
    )
