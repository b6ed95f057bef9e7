"""The register of running instances in Redis: each enters itself again and again, and strikes itself out at its end."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kelmah.kit import draining
from kelmah.kit.redis import key as redis_key

log = structlog.get_logger(__name__)

#: Seconds between two entries, and after which an instance that enters itself no more is taken for dead.
BEAT_S, LIVES_S = 2.0, 8.0

# Redis's clock is the only one that all instances share. A row is `until in milliseconds` + ` ` + JSON.
_ENTER = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[3]) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
_READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows, found = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #rows, 2 do
  local until_ms, entry = string.match(rows[i + 1], '^(%d+) (.*)$')
  if tonumber(until_ms) > now then found[#found + 1] = entry else redis.call('HDEL', KEYS[1], rows[i]) end
end
return found
"""


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """Where an instance is, and what it says of itself.

    Attributes:
        url: unlike that of any other.
        weight: its share of the requests, beside that of the others.
        zone: where it runs; neighbours are preferred.
        version: what it runs, for people.
    """

    url: str
    weight: int = 1
    zone: str = ""
    version: str = ""


class Registry:
    """The instances of all services of one platform."""

    def __init__(self, redis: Redis, *, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._enter = redis.register_script(_ENTER)
        self._read = redis.register_script(_READ)

    async def find(self, service: str) -> list[Endpoint]:
        """The instances of a service that live.

        Raises:
            redis.exceptions.RedisError: Redis did not answer.
        """
        rows: list[bytes] = await self._read(keys=[self._key(service)])
        return sorted(msgspec.json.decode(row, type=Endpoint) for row in rows)

    async def enter(self, service: str, endpoint: Endpoint) -> None:
        """Enter an instance, or say that it still lives."""
        row = msgspec.json.encode(endpoint)
        await self._enter(keys=[self._key(service)], args=[endpoint.url, row, int(LIVES_S * 1000)])

    async def strike_out(self, service: str, endpoint: Endpoint) -> None:
        """An instance takes no more requests."""
        removing: Awaitable[Any] = self._redis.hdel(self._key(service), endpoint.url)
        await removing

    async def stay(self, service: str, endpoint: Endpoint) -> None:
        """Keep an instance entered until this is cancelled or the process begins to drain; then strike it out."""
        ends = asyncio.Event()
        loop = asyncio.get_running_loop()
        forget = draining.listen(lambda: loop.call_soon_threadsafe(ends.set))
        try:
            while not draining.is_draining():
                try:
                    await self.enter(service, endpoint)
                except (RedisError, OSError, TimeoutError) as error:
                    log.warning("registry.unavailable", error=type(error).__name__)
                try:
                    async with asyncio.timeout(BEAT_S):
                        await ends.wait()
                except TimeoutError:
                    continue
        finally:
            forget()
            try:
                await self.strike_out(service, endpoint)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("registry.unavailable", error=type(error).__name__)
            log.info("registry.struck_out", url=endpoint.url)

    def _key(self, service: str) -> str:
        return redis_key(self._prefix, "instances", service)
