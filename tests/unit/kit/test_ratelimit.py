from collections.abc import Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from kelmah.kit.ratelimit import Limit, Limiter, Verdict, _verdict

TEN = Limit("ten", 10, 60)
SEVEN = Limit("seven", 7, 60, burst=2)


def test_units_are_rounded_so_that_the_quota_is_never_exceeded() -> None:
    assert (TEN.unit_us, TEN.capacity) == (6_000_000, 10)
    assert (SEVEN.unit_us, SEVEN.capacity) == (8_571_429, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limit("x", 0, 60),
        lambda: Limit("x", 1_000_001, 60),
        lambda: Limit("x", 1, 0),
        lambda: Limit("x", 1, 31 * 86_400 + 1),
        lambda: Limit("x", 1, 60, burst=0),
        lambda: Limit("x", 1, 60, burst=1_000_001),
    ],
)
def test_limits_out_of_range_are_refused(make: Callable[[], Limit]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


def test_limits_at_their_edge_are_accepted() -> None:
    assert Limit("x", 1_000_000, 1).unit_us == 1
    assert Limit("x", 1, 31 * 86_400, burst=1_000_000).capacity == 1_000_000


def test_an_allowed_verdict_names_the_limit_with_the_least_left() -> None:
    verdict = _verdict([TEN, SEVEN], [[1, 4, 36_000_000, 0], [1, 1, 8_571_429, 0]])
    assert verdict == Verdict(allowed=True, limit=SEVEN, remaining=1, reset_s=8.571429, retry_after_s=0.0)


def test_a_refusal_names_the_limit_to_wait_for_longest() -> None:
    verdict = _verdict(
        [TEN, SEVEN, Limit("free", 9, 9)],
        [[0, 0, 60_000_000, 6_000_000], [0, 1, 8_000_000, 250_000], [1, 0, 1, 0]],
    )
    assert verdict == Verdict(allowed=False, limit=TEN, remaining=0, reset_s=60.0, retry_after_s=6.0)


class _NoRedis:
    def register_script(self, script: str) -> Callable[..., Any]:
        def run(**_: object) -> None:
            raise AssertionError("must not reach Redis")

        return run


@pytest.mark.parametrize(
    "charges",
    [
        [],
        [(TEN, "a", 0)],
        [(TEN, "a", 11)],
        [(SEVEN, "a", 3)],
        [(TEN, "a", 1), (TEN, "a", 1)],
        [(TEN, "", 1)],
    ],
)
async def test_charges_that_make_no_sense_never_reach_redis(charges: list[tuple[Limit, str, int]]) -> None:
    limiter = Limiter(cast(Redis, _NoRedis()), "p")
    with pytest.raises(ValueError, match=r"limit|cost|parts"):
        await limiter.check(charges)
