"""The sessions that were ended before their tokens expire, in memory, fed by Redis or else by the auth service."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from kelmah.contracts import auth as contracts
from kelmah.gateway.tokens import SKEW_S
from kelmah.kit import clock, errors
from kelmah.kit.calls import ServiceCaller

log = structlog.get_logger(__name__)

#: Seconds that an access token may live at most; a session that ended earlier can have none left.
LONGEST_TOKEN_S = 900 + 2 * SKEW_S
#: Seconds of silence after which Redis is asked whether it is still there.
PING_S = 5.0
#: Seconds between two tries to reach Redis again; the auth service is asked each time meanwhile.
RETRY_S = 2.0
#: Sessions that are remembered at most. Reaching this is an attack or a defect, and is logged as an error.
MAX_SESSIONS = 500_000


Ask = Callable[[int], Awaitable[contracts.Revocations]]


def ask_from(auth: ServiceCaller) -> Ask:
    """Ask the auth service by a signed call; the argument is the Unix time in milliseconds since when."""

    async def ask(since_ms: int) -> contracts.Revocations:
        query = {"since": str(since_ms)}
        return await auth.call("GET", "/internal/revocations", query=query, returns=contracts.Revocations)

    return ask


class Revocations:
    """The revoked sessions. `follow` keeps them current for as long as the gateway runs."""

    def __init__(self, redis: Redis, *, prefix: str, ask: Ask) -> None:
        self._redis = redis
        self._channel = f"{prefix}:auth:revocations"
        self._set = f"{prefix}:auth:revoked"
        self._ask = ask
        self._until: dict[str, float] = {}
        self._next_sweep = 0.0
        self._asked_until = 0

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._until

    def add(self, session_id: str, until: float | None = None) -> None:
        """Remember a session until this Unix time in seconds, or for as long as a token of it may live."""
        now = clock.now().timestamp()
        if now > self._next_sweep:
            self._until = {one: end for one, end in self._until.items() if end > now}
            self._next_sweep = now + SKEW_S
        if len(self._until) >= MAX_SESSIONS:
            log.error("revocations.full", count=len(self._until))
            self._until.pop(next(iter(self._until)))
        until = now + LONGEST_TOKEN_S if until is None else until + SKEW_S
        if until > now:
            self._until[session_id] = max(until, self._until.get(session_id, 0.0))

    async def follow(self) -> None:
        """Listen to Redis. While it is away, ask the auth service instead, every `RETRY_S` seconds."""
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    await self._listen(pubsub)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("revocations.redis_unavailable", error=type(error).__name__)
            await self._seed_from_auth()
            await asyncio.sleep(RETRY_S)

    async def _listen(self, pubsub: PubSub) -> None:
        pinged = False
        while True:
            message = await pubsub.get_message(timeout=PING_S)
            if message is None:
                if pinged:
                    raise RedisConnectionError("no answer to a ping")
                await pubsub.ping()
                pinged = True
                continue
            pinged = False
            if message["type"] == "message":
                self.add(message["data"].decode())
            elif message["type"] == "subscribe":
                # The client subscribes anew by itself after a broken connection; what it missed is in the set.
                await self._seed_from_redis()

    async def _seed_from_redis(self) -> None:
        now = clock.now().timestamp()
        rows: list[Any] = await self._redis.zrangebyscore(self._set, now, "+inf", withscores=True)
        for session_id, until in rows:
            self.add(session_id.decode(), float(until))
        log.info("revocations.seeded", source="redis", count=len(rows))
        if not rows:  # nobody was revoked, or Redis lost its data
            await self._seed_from_auth()

    async def _seed_from_auth(self) -> None:
        count, oldest = 0, clock.now() - timedelta(seconds=LONGEST_TOKEN_S)
        since = max(self._asked_until, int(oldest.timestamp() * 1000))
        try:
            while True:
                page = await self._ask(since)
                for row in page.items:
                    self.add(row.session_id, row.expires_at)
                count += len(page.items)
                if not page.more or page.until <= since:
                    break
                since = page.until
        except errors.KelmahError as error:
            log.warning("revocations.auth_unavailable", error=type(error).__name__)
            return
        self._asked_until = page.until
        log.info("revocations.seeded", source="auth", count=count)
