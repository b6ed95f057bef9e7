import asyncio
import math
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from kelmah.kit.ratelimit import Limit, Limiter, Verdict
from kelmah.kit.redis import connect

# An hour a unit or more: nothing comes back while a test runs.
TEN = Limit("ten", 10, 36_000)
THREE = Limit("three", 3, 36_000)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url, prefix="kelmah-test")
    yield client
    await client.aclose()


@pytest.fixture
async def prefix(redis: Redis) -> AsyncIterator[str]:
    prefix = f"test-{uuid.uuid4().hex}"
    yield prefix
    await redis.delete(prefix, *[key async for key in redis.scan_iter(match=f"{prefix}:*", count=1000)])


@pytest.fixture
def limiter(redis: Redis, prefix: str) -> Limiter:
    return Limiter(redis, prefix)


async def _full_at(redis: Redis, key: str) -> int:
    value = await redis.get(key)
    assert value is not None
    return int(value)


async def test_sixty_concurrent_callers_over_three_clients_are_admitted_exactly_ten_times(
    redis_url: str, prefix: str
) -> None:
    clients = [connect(redis_url, prefix="kelmah-test") for _ in range(3)]
    limiters = [Limiter(client, prefix) for client in clients]
    try:
        verdicts = await asyncio.gather(*(limiters[number % 3].check([(TEN, "caller", 1)]) for number in range(60)))
    finally:
        for client in clients:
            await client.aclose()
    assert sum(verdict.allowed for verdict in verdicts) == 10
    assert sorted(verdict.remaining for verdict in verdicts if verdict.allowed) == list(range(10))
    assert {verdict.remaining for verdict in verdicts if not verdict.allowed} == {0}


async def test_a_verdict_counts_down_and_says_when_to_return(limiter: Limiter) -> None:
    first = await limiter.check([(TEN, "caller", 4)])
    assert (first.allowed, first.limit, first.remaining, first.retry_after_s) == (True, TEN, 6, 0.0)
    assert first.reset_s == 4 * 3600.0
    second = await limiter.check([(TEN, "caller", 6)])
    assert (second.allowed, second.remaining) == (True, 0)
    third = await limiter.check([(TEN, "caller", 2)])
    assert (third.allowed, third.remaining) == (False, 0)
    assert math.ceil(third.retry_after_s / 3600) == 2


async def test_a_refused_cost_leaves_room_for_a_smaller_one(limiter: Limiter) -> None:
    await limiter.check([(TEN, "caller", 8)])
    refused = await limiter.check([(TEN, "caller", 3)])
    assert (refused.allowed, refused.remaining) == (False, 2)
    assert (await limiter.check([(TEN, "caller", 2)])).allowed is True


async def test_all_limits_are_charged_or_none(limiter: Limiter, redis: Redis, prefix: str) -> None:
    for _ in range(3):
        assert (await limiter.check([(TEN, "a", 1), (THREE, "b", 1)])).allowed is True
    before = [await _full_at(redis, f"{prefix}:{name}") for name in ("ten:a", "three:b")]
    refused = await limiter.check([(TEN, "a", 1), (THREE, "b", 1)])
    assert (refused.allowed, refused.limit) == (False, THREE)
    assert [await _full_at(redis, f"{prefix}:{name}") for name in ("ten:a", "three:b")] == before
    refused = await limiter.check([(THREE, "b", 1), (TEN, "unseen", 1)])
    assert refused.allowed is False
    assert await redis.exists(f"{prefix}:ten:unseen") == 0


async def test_keys_and_limits_do_not_share_a_count(limiter: Limiter) -> None:
    assert (await limiter.check([(THREE, "a", 3)])).allowed is True
    assert (await limiter.check([(THREE, "b", 3)])).allowed is True
    assert (await limiter.check([(TEN, "a", 10)])).allowed is True
    assert (await limiter.check([(THREE, "a", 1)])).allowed is False


async def test_units_come_back_one_by_one(limiter: Limiter, redis: Redis, prefix: str) -> None:
    async def pass_time(seconds: float) -> Verdict:
        """Moving the stored time back is as if the clock had moved on."""
        stored = await _full_at(redis, f"{prefix}:three:a")
        await redis.set(f"{prefix}:three:a", stored - int(seconds * 1_000_000))
        return await limiter.check([(THREE, "a", 1)])

    assert (await limiter.check([(THREE, "a", 3)])).allowed is True
    refused = await pass_time(12_000 - 60)
    assert refused.allowed is False
    assert 0 < refused.retry_after_s <= 60
    assert (await pass_time(refused.retry_after_s)).allowed is True
    assert (await limiter.check([(THREE, "a", 1)])).allowed is False


async def test_a_key_expires_when_the_limit_is_full_again(limiter: Limiter, redis: Redis, prefix: str) -> None:
    verdict = await limiter.check([(THREE, "a", 1)])
    expiry_ms = await redis.pttl(f"{prefix}:three:a")
    assert verdict.reset_s == 12_000.0
    assert 11_000_000 < expiry_ms <= 12_000_000


async def test_a_clock_jump_locks_nobody_out_for_longer_than_the_limit(
    limiter: Limiter, redis: Redis, prefix: str
) -> None:
    await redis.set(f"{prefix}:three:a", 4_000_000_000_000_000)  # the year 2096
    refused = await limiter.check([(THREE, "a", 1)])
    assert (refused.allowed, refused.remaining, refused.retry_after_s) == (False, 0, 12_000.0)


async def test_leases_and_single_units_share_one_limit_exactly(redis_url: str, prefix: str) -> None:
    """Whoever asks how: 64 units in all, none of which comes back while the test runs."""
    limit = Limit("leased", 64, 640_000)
    clients = [connect(redis_url, prefix="kelmah-test") for _ in range(3)]
    limiters = [Limiter(client, prefix) for client in clients]
    try:
        calls = [
            limiters[number % 3].lease(limit, "caller", least=1, most=1 + number % 4, hold_s=10_000)
            for number in range(80)
        ]
        leased = await asyncio.gather(*calls)
        single = await limiters[0].check([(limit, "caller", 1)])
    finally:
        for limiter, client in zip(limiters, clients, strict=True):
            limiter.close()
            await client.aclose()
    # A hold of one unit's time is one unit that is not lent: the rest is, to the last one.
    assert sum(taken for taken, _ in leased) in (63, 64)
    assert single.allowed is (sum(taken for taken, _ in leased) == 63)
    assert all(verdict.retry_after_s > 0 for taken, verdict in leased if not taken)


async def test_a_lease_counts_as_spent_at_its_end(limiter: Limiter) -> None:
    taken, verdict = await limiter.lease(TEN, "caller", least=1, most=4, hold_s=2 * 3600.0)
    assert (taken, verdict.remaining, verdict.reset_s) == (4, 4, 6 * 3600.0)  # 4 are leased, 2 wait for their end
    taken, verdict = await limiter.lease(TEN, "caller", least=1, most=9, hold_s=2 * 3600.0)
    assert (taken, verdict.remaining) == (4, 0)
    taken, verdict = await limiter.lease(TEN, "caller", least=1, most=1, hold_s=0.0)
    assert (taken, verdict.allowed) == (0, False)
    assert 3590 < verdict.retry_after_s <= 3600
    limiter.close()
    for least, most in ((0, 1), (2, 1), (11, 11)):
        with pytest.raises(ValueError, match="lease"):
            await limiter.lease(TEN, "caller", least=least, most=most, hold_s=0.0)
