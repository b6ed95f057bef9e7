"""Limits counted in this process, and how they are told."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from kelmah.gateway import limits
from kelmah.gateway.errors import LimitsUnavailable
from kelmah.gateway.limits import LocalLimiter
from kelmah.gateway.routes import LimitClass
from kelmah.kit.ratelimit import Limit, Verdict


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_units_come_back_evenly() -> None:
    time = Time()
    limiter, limit = LocalLimiter(share=1, monotonic=time), Limit("a", 6, 60, burst=2)
    assert [limiter.check(limit, "x").allowed for _ in range(3)] == [True, True, False]
    refused = limiter.check(limit, "x")
    assert (refused.remaining, refused.retry_after_s, refused.reset_s) == (0, 10.0, 20.0)
    assert limiter.check(limit, "y").remaining == 1
    time.now += 10
    assert [limiter.check(limit, "x").allowed for _ in range(2)] == [True, False]
    time.now += 1_000
    assert [limiter.check(limit, "x").allowed for _ in range(3)] == [True, True, False]


def test_a_process_takes_its_share_and_at_least_one() -> None:
    limiter = LocalLimiter(share=4, monotonic=Time())
    assert [limiter.check(Limit("a", 8, 60), "x").allowed for _ in range(3)] == [True, True, False]
    assert [limiter.check(Limit("b", 2, 60), "x").allowed for _ in range(2)] == [True, False]


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 8), st.integers(1, 8))
def test_never_more_than_the_burst_and_what_came_back(pauses: list[float], quota: int, burst: int) -> None:
    time = Time()
    limiter, limit = LocalLimiter(share=1, monotonic=time), Limit("a", quota, 60, burst=burst)
    admitted = 0
    for pause in pauses:
        time.now += pause
        admitted += limiter.check(limit, "x").allowed
        assert admitted <= burst + (time.now - 1000.0) * quota / 60 + 1e-6


def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LOCAL_KEYS", 3)
    limiter = LocalLimiter(share=1, monotonic=Time())
    for number in range(10):
        limiter.check(Limit("a", 5, 60), str(number))
    assert len(limiter._full_at) == 3


def test_a_limit_is_told_as_structured_fields() -> None:
    verdict = Verdict(allowed=True, limit=Limit("login", 100, 300), remaining=41, reset_s=12.3, retry_after_s=0.0)
    assert limits.headers(verdict) == [
        (b"ratelimit-policy", b'"login";q=100;w=300'),
        (b"ratelimit", b'"login";r=41;t=13'),
    ]


async def test_with_a_slow_redis_a_caller_gets_at_most_one_share_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision of docs/decisions/0008: what cannot be counted in time is counted here, or refused for money."""
    monkeypatch.setattr(limits, "TIMEOUT_S", 0.001)
    classes = {
        name: LimitClass(limit=Limit(name, 8, 3600), by_address=False, fails_closed=name == "money")
        for name in ("default", "money")
    }
    counted = limits.Limits(Redis(), prefix="x", classes=classes, factor=1, instances=4)

    async def late(*_: object, **__: object) -> Verdict:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(counted._leases, "take", late)
    assert sum([(await counted.check("default", "a", 1)).allowed for _ in range(20)]) == 8 // 4
    for _ in range(5):
        with pytest.raises(LimitsUnavailable):
            await counted.check("money", "a", 1)
