"""Durable timers: due once, moved, cancelled, taken by one loop at a time."""

import asyncio
from datetime import timedelta

import pytest

from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.kit.timers import LEASE, TIMERS, Timers
from tests.fixtures.service import Service


@pytest.fixture
async def timers(things: Service) -> Timers:
    await things.context.mongo.collection(TIMERS).delete_many({})
    return things.context.timers  # type: ignore[no-any-return]  # the context is dynamic in tests


async def test_a_timer_is_due_at_its_instant_and_not_before(timers: Timers) -> None:
    key = new_id()
    await timers.set(key, "job.expire", ["j1"], due=clock.now() + timedelta(days=14))
    assert await timers.take_due() is None
    clock.shift(timedelta(days=14))
    try:
        timer = await timers.take_due()
        assert timer is not None
        assert (timer.key, timer.actor, timer.args, timer.attempts) == (key, "job.expire", ["j1"], 1)
    finally:
        clock.reset()


async def test_a_timer_is_taken_by_one_of_many_loops_and_again_when_its_taker_died(timers: Timers) -> None:
    await timers.set("k", "job.expire", [])
    taken = await asyncio.gather(*(timers.take_due() for _ in range(10)))
    assert sum(timer is not None for timer in taken) == 1
    clock.shift(LEASE)
    try:
        again = await timers.take_due()
        assert again is not None
        assert again.attempts == 2
        await timers.finish(again)
        clock.shift(LEASE)
        assert await timers.take_due() is None
    finally:
        clock.reset()


async def test_a_timer_that_is_set_anew_while_it_fires_fires_again(timers: Timers) -> None:
    await timers.set("k", "job.expire", ["old"])
    taken = await timers.take_due()
    assert taken is not None
    await timers.set("k", "job.expire", ["new"])
    await timers.finish(taken)
    again = await timers.take_due()
    assert again is not None
    assert again.args == ["new"]


async def test_a_cancelled_timer_never_fires(timers: Timers) -> None:
    await timers.set("k", "job.expire", [])
    await timers.cancel("k")
    assert await timers.take_due() is None


async def test_a_timer_that_is_to_be_kept_stays_as_it_is(timers: Timers) -> None:
    due = clock.now() - timedelta(seconds=1)
    await timers.set("k", "job.expire", ["first"], due=due, keep=True)
    await timers.set("k", "job.other", ["second"], keep=True)
    timer = await timers.take_due()
    assert timer is not None
    assert (timer.actor, timer.args) == ("job.expire", ["first"])
