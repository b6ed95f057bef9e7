"""Exact rate limits in Redis: GCRA in one round trip, several limits at once, all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from redis.asyncio import Redis

from kelmah.kit.redis import key as redis_key
from kelmah.kit.scripts import Script, Scripts

_MICROSECONDS = 1_000_000

# Whole microseconds throughout: they stay below 2**53, so the arithmetic of Lua's doubles is exact.
# ARGV holds (microseconds a unit, burst, cost) for each key; the answer (fits, units left, microseconds until
# full, microseconds until it would fit) for each key. Nothing is stored unless every limit fits.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fits = true
local pending, answer = {}, {}
for i, key in ipairs(KEYS) do
  local unit = tonumber(ARGV[i * 3 - 2])
  local room = unit * tonumber(ARGV[i * 3 - 1])
  local cost = unit * tonumber(ARGV[i * 3])
  local full_at = tonumber(redis.call('GET', key) or now)
  -- After a clock jump or a lowered limit the stored time must not lock a caller out for longer than that.
  full_at = math.min(math.max(full_at, now), now + room)
  local wait = math.max(full_at + cost - room - now, 0)
  if wait > 0 then fits = false end
  pending[i] = {full_at, full_at + cost, unit, room, wait}
end
for i, key in ipairs(KEYS) do
  local before, after, unit, room, wait = unpack(pending[i])
  local full_at = before
  if fits then
    full_at = after
    redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
  end
  answer[i] = {wait == 0 and 1 or 0, math.floor((now + room - full_at) / unit), full_at - now, wait}
end
return answer
"""

# Takes the most if that much fits when it is spent at the very end of the hold, else the least if that fits now, else
# nothing. ARGV holds microseconds a unit, burst, least, most, microseconds of hold; the answer units taken, units left,
# microseconds until full, microseconds until the least fits.
_LEASE_SCRIPT = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unit, burst, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local room = unit * burst
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + room)
local held = math.max(full_at, now + tonumber(ARGV[5]))
local taken = math.min(most, math.floor((now + room - held) / unit))
local after = held + taken * unit
if taken <= least then
  taken = least
  after = full_at + least * unit
end
local wait = math.max(after - room - now, 0)
if wait > 0 then
  taken = 0
  after = full_at
else
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return {taken, math.floor((now + room - after) / unit), after - now, wait}
""")


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota in a window, such as 5 logins in 900 seconds.

    Units come back evenly (one every ``window_s / quota``), up to ``burst`` at once. With the default burst
    of one whole quota a caller who had been idle can use almost two quotas within the first window.

    Args:
        name: part of the Redis key, and what the caller shows in rate-limit headers.
        quota: units that come back in one window, at least 1.
        window_s: seconds, 1 to 31 days.
        burst: units at once, at least 1; the quota if not given.
    """

    name: str
    quota: int
    window_s: int
    burst: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits that make no sense.

        Raises:
            ValueError: a number out of range.
        """
        if not 1 <= self.quota <= 1_000_000:
            raise ValueError("quota must be 1 to 1000000")
        if not 1 <= self.window_s <= 31 * 86_400:
            raise ValueError("window_s must be 1 second to 31 days")
        if not 1 <= self.capacity <= 1_000_000:
            raise ValueError("burst must be 1 to 1000000")

    @property
    def capacity(self) -> int:
        """How many units an idle caller has at once."""
        return self.quota if self.burst is None else self.burst

    @property
    def unit_us(self) -> int:
        """Microseconds for one unit to come back, rounded up so that the quota is never exceeded."""
        return -(-self.window_s * _MICROSECONDS // self.quota)


class Verdict(NamedTuple):
    """The answer to one check.

    Attributes:
        allowed: whether every limit had room; if not, nothing was taken from any.
        limit: the limit that binds: the one to wait for longest, or else the one with the least left.
        remaining: units left under it.
        reset_s: seconds until it is full again.
        retry_after_s: seconds until the same check can pass, 0.0 when allowed.
    """

    allowed: bool
    limit: Limit
    remaining: int
    reset_s: float
    retry_after_s: float


class Limiter:
    """Checks limits kept in one Redis (not across the slots of a Redis Cluster)."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        """Take a connected client and the prefix of all keys."""
        self._script = redis.register_script(_SCRIPT)
        self._scripts = Scripts(redis)
        self._prefix = prefix

    async def check(self, charges: Sequence[tuple[Limit, str, int]]) -> Verdict:
        """Take the costs from all the limits, or from none.

        Args:
            charges: (limit, key, cost in units) each; the key names who is limited, such as an address.

        Raises:
            ValueError: nothing to check, a cost below 1 or above the limit's capacity, or the same limit and
                key twice.
            redis.exceptions.RedisError: Redis did not answer; the caller decides whether to let pass.
        """
        keys = [redis_key(self._prefix, limit.name, key) for limit, key, _ in charges]
        if not keys:
            raise ValueError("no limit to check")
        if len(set(keys)) != len(keys):
            raise ValueError("the same limit and key is charged twice")
        arguments: list[int] = []
        for limit, _, cost in charges:
            if not 1 <= cost <= limit.capacity:
                raise ValueError(f"the cost under {limit.name} must be 1 to {limit.capacity}")
            arguments += (limit.unit_us, limit.capacity, cost)
        rows = await self._script(keys=keys, args=arguments)
        return _verdict([limit for limit, _, _ in charges], rows)

    def close(self) -> None:
        """Close the connection of `lease`."""
        self._scripts.close()

    async def lease(self, limit: Limit, key: str, *, least: int, most: int, hold_s: float) -> tuple[int, Verdict]:
        """Take units that may be spent within `hold_s` from now: the most if there is room, else the least, or none.

        They count as spent when the time is over, however early they are, so that what is let through conforms to the
        limit at every moment. The least is meant to be spent at once.

        Returns:
            How many were taken, and the verdict: `remaining` and `reset_s` are what is left besides.

        Raises:
            ValueError: not 1 <= least <= most, or least above the limit's capacity.
            redis.exceptions.RedisError: as `check`.
        """
        if not 1 <= least <= min(most, limit.capacity):
            raise ValueError(f"a lease under {limit.name} must be of 1 to {limit.capacity} units")
        arguments = (limit.unit_us, limit.capacity, least, most, int(hold_s * _MICROSECONDS))
        keys = [redis_key(self._prefix, limit.name, key)]
        taken, remaining, reset_us, wait_us = await self._scripts.run(_LEASE_SCRIPT, keys, arguments)
        return taken, Verdict(
            allowed=taken > 0,
            limit=limit,
            remaining=remaining,
            reset_s=reset_us / _MICROSECONDS,
            retry_after_s=wait_us / _MICROSECONDS,
        )


def _verdict(limits: Sequence[Limit], rows: Sequence[Sequence[int]]) -> Verdict:
    allowed = all(row[0] == 1 for row in rows)
    binding, (_, remaining, reset_us, wait_us) = min(
        zip(limits, rows, strict=True), key=lambda pair: (-pair[1][3], pair[1][1])
    )
    return Verdict(
        allowed=allowed,
        limit=binding,
        remaining=remaining,
        reset_s=reset_us / _MICROSECONDS,
        retry_after_s=wait_us / _MICROSECONDS,
    )
