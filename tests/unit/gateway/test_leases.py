"""Leases never let through more than the limit, whoever takes them and however long they are kept."""

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kelmah.gateway.leases import HOLD_PART, Leases
from kelmah.kit.ratelimit import Limit, Verdict

LIMIT = Limit("ordinary", 320, 320)  # one unit a second
HOLD_S = 320 / HOLD_PART


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shared:
    """What the script keeps in Redis, for several processes at one time."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.full_at = 0.0
        self.asked = 0

    async def lease(self, limit: Limit, key: str, *, least: int, most: int, hold_s: float) -> tuple[int, Verdict]:
        self.asked += 1
        now, unit_s = self._time.now, limit.window_s / limit.quota
        room, full_at = limit.capacity * unit_s, max(self.full_at, self._time.now)
        held = max(full_at, now + hold_s)
        taken = min(most, math.floor((now + room - held) / unit_s))
        after = held + taken * unit_s
        if taken <= least:
            taken, after = least, full_at + least * unit_s
        wait = max(after - room - now, 0.0)
        if wait > 0:
            taken, after = 0, full_at
        self.full_at = after
        remaining = math.floor((now + room - after) / unit_s)
        return taken, Verdict(
            allowed=taken > 0, limit=limit, remaining=remaining, reset_s=after - now, retry_after_s=wait
        )


def processes(time: Time, shared: Shared, count: int) -> list[Leases]:
    limiter: Any = shared
    return [Leases(limiter, monotonic=time) for _ in range(count)]


def ask(leases: Leases, *, cost: int = 1, ahead: bool = True) -> Verdict:
    if (known := leases.spend(LIMIT, "person", cost)) is not None:
        return known
    taking = leases.take(LIMIT, "person", cost, ahead=ahead)
    try:
        taking.send(None)  # nothing in it waits, so it needs no event loop
    except StopIteration as done:
        verdict: Verdict = done.value
        return verdict
    raise AssertionError("it waited")


def test_who_comes_often_asks_redis_seldom() -> None:
    time = Time()
    shared = Shared(time)
    (leases,) = processes(time, shared, 1)
    assert all(ask(leases).allowed for _ in range(100))
    assert shared.asked == 9  # 1 + 2 + 4 + 8 + 16 + 20 four times, the most that one may be


def test_who_comes_seldom_pays_for_what_is_used() -> None:
    time = Time()
    shared = Shared(time)
    (leases,) = processes(time, shared, 1)
    for count in range(1, 10):
        assert ask(leases).allowed
        time.now += HOLD_S
        assert shared.asked == count


def test_a_lease_that_lapsed_is_followed_by_one_of_what_was_used_of_it() -> None:
    time = Time()
    shared = Shared(time)
    (leases,) = processes(time, shared, 1)
    for _ in range(120):
        assert ask(leases).allowed
        time.now += HOLD_S / 12
    assert shared.asked <= 16  # ten times as long as a lease lasts, and some more until the size was found


def test_a_refusal_is_remembered_for_as_long_as_it_holds() -> None:
    time = Time()
    shared = Shared(time)
    (leases,) = processes(time, shared, 1)
    while (refused := ask(leases)).allowed:
        pass
    asked = shared.asked
    assert 0 < refused.retry_after_s <= 1
    time.now += refused.retry_after_s / 2
    again = ask(leases)
    assert (again.allowed, round(again.retry_after_s, 6)) == (False, round(refused.retry_after_s / 2, 6))
    assert shared.asked == asked
    time.now += refused.retry_after_s
    assert ask(leases).allowed


def test_limits_that_fail_closed_are_never_leased_ahead() -> None:
    time = Time()
    shared = Shared(time)
    (leases,) = processes(time, shared, 1)
    for count in range(1, 50):
        assert ask(leases, ahead=False).allowed
        assert shared.asked == count


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.0, 0.0, 0.1, 1.0, HOLD_S, 300.0]), st.integers(1, 5)),
        min_size=50,
        max_size=400,
    )
)
def test_together_they_conform_to_the_limit_at_every_moment(steps: list[tuple[int, float, int]]) -> None:
    time = Time()
    leases = processes(time, Shared(time), 3)
    full_at = 0.0  # of the plain limit, charged at the moment of each admission
    for process, pause, cost in steps:
        time.now += pause
        for _ in range(4):
            if ask(leases[process], cost=cost).allowed:
                full_at = max(full_at, time.now) + cost
                assert full_at - time.now <= LIMIT.capacity + 1e-6
