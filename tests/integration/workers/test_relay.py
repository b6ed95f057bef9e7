"""Relays and timer loops side by side, with publishers that fail: order, leases, and each timer once."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta

import dramatiq
import pytest

from kelmah.contracts.events import Envelope
from kelmah.contracts.job import JobClosed, JobCreated
from kelmah.kit import clock
from kelmah.kit.chain import Chain
from kelmah.kit.context import current_trace, trace, trace_from
from kelmah.kit.outbox import Lease, Outbox
from kelmah.kit.timers import LEASE, Timer
from kelmah.workers.relay import Relay
from kelmah.workers.timers import UNKNOWN_WAIT, UNKNOWN_WAIT_MAX, TimerLoop
from tests.fixtures.workers import Stage


class Tape:
    """A publisher that records, and sometimes fails before or after it did."""

    def __init__(self, *, seed: int = 0, failing: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._failing = failing
        self.sent: list[dramatiq.Message[None]] = []
        self.announced: list[Envelope] = []

    async def send(self, message: dramatiq.Message[None]) -> None:
        await self._perhaps_fail()
        self.sent.append(message)
        await self._perhaps_fail()

    async def announce(self, envelope: Envelope) -> None:
        await self._perhaps_fail()
        self.announced.append(envelope)
        await self._perhaps_fail()

    async def close(self) -> None: ...

    async def _perhaps_fail(self) -> None:
        await asyncio.sleep(0)
        if self._random.random() < self._failing:
            raise ConnectionError


async def unused(*_: object) -> None: ...


def relay(
    stage: Stage, publisher: Tape, holder: str, *, noted: Callable[[Collection[str]], Awaitable[None]] | None = None
) -> Relay:
    lease = Lease(stage.context.mongo, "relay", holder=holder, ttl_s=30)
    mongo = stage.context.mongo
    return Relay("job", Chain(mongo), Outbox(mongo), lease, publisher, stage.registry, asyncio.Event(), noted)


def first_copies(events: list[Envelope]) -> dict[str, list[int]]:
    order: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.sequence not in order[event.subject]:
            order[event.subject].append(event.sequence)
    return dict(order)


async def drain(one: Relay, stage: Stage) -> None:
    while await stage.pending():
        try:
            await one.turn()
        except (ConnectionError, ExceptionGroup):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(5))
async def test_a_failing_broker_neither_loses_events_nor_changes_their_order(redis_stage: Stage, seed: int) -> None:
    redis_stage.registry.on_event("job.unused", JobCreated, unused)
    subjects = [f"job:{number % 4}" for number in range(40)]
    await redis_stage.append(*subjects)
    tape = Tape(seed=seed, failing=0.1)
    await drain(relay(redis_stage, tape, "a"), redis_stage)
    assert first_copies(tape.announced) == {f"job:{number}": list(range(1, 11)) for number in range(4)}
    assert len({message.message_id for message in tape.sent}) == 40


async def test_what_happened_is_noted_and_a_note_that_fails_holds_nothing_up(redis_stage: Stage) -> None:
    noted: list[Collection[str]] = []

    async def note(event_types: Collection[str]) -> None:
        noted.append(event_types)
        raise ConnectionError

    await redis_stage.append("job:1", "job:2")
    tape = Tape()
    one = relay(redis_stage, tape, "a", noted=note)
    await drain(one, redis_stage)
    assert len(tape.announced) == 2
    assert {name for names in noted for name in names} == {event.type for event in tape.announced}
    await one.turn()
    assert all(noted)  # nothing happened, nothing to note


async def test_two_relays_without_a_lease_between_them_keep_the_order(redis_stage: Stage) -> None:
    """The worst case: a relay that was paused goes on while another has taken over."""
    await redis_stage.append(*(f"job:{number % 3}" for number in range(30)))
    tape = Tape(seed=7, failing=0.05)
    one, two = relay(redis_stage, tape, "a"), relay(redis_stage, tape, "a")
    await asyncio.gather(drain(one, redis_stage), drain(two, redis_stage))
    assert first_copies(tape.announced) == {f"job:{number}": list(range(1, 11)) for number in range(3)}


async def test_only_the_holder_of_the_lease_publishes(redis_stage: Stage) -> None:
    tape, other = Tape(), Tape()
    first, second = relay(redis_stage, tape, "a"), relay(redis_stage, other, "b")
    assert not await first.turn()  # takes the lease
    await redis_stage.append("job:1")
    assert not await second.turn()
    assert other.announced == []
    assert await first.turn()
    assert len(tape.announced) == 1


async def test_a_lease_is_free_after_its_time_or_when_given_back(redis_stage: Stage) -> None:
    mongo = redis_stage.context.mongo
    short, other = Lease(mongo, "x", holder="a", ttl_s=0), Lease(mongo, "x", holder="b", ttl_s=60)
    assert await short.hold()
    assert await other.hold()
    assert not await short.hold()
    await short.release()  # not its own any more
    assert not await short.hold()
    await other.release()
    assert await short.hold()


async def test_many_take_a_new_lease_and_one_has_it(redis_stage: Stage) -> None:
    leases = [Lease(redis_stage.context.mongo, "y", holder=str(number), ttl_s=60) for number in range(10)]
    assert sorted(await asyncio.gather(*(lease.hold() for lease in leases))) == [False] * 9 + [True]


async def test_a_type_that_is_not_known_here_waits_and_holds_back_its_subject(redis_stage: Stage) -> None:
    events = redis_stage.context.mongo.collection("events")
    first, second, third, elsewhere = await redis_stage.append("job:1", "job:1", "job:1", "job:2")
    await events.update_one({"_id": second.id}, {"$set": {"type": "job.job_created.v9"}})
    tape = Tape()
    one = relay(redis_stage, tape, "a")
    while await one.turn():
        pass
    assert {event.id for event in tape.announced} == {first.id, elsewhere.id}
    assert {row["_id"] async for row in events.find({"pending": True})} == {second.id, third.id}


async def test_a_clock_that_runs_ahead_does_not_change_the_order(redis_stage: Stage) -> None:
    """The first event's id sorts last, as if made on a machine whose clock is ahead."""
    first, _, _ = await redis_stage.append("job:1", "job:1", "job:1")
    events = redis_stage.context.mongo.collection("events")
    row = await events.find_one_and_delete({"_id": first.id})
    assert row is not None
    await events.insert_one({**row, "_id": "f" * 32})
    chain, outbox = Chain(redis_stage.context.mongo), Outbox(redis_stage.context.mongo)
    assert await chain.seal([JobCreated.TYPE], limit=2) == 0
    assert await chain.seal([JobClosed.TYPE], limit=3) == 0
    assert await chain.seal([JobCreated.TYPE], limit=3) == 3
    [run] = await outbox.pending(limit=3)
    assert [event.sequence for event in run] == [1, 2, 3]


def timer_loop(stage: Stage, publisher: Tape) -> TimerLoop:
    return TimerLoop("job", stage.context.timers, publisher, stage.registry, asyncio.Event())


async def fire_all(loop: TimerLoop) -> None:
    while await loop.turn():
        pass


async def test_each_due_timer_fires_once_with_two_loops(redis_stage: Stage) -> None:
    redis_stage.registry.on_timer("job.expire", unused)
    for number in range(30):
        await redis_stage.context.timers.set(f"expire:{number}", "job.expire", [str(number)])
    await redis_stage.context.timers.set("later", "job.expire", ["later"], due=clock.now() + timedelta(days=14))
    tape = Tape()
    await asyncio.gather(fire_all(timer_loop(redis_stage, tape)), fire_all(timer_loop(redis_stage, tape)))
    assert sorted(int(message.args[0]) for message in tape.sent) == list(range(30))
    assert {message.queue_name for message in tape.sent} == {"kelmah.job"}
    assert await redis_stage.context.mongo.collection("timers").count_documents({}) == 1
    clock.shift(timedelta(days=14, seconds=1))
    try:
        await fire_all(timer_loop(redis_stage, tape))
    finally:
        clock.reset()
    assert tape.sent[-1].args == ("later",)
    assert await redis_stage.context.mongo.collection("timers").count_documents({}) == 0


async def test_a_timer_that_was_not_confirmed_fires_after_its_lease(redis_stage: Stage) -> None:
    redis_stage.registry.on_timer("job.expire", unused)
    await redis_stage.context.timers.set("a", "job.expire", ["1"])
    with pytest.raises(ConnectionError):
        await timer_loop(redis_stage, Tape(failing=1)).turn()
    tape = Tape()
    await fire_all(timer_loop(redis_stage, tape))
    assert tape.sent == []
    clock.shift(LEASE)
    try:
        await fire_all(timer_loop(redis_stage, tape))
    finally:
        clock.reset()
    assert [message.args for message in tape.sent] == [("1",)]


async def test_a_timer_of_an_unknown_actor_is_kept(redis_stage: Stage) -> None:
    await redis_stage.context.timers.set("a", "job.not_yet_known", [])
    tape = Tape()
    await fire_all(timer_loop(redis_stage, tape))
    assert tape.sent == []
    row = await redis_stage.context.mongo.collection("timers").find_one({"_id": "a"})
    assert row is not None
    assert row["attempts"] == 1
    clock.shift(2 * UNKNOWN_WAIT_MAX)
    try:
        await fire_all(timer_loop(redis_stage, tape))
        row = await redis_stage.context.mongo.collection("timers").find_one({"_id": "a"})
        assert row is not None
        assert row["due"] - clock.now() > UNKNOWN_WAIT
    finally:
        clock.reset()


async def test_a_timer_reaches_its_actor(stage: Stage) -> None:
    async def expire(context: object, job_id: str) -> None:
        stage.heard.put((job_id, trace()))

    stage.registry.on_timer("job.expire", expire)
    cause = trace_from(None, "the-cause-of-it", None)._replace(causation_id="e1")
    token = current_trace.set(cause)
    try:
        await stage.context.timers.set("a", "job.expire", ["7"])
    finally:
        current_trace.reset(token)
    async with stage.working():
        job_id, seen = await stage.next_heard()
    assert (job_id, seen.correlation_id, seen.causation_id) == ("7", "the-cause-of-it", "e1")
    assert seen.traceparent.split("-")[1] == cause.traceparent.split("-")[1]


def test_timer_messages_are_told_apart_by_their_firing() -> None:
    from kelmah.workers.timers import _message_id

    now = clock.now()
    one = Timer(key="k", actor="a", args=[], due=now, attempts=1)
    assert _message_id(one) != _message_id(Timer(key="k", actor="a", args=[], due=now + LEASE, attempts=2))
